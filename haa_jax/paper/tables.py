"""The paper's Tables 6 to 12 as data: every cell with the printed figure and the run that gives ours.

One table more, "kinetics", is this project's.
"""

import dataclasses

from haa_jax.paper import haa_coco
from haa_jax.paper.printed import COLUMNS, FIGURES, REMARKS
from haa_jax.paper.runs import FROM_SCRATCH, KINETICS, SOURCES, WITH_OBJECTS


@dataclasses.dataclass(frozen=True)
class Cell:
    """One figure: the accuracy of a run's evaluated head on all or some of its test clips.

    Attributes:
      paper: the printed figure in percent; None for a dash.
      run: key of runs.RUNS or runs.FUSIONS; "" where the paper has a dash.
      metric: "top1" | "top3" | "mean_iou".
      area: count only the clips of this area; "" for all.
      classes: count only the clips of HAA-COCO's classes, which this file in the folder of the runs may replace.
      remark: what a reader of the paper's figure must know.
    """

    row: str
    column: str
    paper: float | None
    run: str = ""
    metric: str = "top1"
    area: str = ""
    classes: str = ""
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
_VALIDATION = "has official lists without a test split: it is tested on its validation split."
# Table -> (title, note below it: the datasets to build, what differs from the paper).
_TEXTS = {
    "table6": ("Table 6: atomic actions, and composite ones learned without and with them", _COMPOSITES),
    "table7": (
        "Table 7: I3D given frames, joints or both",
        f"Gym288 {_YOURS} --name=gym288 --streams=pose.\nGym288 {_VALIDATION}",
    ),
    "table8": (
        "Table 8: I3D pre-trained on one dataset, its last three layers trained on another",
        "None is trained on the target alone, all layers, from scratch. AVA's clips have several labels "
        "(configs/i3d.py:multi_label).\n"
        f"Each of UCF101, ActNet 100, HMDB51, Gym288 and AVA {_YOURS} --name=ucf101 (activitynet100, hmdb51, gym288, "
        f"ava --multi_label).\nActNet 100 {_VALIDATION}",
    ),
    "table9": (
        "Table 9: composite classes of musical instruments, frames cropped around the person of interest",
        "haa500/instruments: python -m tfds_haa500.build --manual_dir=DIR --area=musical_instruments "
        f"--streams=flow,boxes --name=instruments\n"
        f"The boxes are your own, or made from poses; the paper drew them by hand.\n{_COMPOSITES}",
    ),
    "table10": (
        "Table 10: I3D given frames, or frames and objects",
        "haa500/objects: python -m tfds_haa500.build --manual_dir=DIR --streams=objects --name=objects\n"
        f"UCF101 {_YOURS} --name=ucf101, and for objects --streams=objects --name=ucf101{WITH_OBJECTS}.\n"
        "The detected objects are your own.\n"
        "Sport, Instrument and HAA-COCO are test clips of the network of all 500 classes: the RGB figures of the first "
        "two are those of Tables 7 and 12.\n"
        f"HAA-COCO is not listed in the paper: ours are {len(haa_coco.NAMES)} classes, inferred from their names "
        "(haa_jax/paper/haa_coco.py).",
    ),
    "table11": (
        "Table 11: I3D by number of frames, and by stride of 32 frames, 16 on AVA",
        f"Each of UCF101, Gym288 and AVA {_YOURS} --name=ucf101 (gym288, ava --multi_label).\n"
        f"Gym288 {_VALIDATION}\nAVA {_VALIDATION}",
    ),
    "table12": (
        "Table 12: I3D trained on exactly cut clips or on clips with their surroundings, tested on the former",
        "haa500/relaxed: python -m tfds_haa500.build --config=relaxed --manual_dir=DIR",
    ),
}


def _kinetics() -> Table:
    """HAA500 from Kinetics-400's network; the paper has the first row alone, in its Table 6."""
    printed = dict(zip(COLUMNS["table6"], FIGURES["table6"]["I3D RGB"], strict=True))
    metrics = {"500 atomic top-1": "top1", "500 atomic top-3": "top3"}
    cells = [
        Cell(row, column, printed[column] if row == FROM_SCRATCH else None, run, metric)
        for row, run in KINETICS.items()
        for column, metric in metrics.items()
    ]
    note = "Not in the paper, whose networks are all trained from scratch; the first row is Table 6's. kinetics-400 is "
    note += "DeepMind's I3D: pip install 'haa_jax[kinetics]'."
    return Table("HAA500 with I3D of Kinetics-400 as a start", tuple(cells), note)


PAPER: dict[str, Table] = {name: _table(name, title, note) for name, (title, note) in _TEXTS.items()}
TABLES: dict[str, Table] = PAPER | {"kinetics": _kinetics()}
