"""The experiments of the HAA500 paper: their commands, their runs, and the tables with our figures and the paper's.

    python -m haa_jax.paper table6            prints the commands of missing runs, and the table so far
    python -m haa_jax.paper table6 --run      runs what is missing, one run after another
    python -m haa_jax.paper all --runs=DIR    Tables 6 to 12
    python -m haa_jax.paper kinetics          a table that is not the paper's: HAA500 from Kinetics-400's network
    python -m haa_jax.paper table3 table5 --dataset=haa500/pose,clip_folder/ucf101    computed from these datasets

The experiments are data: haa_jax/paper/runs.py and tables.py. Each run has its workdir in DIR and counts as finished
once its metrics.json is there. `--run` can be stopped at any time (exit code 75); the same command resumes. To share
the runs among machines, start the printed commands yourself.
"""

import logging as std_logging
import pathlib
import sys

from absl import app, flags, logging

from haa_jax import config_flag
from haa_jax.errors import user_errors
from haa_jax.paper import report, statistics

_RUNS = flags.DEFINE_string("runs", "runs/paper", "Folder of the runs' workdirs.")
_RUN = flags.DEFINE_bool("run", False, "Run what is missing.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the datasets are (default: TFDS's, ~/tensorflow_datasets).")
_DATASET = flags.DEFINE_list("dataset", ["haa500/pose"], "Datasets that table3 and table5 are computed from.")


def main(argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    std_logging.getLogger("haa_jax").setLevel(std_logging.INFO)
    try:
        names = report.table_names(argv[1:])
        of_runs = [name for name in names if name not in statistics.TABLES]
        of_dataset = [name for name in names if name in statistics.TABLES]
        if of_runs:
            report.report(of_runs, pathlib.Path(_RUNS.value), _DATA_DIR.value, _RUN.value)
        if of_dataset:
            print(statistics.describe(_DATASET.value, _DATA_DIR.value, of_dataset))
    except user_errors() as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    app.run(main, flags_parser=config_flag.parse)
