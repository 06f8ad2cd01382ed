"""The experiments of the HAA500 paper: their commands, their runs, and its tables with our figures beside its own.

    python -m haa_jax.paper table6            the commands that are missing, and the table as far as it is done
    python -m haa_jax.paper table6 --run      runs what is missing, one after the other
    python -m haa_jax.paper all --runs=DIR    Tables 6 to 12
    python -m haa_jax.paper table3 table5 --dataset=haa500/pose    what they say of the dataset, computed from it

The experiments are data, in haa_jax/paper/tables.py. Each run has its workdir in DIR and counts as done once its
metrics.json is there; `--run` can be stopped (it then leaves with exit code 75) and started again at any time. To
share the runs among machines, start the commands by yourself.
"""

import json
import logging as std_logging
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import app, flags, logging

from haa_jax.evaluate import METRICS_FILE, PREDICTIONS_FILE, EvaluationError
from haa_jax.paper import tables as paper
from haa_jax.runtime.progress import clock
from haa_jax.runtime.signals import EXIT_INTERRUPTED

log = std_logging.getLogger("haa_jax.paper")  # __name__ is __main__ here

STATISTICS = ("table3", "table5")


class PaperError(RuntimeError):
    """A table, run or result that cannot be used; the message names it."""


def main(argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    std_logging.getLogger("haa_jax").setLevel(std_logging.INFO)
    try:
        names = table_names(argv[1:])
        tables = [name for name in names if name not in STATISTICS]
        options = flags.FLAGS
        if tables:
            report(tables, pathlib.Path(options.runs), options.data_dir, options.run)
        if len(tables) < len(names):
            from haa_jax.paper import statistics

            print(statistics.describe(options.dataset, options.data_dir, [n for n in names if n in STATISTICS]))
    except PaperError as error:
        sys.exit(f"error: {error}")


def table_names(words: Sequence[str]) -> list[str]:
    """The tables that the command line asks for. Raises PaperError for a name that is none."""
    known = (*STATISTICS, *paper.TABLES)
    unknown = [word for word in words if word not in (*known, "all")]
    if unknown or not words:
        raise PaperError(
            f"no table {', '.join(unknown) or 'is named'}; there are {', '.join(known)}, and all (6 to 12)"
        )
    return [name for name in known if name in words or ("all" in words and name in paper.TABLES)]


def report(tables: Sequence[str], runs: pathlib.Path, data_dir: str, run: bool) -> None:
    """Prints the commands of what is missing, or carries them out, then prints the tables."""
    wanted = needed(cell.run for name in tables for cell in paper.TABLES[name].cells)
    missing = [name for name in wanted if not (runs / name / METRICS_FILE).exists()]
    if run:
        carry_out(missing, runs, data_dir)
    elif missing:
        print(f"{len(missing)} of {len(wanted)} runs are missing:")
        print("\n".join(shlex.join(command(name, runs, data_dir)) for name in missing))
    for name in tables:
        print(f"\n{fill(name, runs)}")


def needed(names) -> list[str]:
    """The runs and fusions of `names` and all that they rest on, each behind what it needs; "" is none."""
    found = {}

    def add(name: str) -> None:
        if name in found:
            return
        if name in paper.FUSIONS:
            for each in paper.FUSIONS[name].runs:
                add(each)
        elif paper.RUNS[name].start:
            add(paper.RUNS[name].start)
        found[name] = None

    for name in filter(None, names):
        add(name)
    return list(found)


def command(name: str, runs: pathlib.Path, data_dir: str = "") -> list[str]:
    """The command line of a run or a fusion, for this interpreter, from any folder: the configs are in the package."""
    if name in paper.FUSIONS:
        fusion = paper.FUSIONS[name]
        files = [str(runs / run / PREDICTIONS_FILE) for run in fusion.runs]
        weights = [f"--weights={','.join(f'{w:g}' for w in fusion.weights)}"] if fusion.weights else []
        return [sys.executable, "-m", "haa_jax.fuse", *files, *weights, f"--out={runs / name}"]
    run = paper.RUNS[name]
    fields = dict(run.fields)
    if run.start:
        fields["init_from"] = str(runs / run.start)
    if data_dir:
        fields["data.data_dir"] = data_dir
    settings = [f"--config.{field}={value}" for field, value in fields.items()]
    return [
        *(sys.executable, "-m", "haa_jax.main"),
        *(f"--config={run.config}", *settings, f"--workdir={runs / name}"),
    ]


def carry_out(names: Sequence[str], runs: pathlib.Path, data_dir: str) -> None:
    """Runs the commands of `names` in turn, each in a process of its own, until one fails or is interrupted.

    Raises:
      PaperError: a command failed; it has said why.
    """
    started = time.monotonic()
    for number, name in enumerate(names):
        line = command(name, runs, data_dir)
        spent = time.monotonic() - started
        left = f", about {clock(spent / number * (len(names) - number))} left" if number else ""
        print(f"[{number + 1}/{len(names)}{left}] {shlex.join(line)}", flush=True)
        code = subprocess.run(line, check=False).returncode
        if code == EXIT_INTERRUPTED:
            sys.exit(EXIT_INTERRUPTED)
        if code:
            raise PaperError(f"{name}: exit code {code} of\n  {shlex.join(line)}\nMend that and start again.")


def figure(cell: paper.Cell, runs: pathlib.Path) -> dict | None:
    """Ours for a cell as `metrics.accuracy` gives it, None where the run, or the list of its classes, is not there.

    Raises:
      PaperError: the run's files do not hold the figure, or the list names classes that it does not know.
    """
    path = runs / cell.run / METRICS_FILE
    if not cell.run or not path.exists() or (cell.classes and not (runs / cell.classes).exists()):
        return None
    split = _split(cell.run)
    try:
        results = json.loads(path.read_text())
        if results["split"] != split:
            raise PaperError(f"{path} is of the {results['split']} split, not of the {split} split")
        head = results["heads"][results["evaluated_head"]]
        if cell.classes:
            return _of_classes(runs / cell.run / PREDICTIONS_FILE, results["evaluated_head"], runs / cell.classes)
        return head["area"][cell.area] if cell.area else head[cell.metric]
    except (KeyError, TypeError, ValueError) as error:
        raise PaperError(f"{path} does not hold {cell.metric} {cell.area}: {error!r}") from error


def _split(name: str) -> str:
    """The split that a run's figures are of."""
    run = paper.RUNS.get(name)
    return run.fields.get("eval.split", "test") if run else "test"


def _of_classes(predictions: pathlib.Path, head: str, names: pathlib.Path) -> dict:
    """Top-1 over the clips of some classes, which a file names, one a line."""
    from haa_jax import fuse, metrics

    try:
        arrays = fuse.read_predictions(predictions)
    except EvaluationError as error:
        raise PaperError(str(error)) from error
    wanted = [line for line in names.read_text().splitlines() if line.strip()]
    unknown = [name for name in wanted if name not in arrays[f"{head}_classes"]]
    if unknown or not wanted:
        what = f"not among {predictions}'s classes: {', '.join(map(repr, unknown))}" if unknown else "it names no class"
        raise PaperError(f"{names}: {what}")
    labels = arrays[f"{head}_labels"]
    right = metrics.top_k(arrays[f"{head}_logits"], labels, 1)
    return metrics.accuracy(right[np.isin(arrays[f"{head}_classes"][labels], wanted)])


def fill(name: str, runs: pathlib.Path) -> str:
    """A table as text: for each of its rows our figures, and below them the paper's; then the remarks by number."""
    table = paper.TABLES[name]
    columns = list(dict.fromkeys(cell.column for cell in table.cells))
    remarks = list(dict.fromkeys(filter(None, (text for cell in table.cells for text in (cell.needs, cell.remark)))))
    lines = [["", "", *columns]]
    for row in dict.fromkeys(cell.row for cell in table.cells):
        cells = [cell for cell in table.cells if cell.row == row]
        ours = [_ours(cell, runs) + _number(cell.needs, remarks) for cell in cells]
        theirs = [_theirs(cell) + _number(cell.remark, remarks) for cell in cells]
        lines += [[row, "ours", *ours], ["", "paper", *theirs]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [f"[{number}] {remark}" for number, remark in enumerate(remarks, start=1)]
    return "\n".join([table.title, "", *text, *notes, *([table.note] if table.note else [])])


def _number(remark: str, remarks: list[str]) -> str:
    return f" [{remarks.index(remark) + 1}]" if remark else ""


def _ours(cell: paper.Cell, runs: pathlib.Path) -> str:
    if cell.paper is None:
        return "-"
    found = figure(cell, runs)
    if found is None:
        return "missing"
    percent, error = 100 * found["value"], 100 * found["standard_error"]
    return f"{percent:.2f} +- {error:.2f} ({found['correct']}/{found['count']})"


def _theirs(cell: paper.Cell) -> str:
    return "-" if cell.paper is None else f"{cell.paper:.2f}"


def _define_flags() -> None:
    """Not on import: other commands have flags of the same names."""
    flags.DEFINE_string("runs", "runs/paper", "Folder of the runs' workdirs.")
    flags.DEFINE_bool("run", False, "Run what is missing.")
    flags.DEFINE_string("data_dir", "", "Where the datasets are (default: TFDS's, ~/tensorflow_datasets).")
    flags.DEFINE_string("dataset", "haa500/pose", "Dataset that table3 and table5 are computed from.")


if __name__ == "__main__":
    _define_flags()
    app.run(main)
