"""The report's pictures as PNG files: training curves, and confusion matrices."""

from collections.abc import Mapping, Sequence

import numpy as np

from haa_jax.reporting.curves import Curve

DPI = 120
MOST_WITH_NUMBERS = 24  # groups of a matrix that has a number in every cell
MOST_WITH_NAMES = 120  # groups of a matrix whose rows are named; above that, only the blocks are
CURVES = {  # panel -> start and end of the tags that it shows
    "loss": (("train/", "validation/"), "loss"),
    "accuracy": (("train/", "validation/"), ("accuracy", "_top1", "_mean_iou", "_mean_average_precision")),
}


def draw_curves(file, curves_of_runs: Mapping[str, Mapping[str, Curve]]) -> None:
    """Writes a PNG of two panels, loss and accuracy by step, to an open binary file.

    Args:
      curves_of_runs: run -> tag -> curve.
    """
    figure = _figure(13, 4.5)
    for axes, (panel, (starts, ends)) in zip(figure.subplots(1, 2), CURVES.items(), strict=True):
        for number, (run, curves) in enumerate(curves_of_runs.items()):
            for tag in sorted(tag for tag in curves if tag.startswith(starts) and tag.endswith(ends)):
                steps, values = zip(*curves[tag], strict=True)
                style = {"linewidth": 0.8, "alpha": 0.7} if tag.startswith("train/") else {"marker": "o"}
                name = f"{run}: {tag}" if len(curves_of_runs) > 1 else tag
                axes.plot(steps, values, color=f"C{number}", label=name, **style)
        axes.set(xlabel="step", title=panel)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    figure.savefig(file, format="png", dpi=DPI)


def draw_confusion(file, matrix: np.ndarray, names: Sequence[str], blocks: Sequence[str], title: str) -> None:
    """Writes a PNG of a confusion matrix to an open binary file.

    Colors are shares of each row.

    Args:
      matrix: int (groups, groups), rows are labels.
      names: of the groups.
      blocks: the block of each group, equal ones next to each other; lines are drawn between them.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    count = len(names)
    side = float(np.clip(0.16 * count, 6, 16))
    figure = _figure(side + 1, side)
    axes = figure.subplots()
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    style = {"cmap": "Blues", "xticks_rotation": "vertical", "colorbar": False}
    if count <= MOST_WITH_NUMBERS:
        shown = ConfusionMatrixDisplay(shares, display_labels=names)
        shown.plot(ax=axes, include_values=False, **style)
        for (row, column), clips in np.ndenumerate(matrix):
            if clips:
                color = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, clips, ha="center", va="center", color=color, fontsize=9)
    else:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        _name_axes(axes, names, blocks)
        axes.set(xlabel="Predicted label", ylabel="True label")
    for edge in _starts(blocks)[1:]:
        axes.axhline(edge - 0.5, color="black", linewidth=0.5)
        axes.axvline(edge - 0.5, color="black", linewidth=0.5)
    axes.set_title(title)
    figure.savefig(file, format="png", dpi=DPI)


def _name_axes(axes, names: Sequence[str], blocks: Sequence[str]) -> None:
    """Names every group, or only the blocks where there are too many."""
    count, starts = len(names), _starts(blocks)
    if count <= MOST_WITH_NAMES:
        axes.set_xticks(range(count), names, rotation="vertical", fontsize=6)
        axes.set_yticks(range(count), names, fontsize=6)
    else:
        middles = [(start + end) / 2 for start, end in zip(starts, [*starts[1:], count], strict=True)]
        named = [blocks[start] for start in starts]
        axes.set_xticks(middles, named)
        axes.set_yticks(middles, named, rotation="vertical", va="center")


def _starts(blocks: Sequence[str]) -> list[int]:
    """The first position of each block."""
    return [i for i, block in enumerate(blocks) if i == 0 or block != blocks[i - 1]]


def _figure(width: float, height: float):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Agg without pyplot: needs no display, leaves no global state.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
