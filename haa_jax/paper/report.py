"""The paper's tables as text: our figures, read from the runs' results, above the printed ones."""

import json
import pathlib
import shlex
from collections.abc import Sequence

import numpy as np

from haa_jax import metrics, predictions
from haa_jax.paper import commands, haa_coco, statistics
from haa_jax.paper.commands import PaperError
from haa_jax.paper.runs import RUNS
from haa_jax.paper.tables import PAPER, TABLES, Cell
from haa_jax.predictions import METRICS_FILE, PREDICTIONS_FILE, EvaluationError


def table_names(arguments: Sequence[str]) -> list[str]:
    """The tables that a command line names, in the paper's order; "all" stands for its Tables 6 to 12.

    Raises:
      PaperError: no table is named, or an unknown one.
    """
    known = (*statistics.TABLES, *TABLES)
    unknown = [name for name in arguments if name not in (*known, "all")]
    if unknown or not arguments:
        problem = f"unknown table {', '.join(unknown)}" if unknown else "name at least one table"
        raise PaperError(f"{problem}; the tables are {', '.join(known)}, and all (6 to 12)")
    return [name for name in known if name in arguments or ("all" in arguments and name in PAPER)]


def report(tables: Sequence[str], folder: pathlib.Path, data_dir: str, run: bool) -> None:
    """Prints the commands of missing runs, or runs them, then prints the tables.

    Args:
      tables: keys of TABLES.
      folder: of the runs.
      data_dir: where the datasets are; "" for TFDS's default.
      run: run what is missing.

    Raises:
      PaperError: a run failed, or its results cannot be used.
    """
    needed = commands.needed(cell.run for name in tables for cell in TABLES[name].cells)
    missing = commands.missing(needed, folder)
    if run:
        commands.run_all(missing, folder, data_dir)
    elif missing:
        print(f"{len(missing)} of {len(needed)} runs are missing:")
        print("\n".join(shlex.join(commands.command(name, folder, data_dir)) for name in missing))
    for name in tables:
        print(f"\n{text(name, folder)}")


def figure(cell: Cell, folder: pathlib.Path) -> dict | None:
    """Our figure for a cell, as `metrics.accuracy` gives it; None if its run is missing.

    Args:
      folder: of the runs.

    Raises:
      PaperError: the run's files do not hold the figure, or the list has a class that they do not know.
    """
    path = folder / cell.run / METRICS_FILE
    if not cell.run or not path.exists():
        return None
    split = _split(cell.run)
    try:
        results = json.loads(path.read_text())
        if results["split"] != split:
            raise PaperError(f"{path} has results on the {results['split']} split, not the {split} split")
        head = results["heads"][results["evaluated_head"]]
        if cell.classes:
            wanted, origin = _coco_classes(folder / cell.classes)
            return _of_classes(folder / cell.run / PREDICTIONS_FILE, results["evaluated_head"], wanted, origin)
        return head["area"][cell.area] if cell.area else head[cell.metric]
    except (KeyError, TypeError, ValueError) as error:
        raise PaperError(f"{path} does not hold {cell.metric} {cell.area}: {error!r}") from error


def _split(name: str) -> str:
    """The split that a run is tested on."""
    run = RUNS.get(name)
    return run.fields.get("eval.split", "test") if run else "test"


def _coco_classes(path: pathlib.Path) -> tuple[list[str], str]:
    """HAA-COCO's classes, those in the file, one per line, or else this project's; and where they are from."""
    if not path.exists():
        return list(haa_coco.NAMES), "haa_jax/paper/haa_coco.py"
    names = [line for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise PaperError(f"{path} lists no class")
    return names, str(path)


def _of_classes(path: pathlib.Path, head: str, wanted: list[str], origin: str) -> dict:
    """Top-1 over the clips of some classes; `origin` is what names them, for messages."""
    try:
        arrays = predictions.read(path)
    except EvaluationError as error:
        raise PaperError(str(error)) from error
    unknown = [name for name in wanted if name not in arrays[f"{head}_classes"]]
    if unknown:
        raise PaperError(f"{origin}: not among the classes in {path}: {predictions.some(list(map(repr, unknown)))}")
    labels = arrays[f"{head}_labels"]
    correct = metrics.top_k(arrays[f"{head}_logits"], labels, 1)
    return metrics.accuracy(correct[np.isin(arrays[f"{head}_classes"][labels], wanted)])


def text(name: str, folder: pathlib.Path) -> str:
    """A table as text: for each row our figures and, below them, the paper's; then the numbered remarks.

    Raises:
      PaperError: as `figure`.
    """
    table = TABLES[name]
    columns = list(dict.fromkeys(cell.column for cell in table.cells))
    remarks = list(dict.fromkeys(filter(None, (cell.remark for cell in table.cells))))
    lines = [["", "", *columns]]
    for row in dict.fromkeys(cell.row for cell in table.cells):
        cells = [cell for cell in table.cells if cell.row == row]
        ours = [_ours(cell, folder) for cell in cells]
        printed = [_printed(cell) + _number(cell.remark, remarks) for cell in cells]
        lines += [[row, "ours", *ours], ["", "paper", *printed]]
    notes = [f"[{number}] {remark}" for number, remark in enumerate(remarks, start=1)]
    return "\n".join([table.title, "", *_aligned(lines), *notes, *([table.note] if table.note else [])])


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines, in columns as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _number(remark: str, remarks: list[str]) -> str:
    return f" [{remarks.index(remark) + 1}]" if remark else ""


def _ours(cell: Cell, folder: pathlib.Path) -> str:
    if not cell.run:
        return "-"
    found = figure(cell, folder)
    if found is None:
        return "missing"
    percent, error = 100 * found["value"], 100 * found["standard_error"]
    counted = f"{found['correct']}/{found['count']}" if "correct" in found else f"{found['count']} clips"
    return f"{percent:.2f} +- {error:.2f} ({counted})"


def _printed(cell: Cell) -> str:
    return "-" if cell.paper is None else f"{cell.paper:.2f}"
