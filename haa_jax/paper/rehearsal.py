"""The whole paper at small size, on generated data: every run, every table, and checks of what must hold.

    python -m haa_jax.paper.rehearsal --workdir=DIR

Builds generated datasets in DIR/data, trains every network of haa_jax/paper/runs.py for a few steps, and prints all
tables. The accuracies mean nothing; what is checked is true by construction (haa_jax/paper/expectations.py). The demo
stands for HAA500, and for each dataset that users package themselves, some of its clips with the splits of that
dataset; the rehearsal's own network stands for that of Kinetics-400. The same command resumes where it was stopped.
"""

import logging as std_logging
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Compiling is most of the work, and with this it takes a third of the time; the few steps are slower.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from absl import app, flags, logging

from haa_jax import config_flag
from haa_jax.paper import commands, expectations, generated, report, statistics
from haa_jax.paper.haa_coco import FILE as COCO_FILE
from haa_jax.paper.runs import FUSIONS, RUNS
from haa_jax.paper.tables import TABLES
from haa_jax.runtime.progress import clock
from haa_jax.runtime.signals import EXIT_INTERRUPTED, Interrupted

log = std_logging.getLogger("haa_jax.paper.rehearsal")  # __name__ is __main__ here

STEPS = 4  # of each run
KINETICS = "i3d_rgb"  # the run in place of kinetics-400
COCO = ("apple_to_bowl", "apple_to_mouth", "dog_trick_down", "dog_trick_up")  # classes with objects, for Table 10


def parse(argv: list[str]) -> list[str]:
    """The flags; for `absl.app.run`."""
    rest = config_flag.parse(argv)
    config_flag.no_arguments(rest, "options are --workdir and --tables")
    config_flag.require("workdir")
    return rest


def main(argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    std_logging.getLogger("haa_jax").setLevel(std_logging.INFO)
    from haa_jax.errors import user_errors

    workdir = pathlib.Path(flags.FLAGS.workdir).absolute()
    try:
        names = report.table_names(flags.FLAGS.tables)
        runs = runs_of([name for name in names if name in TABLES])
        configs = {name: small_config(name, workdir) for name in runs if name in RUNS}
        generated.build({name for config in configs.values() for name in datasets_of(config)}, workdir)
        run_all(runs, workdir)
        (workdir / "runs" / COCO_FILE).write_text("\n".join(COCO))
        print_results(names, runs, workdir)
        failed = expectations.check_all(configs, [name for name in runs if name in FUSIONS], workdir / "runs")
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except user_errors() as error:
        sys.exit(f"error: {error}")
    sys.exit(1 if failed else 0)


def runs_of(tables: list[str]) -> list[str]:
    """The runs and fusions of some tables, in an order in which they can be run."""
    needed = commands.needed(cell.run for name in tables for cell in TABLES[name].cells)
    if any(run.fields.get("init_from") for run in (RUNS[name] for name in needed if name in RUNS)):
        needed = commands.needed([KINETICS, *needed])
    return needed


def print_results(names: list[str], runs: list[str], workdir: pathlib.Path) -> None:
    """Prints the tables `names`, Tables 3 and 5 of the generated datasets, and where Figure 5 is."""
    from haa_jax import embed

    for name in names:
        if name in TABLES:
            print(f"\n{report.text(name, workdir / 'runs')}")
    of_dataset = [name for name in names if name in statistics.TABLES]
    if of_dataset:
        print(f"\n{statistics.describe(generated.with_poses(workdir), str(workdir / 'data'), of_dataset)}")
    if KINETICS in runs:
        embed.embed(small_config(KINETICS, workdir), workdir / "runs" / KINETICS, "test", workdir / "figure5")
        print(f"\nFigure 5: {workdir / 'figure5'}")


def datasets_of(config) -> list[str]:
    return [name for name in (config.data.dataset, config.eval.dataset) if name]


def run_all(names: list[str], workdir: pathlib.Path) -> None:
    """Trains and fuses what is not finished, in this process."""
    import jax

    runs = workdir / "runs"
    jax.config.update("jax_compilation_cache_dir", str(workdir / "compiled"))  # many runs have the same shapes
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # small programs too: there are hundreds
    missing = commands.missing(names, runs)
    started = time.monotonic()
    for number, name in enumerate(missing, start=1):
        log.info("run %d of %d missing: %s", number, len(missing), name)
        run(name, workdir)
        jax.clear_caches()  # the next network uses nothing of this one
        elapsed = time.monotonic() - started
        log.info("%s done, about %s left", name, clock(elapsed / number * (len(missing) - number)))


def run(name: str, workdir: pathlib.Path) -> None:
    """Trains one run, or fuses the predictions of its runs."""
    from haa_jax import fuse, train
    from haa_jax.predictions import PREDICTIONS_FILE

    runs = workdir / "runs"
    if name in FUSIONS:
        fusion = FUSIONS[name]
        files = [runs / each / PREDICTIONS_FILE for each in fusion.runs]
        fuse.fuse_files(files, list(fusion.weights or [1.0] * len(files)), False, runs / name)
    else:
        train.train_and_evaluate(small_config(name, workdir), runs / name)


def small_config(name: str, workdir: pathlib.Path):
    """The config of a run on the generated data."""
    config = commands.config(name, "demo")
    config.data.dataset, config.eval.dataset = map(generated.in_place_of, (config.data.dataset, config.eval.dataset))
    config.data.data_dir = str(workdir / "data")
    start = RUNS[name].start or (KINETICS if config.init_from else "")
    config.init_from = str(workdir / "runs" / start) if start else ""
    config.train.epochs, config.train.steps, config.train.batch_size = 0.0, STEPS, 8
    config.eval.every_epochs = config.checkpoint.every_epochs = 0.0
    config.data.frames = min(config.data.frames, 8)
    if config.model.name == "i3d":
        config.data.sampling = "window"  # the demo's is another, for which a run's stride means nothing
    config.data.resize, config.data.crop = 36, 32
    return config


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder for the datasets and the runs.")
    flags.DEFINE_list("tables", [*statistics.TABLES, *TABLES], "Only these tables.")
    app.run(main, flags_parser=parse)
