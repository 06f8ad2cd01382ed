"""A page that shows where a network is right and where it fails: one HTML file, and its tables and pictures.

    python -m haa_jax.report runs/i3d
    python -m haa_jax.report runs/rgb runs/flow runs/two_stream --out=compared

Takes the workdirs of evaluated runs, folders that `haa_jax.fuse` wrote, or their predictions.npz; several of the same
clips are compared with the first. DIR (--out, by default `report` in the workdir) gets `report.html`, which needs no
other file, the tables as CSV in `tables`, and pictures as PNG in `pictures`. Thumbnails come from the built dataset if
it is where the run's config says, or in `--data_dir`.
"""

import re
import sys
from collections.abc import Sequence

import jax
import numpy as np
from absl import app, flags
from etils import epath

from haa_jax import config_flag, label_kinds, predictions
from haa_jax.errors import user_errors
from haa_jax.reporting import curves, groups, page, pictures, several, tables, thumbnails
from haa_jax.reporting.runs import ReportError, Run, open_runs
from haa_jax.runtime import paths
from haa_jax.runtime.files import atomic_write
from haa_jax.runtime.logs import set_up_logging

PAGE = "report.html"
MOST_MAP_BYTES = 900_000  # of all t-SNE pictures within the page, so that it stays below 5 MB


def main(argv: list[str]) -> None:
    options = flags.FLAGS
    set_up_logging()
    jax.config.update("jax_platforms", "cpu")  # only to read a checkpoint's config; a GPU may be busy training
    try:
        if len(argv) < 2:
            raise ReportError("a workdir or a predictions file is needed: python -m haa_jax.report runs/i3d")
        report(argv[1:], options.out or "", options.data_dir, options.dataset)
    except user_errors() as error:
        sys.exit(f"error: {error}")


def report(given: Sequence[str], out: str = "", data_dir: str = "", dataset: str = "") -> epath.Path:
    """Writes the report of runs on the same clips; prints where it is.

    Args:
      given: workdirs, other folders with predictions, or predictions files.
      out: folder to write to, made if missing; "" for `report` next to the predictions of a single run.
      data_dir, dataset: see `thumbnails.open_source`.

    Returns:
      The page.

    Raises:
      runs.ReportError, predictions.EvaluationError: the runs cannot be read, or not compared.
      Those of `thumbnails.open_source`.
    """
    runs = open_runs(given)
    if not out and len(runs) > 1:
        raise ReportError("--out is needed for a report of several runs")
    folder = paths.folder(out) if out else runs[0].file.parent / "report"
    notes = {}
    source = thumbnails.open_source(_with_config(runs), dataset, data_dir)
    strips = _thumbnails(runs, source, notes)
    by_head = {} if runs[0].multi_label else _groups(runs[0], source)
    curves_of_runs = _curves(runs, notes)
    maps = _maps(runs, notes)
    for each in (folder, folder / "tables", folder / "pictures"):
        each.mkdir(parents=True, exist_ok=True)
    files = [*write_tables(folder, runs, by_head), *write_pictures(folder, runs, by_head, curves_of_runs)]
    data = page.page_data(runs, by_head, curves_of_runs, strips, maps, notes, files)
    with atomic_write(folder / PAGE) as file:
        file.write(page.render(data).encode())
    for line in [line for lines in notes.values() for line in lines]:
        print(f"note: {line}")
    print(f"{folder / PAGE}: {len(runs[0].arrays['clip_ids'])} clips, {len(strips)} with thumbnails")
    return folder / PAGE


def _groups(run: Run, source: thumbnails.Source | str) -> dict[str, groups.Groups]:
    table = groups.packaged_table(run) if isinstance(source, str) else source.table
    return {head: groups.of_head(run, head, table) for head in run.heads}


def write_tables(folder: epath.Path, runs: Sequence[Run], by_head: dict[str, groups.Groups]) -> list[str]:
    """Writes the report's tables; returns their paths relative to `folder`."""
    written = {"accuracies": tables.accuracies(runs)}
    if runs[0].multi_label:
        written |= {f"{head}_classes": several.class_table(runs, head) for head in runs[0].heads}
    for head, names in by_head.items():
        written[f"{head}_classes"] = tables.class_table(runs, head, names)
        for run in runs:
            own = f"{head}_{file_name(run)}" if len(runs) > 1 else head
            written[f"{own}_pairs"] = tables.pair_table(run, head)
            for kind, of_classes in matrices(run, head, names).items():
                written[f"{own}_confusion_{kind}"] = tables.confusion_table(run.heads[head], of_classes)
        for run in runs[1:]:
            written[f"{head}_changes_{file_name(run)}"] = tables.change_table(runs[0], run, head)
    for run in runs:
        written[f"predictions_{file_name(run)}" if len(runs) > 1 else "predictions"] = predictions.table(run.arrays)
    for name, (columns, rows) in written.items():
        predictions.write_csv(folder / "tables" / f"{name}.csv", columns, rows)
    return [f"tables/{name}.csv" for name in written]


def write_pictures(folder: epath.Path, runs: Sequence[Run], by_head: dict, curves_of_runs: dict) -> list[str]:
    """Writes the report's pictures; returns their paths relative to `folder`."""
    written = []

    def write(name: str, draw, *args) -> None:
        with atomic_write(folder / "pictures" / f"{name}.png") as file:
            draw(file, *args)
        written.append(f"pictures/{name}.png")

    if any(curves_of_runs.values()):
        write("curves", pictures.draw_curves, curves_of_runs)
    for head, names in by_head.items():
        for run in runs:
            own = f"{head}_{file_name(run)}" if len(runs) > 1 else head
            for kind, of_classes in matrices(run, head, names).items():
                drawn = _ordered_matrix(run, head, names, of_classes)
                title = f"{run.name}, {run.split} split, {head} head: {kind}"
                write(f"{own}_confusion_{kind}", pictures.draw_confusion, *drawn, title)
    return written


def matrices(run: Run, head: str, names: groups.Groups) -> dict[str, Sequence[str]]:
    """Kind of a confusion matrix -> the group of each class."""
    found = {"area": names.areas, "composite": names.composites, "class": run.heads[head].classes}
    return {kind: of_classes for kind, of_classes in found.items() if len(set(of_classes)) > 1}


def file_name(run: Run) -> str:
    """The name of a run as part of a file name."""
    return re.sub(r"[^\w.-]+", "_", run.name)


def _ordered_matrix(run: Run, head: str, names: groups.Groups, of_classes: Sequence[str]) -> tuple:
    """A confusion matrix with its groups in the order of the page: (matrix, names, areas)."""
    different, positions = tables.numbered(of_classes)
    order = list(dict.fromkeys(positions[label] for label in names.order))
    area = dict(zip(positions, names.areas, strict=True))
    matrix = tables.confusion(run.heads[head], positions)[np.ix_(order, order)]
    return matrix, [different[i] for i in order], [area[i] for i in order]


def _with_config(runs: Sequence[Run]) -> Run:
    """The first run whose config is known; the first of all if none is."""
    return next((run for run in runs if run.meta), runs[0])


def _thumbnails(runs: Sequence[Run], source: thumbnails.Source | str, notes: dict) -> dict[int, dict]:
    if isinstance(source, str):
        notes["thumbnails"] = [f"No thumbnails: {source}"]
        return {}
    shown = (several if runs[0].multi_label else page).shown_clips(runs)
    found, problems = thumbnails.strips(source, runs[0].arrays["clip_ids"], shown)
    if problems:
        notes["thumbnails"] = [f"No thumbnails of {len(problems)} clips: {predictions.some(problems)}"]
    return found


def _curves(runs: Sequence[Run], notes: dict) -> dict[str, dict[str, curves.Curve]]:
    """Run -> tag -> curve, for the runs that have any."""
    found, lines = {}, []
    for run in runs:
        if "fusion" in run.results:
            lines.append(f"No training curves of {run.name}: it is a fusion of other runs")
            continue
        scored = f"{run.evaluated}_{label_kinds.of(run.multi_label).best}"
        own, problems = ({}, []) if run.workdir is None else curves.read(run.workdir, run.meta, scored)
        lines += problems
        if own:
            found[run.name] = own
        else:
            lines.append(f"No training curves of {run.name}: neither TensorBoard's files nor checkpoints are there")
    if lines:
        notes["curves"] = lines
    return found


def _maps(runs: Sequence[Run], notes: dict) -> dict[str, bytes]:
    """Run -> the t-SNE picture that `haa_jax.embed` wrote next to its predictions."""
    found, lines = {}, []
    for run in runs:
        path = run.file.parent / f"tsne_{run.split}.png"
        if "fusion" in run.results or run.multi_label:
            continue  # a fusion has no features, and clips of several classes no map
        if not path.exists():
            lines.append(
                f"No map of {run.name}: python -m haa_jax.embed --config=CONFIG --workdir={path.parent} "
                f"--split={run.split} draws {path.name}"
            )
        elif sum(map(len, found.values())) + path.stat().length > MOST_MAP_BYTES:
            lines.append(f"No map of {run.name} on this page, since there is no room for it; it is in {path}")
        else:
            found[run.name] = path.read_bytes()
    if lines:
        notes["maps"] = lines
    return found


def _define_flags() -> None:
    """Not at import: other commands define flags of the same names."""
    flags.DEFINE_string("out", "", "Folder for the report (default, for one run: `report` next to its predictions).")
    flags.DEFINE_string("data_dir", "", "Where the dataset was built, for thumbnails (default: the config's).")
    flags.DEFINE_string("dataset", "", "The dataset, for thumbnails, such as haa500 (default: the config's).")


if __name__ == "__main__":
    _define_flags()
    app.run(main, flags_parser=config_flag.parse)
