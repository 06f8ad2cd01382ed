"""The paper's Tables 6 to 12 as data: every cell with the printed figure and the run that gives ours."""

import dataclasses

from haa_jax.paper.printed import COLUMNS, FIGURES, REMARKS
from haa_jax.paper.runs import SOURCES


@dataclasses.dataclass(frozen=True)
class Cell:
    """One figure: the accuracy of a run's evaluated head on all or some of its test clips.

    Attributes:
      paper: the printed figure in percent; None for a dash.
      run: key of runs.RUNS or runs.FUSIONS; "" if there is none, and `needs` says why.
      metric: "top1" | "top3".
      area: count only the clips of this area; "" for all.
      classes: count only the clips of the classes listed, one per line, in this file in the folder of the runs.
      needs: what is missing for a run; "" for nothing.
      remark: what a reader of the paper's figure must know.
    """

    row: str
    column: str
    paper: float | None
    run: str = ""
    metric: str = "top1"
    area: str = ""
    classes: str = ""
    needs: str = ""
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    title: str
    cells: tuple[Cell, ...]
    note: str = ""


def _table(name: str, title: str, note: str) -> Table:
    cells = []
    for row, figures in FIGURES[name].items():
        for column, figure in zip(COLUMNS[name], figures, strict=True):
            key = (name, row, column)
            cells.append(Cell(row, column, figure, remark=REMARKS.get(key, ""), **SOURCES.get(key, {})))
    return Table(title, tuple(cells), note)


_YOURS = "must be obtained and packaged by you with python -m tfds_haa500.build_folder"
_COMPOSITES = "The paper does not list its composite classes: those of tfds_haa500/classes.csv are this project's."
# Table -> (title, note below it: the datasets to build, what differs from the paper).
_TEXTS = {
    "table6": ("Table 6: atomic actions, and composite ones learned without and with them", _COMPOSITES),
    "table7": (
        "Table 7: I3D given frames, joints or both",
        f"Gym288 {_YOURS} --name=gym288 --streams=pose.",
    ),
    "table8": (
        "Table 8: I3D pre-trained on one dataset, its last three layers trained on another",
        f"Each of UCF101, ActNet 100, HMDB51 and Gym288 {_YOURS} --name=ucf101 (activitynet100, hmdb51, gym288).",
    ),
    "table9": (
        "Table 9: composite classes of musical instruments, frames cropped around the person of interest",
        "haa500/instruments: python -m tfds_haa500.build --manual_dir=DIR --area=musical_instruments "
        f"--streams=flow,boxes --name=instruments\n{_COMPOSITES}",
    ),
    "table10": (
        "Table 10: I3D given frames, or frames and objects",
        "haa500/objects: python -m tfds_haa500.build --manual_dir=DIR --streams=objects --name=objects\n"
        f"UCF101 {_YOURS} --name=ucf101.",
    ),
    "table11": (
        "Table 11: I3D by number of frames, and by stride of 32 frames",
        f"Each of UCF101 and Gym288 {_YOURS} --name=ucf101 (gym288).",
    ),
    "table12": (
        "Table 12: I3D trained on exactly cut clips or on clips with their surroundings, tested on the former",
        "haa500/relaxed: python -m tfds_haa500.build --config=relaxed --manual_dir=DIR",
    ),
}
TABLES: dict[str, Table] = {name: _table(name, title, note) for name, (title, note) in _TEXTS.items()}
