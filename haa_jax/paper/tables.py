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


<<<<<<< HEAD
def _table(name: str, title: str, note: str) -> Table:
=======
RUNS: dict[str, Run] = {}
FUSIONS: dict[str, Fusion] = {}

# Table -> its columns, as printed; those of two lines are joined.
COLUMNS = {
    "table6": (
        *("500 atomic top-1", "500 atomic top-3"),
        *("Inst.", "Inst. with atomic", "Sport", "Sport with atomic"),
    ),
    "table7": ("RGB", "Pose", "RGB + Pose"),
    "table8": ("UCF101", "ActNet 100", "HMDB51"),
    "table9": ("Original Composite", "Original Both", "Normalized Composite", "Normalized Both"),
    "table10": ("RGB", "+ Object"),
    "table11": ("HAA500", "UCF101", "AVA", "Gym288"),
    "table12": ("HAA500", "Relaxed"),
}
# Table -> row -> its figures in percent, as printed; None for a dash.
FIGURES = {
    "table6": {
        "I3D RGB": (33.53, 53.00, 70.59, 71.90, 47.48, 53.93),
        "I3D Flow": (34.73, 52.40, 73.20, 77.79, 51.42, 54.40),
        "I3D Pose": (35.73, 54.07, 69.28, 71.90, 54.87, 55.03),
        "I3D Three-Stream": (49.87, 66.60, 81.70, 82.35, 68.55, 69.81),
        "SlowFast RGB": (25.07, 44.07, 40.52, 50.98, 42.92, 44.18),
        "SlowFast Flow": (22.87, 36.93, 71.90, 71.90, 44.81, 45.91),
        "SlowFast Pose": (28.33, 45.20, 64.71, 66.01, 42.45, 50.00),
        "SlowFast Three-Stream": (39.93, 56.00, 67.97, 73.86, 59.91, 62.89),
        "TSN RGB": (55.33, 75.00, 86.93, 84.31, 72.64, 72.48),
        "TSN Flow": (49.13, 66.60, 79.08, 86.27, 69.97, 68.24),
        "TSN Two-Stream": (64.40, 80.13, 89.54, 90.20, 81.13, 78.93),
        "TPN RGB": (50.53, 68.13, 73.20, 75.82, 61.64, 64.15),
        "ST-GCN Pose": (29.67, 47.13, 67.32, 67.97, 40.25, 43.87),
    },
    "table7": {
        "HAA500": (33.53, 35.73, 42.80),
        "Sport": (38.52, 47.33, 50.94),
        "Instrument": (30.72, 24.18, 32.03),
        "Hobbies": (31.30, 26.42, 35.37),
        "Daily": (28.82, 28.60, 39.14),
        "Gym288": (76.11, 65.16, 77.31),
    },
    "table8": {
        "None": (58.87, 43.54, 28.56),
        "AVA": (48.54, 30.51, 25.28),
        "Gym288": (69.94, 43.79, 36.24),
        "UCF101": (None, 42.94, 32.37),
        "ActNet 100": (57.52, None, 28.63),
        "HMDB51": (53.36, 39.33, None),
        "HAA500": (68.70, 47.75, 40.45),
        "Relaxed": (62.24, 38.30, 33.29),
    },
    "table9": {
        "I3D-RGB": (66.01, 56.86, 75.82, 77.12),
        "I3D-Flow": (73.20, 77.78, 75.16, 74.51),
        "2-Stream": (77.78, 80.39, 83.01, 80.39),
    },
    "table10": {
        "HAA500": (33.53, 33.73),
        "Sport": (38.52, 38.68),
        "Instrument": (30.72, 30.07),
        "HAA-COCO": (34.26, 34.26),
        "UCF101": (57.65, 60.19),
    },
    "table11": {
        "1": (19.93, 45.57, 33.57, 39.77),
        "2": (23.27, 47.26, 39.42, 44.68),
        "4": (24.40, 49.30, 39.48, 51.22),
        "8": (24.07, 49.80, 42.38, 59.64),
        "16": (28.20, 52.31, 43.11, 69.25),
        "32": (33.53, 57.65, 29.88, 76.11),
        "stride 2": (27.47, 57.23, 41.49, 68.68),
        "stride 4": (23.87, 52.29, 40.52, 60.76),
        "stride 8": (18.47, 47.95, 38.45, 39.31),
    },
    "table12": {
        "Overall": (33.53, 22.80),
        "Sport": (38.52, 25.47),
        "Instrument": (30.72, 28.10),
        "Hobbies": (31.30, 20.33),
        "Daily": (28.82, 18.71),
    },
}
# Table 3, of HAA500, and Table 5, of several data sets, as printed.
TABLE_3 = {
    "actions": "500",
    "clips": "10,000",
    "mean length": "2.12 s",
    "duration": "21,207 s",
    "frames": "591K",
    "1 person": "8,309",
    "2 people": "859",
    ">2 people": "832",
    "moving camera": "2,373",
    "still camera": "7,627",
}
TABLE_5 = {"Kinetics 400": "41.0 %", "UCF101": "37.8 %", "HMDB51": "41.8 %", "FineGym": "44.7 %", "HAA500": "69.7 %"}

_COCO = (
    "of the test clips of 147 classes that the paper does not list: put yours, one name a line, into haa_coco.txt in "
    "the folder of the runs; 34.26 % is no k of their 441 clips (of 324 it is 111)"
)
# (table, row, column) -> what must be said beside the paper's figure.
REMARKS = {
    ("table6", "I3D RGB", "Inst."): "Table 9 prints 66.01 for what reads like the same run",
    ("table6", "I3D RGB", "Inst. with atomic"): "Table 9 prints 56.86 for what reads like the same run",
    ("table6", "I3D Flow", "Inst. with atomic"): "a misprint: 119 of 153 clips are 77.78 %, which Table 9 prints",
    ("table8", "None", "UCF101"): "Tables 10 and 11 print 57.65 for what reads like the same run",
    ("table9", "I3D-RGB", "Original Composite"): "Table 6 prints 70.59 for what reads like the same run",
    ("table9", "I3D-RGB", "Original Both"): "Table 6 prints 71.90 for what reads like the same run",
    ("table9", "I3D-Flow", "Original Both"): "Table 6 prints 77.79 for the same run",
    ("table10", "UCF101", "RGB"): "Table 8 prints 58.87 for what reads like the same run",
    ("table11", "32", "UCF101"): "Table 8 prints 58.87 for what reads like the same run",
    **{("table10", "HAA-COCO", column): _COCO for column in COLUMNS["table10"]},
    **{
        ("table11", row, "AVA"): f"mIOU{' of 16 frames' if 'stride' in row else ''}, not top-1"
        for row in FIGURES["table11"]
    },
}

_SEVERAL_LABELS = "no run: AVA gives a clip several labels, and networks here learn one a clip"
_NO_OBJECTS = "no run: it takes detected objects of UCF101, which are yours to get"

# Dataset that users bring -> its name as a clip_folder.
FOLDERS = {"UCF101": "ucf101", "ActNet 100": "activitynet100", "HMDB51": "hmdb51", "Gym288": "gym288"}


def with_variants(config: str, *variants: str) -> str:
    """A config with more variants: "i3d.py:flow" and "joint" give "i3d.py:flow,joint"."""
    file, _, first = config.partition(":")
    return f"{file}:{','.join(filter(None, (first, *variants)))}"


def _run(name: str, config: str, fields: dict | None = None, start: str = "") -> str:
    """Notes down a run, which several tables may share, and returns its name."""
    run = Run(config, fields or {}, start)
    if RUNS.setdefault(name, run) != run:
        raise ValueError(f"two different runs are called {name}: {run}, {RUNS[name]}")
    return name


def _fusion(name: str, runs: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
    FUSIONS[name] = Fusion(runs, weights)
    return name


def _on(dataset: str) -> dict:
    """Fields of a run on a dataset that users bring; none is known to have both a validation and a test split."""
    # ActivityNet's lists give the labels of train and validation only.
    split = {"eval.split": "validation"} if dataset == "activitynet100" else {}
    return {"data.dataset": f"clip_folder/{dataset}", "eval.every_epochs": 0} | split


def _i3d(stream: str = "rgb", dataset: str = "", ending: str = "", **data) -> str:
    """An I3D from scratch, on HAA500 or on a dataset of FOLDERS, with some fields of config.data."""
    config = "i3d.py" if stream == "rgb" else f"i3d.py:{stream}"
    fields = {f"data.{key}": value for key, value in data.items()} | (_on(dataset) if dataset else {})
    return _run("_".join(filter(None, ("i3d", stream, dataset, ending))), config, fields)


def _relaxed() -> str:
    return _run("i3d_rgb_relaxed", "i3d.py", {"data.dataset": "haa500/relaxed", "eval.dataset": "haa500/rgb"})


def _table(name: str, title: str, source, note: str = "") -> Table:
    """A table of FIGURES; `source` says of a row and a column what the cell has besides its figure."""
>>>>>>> tfds
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
