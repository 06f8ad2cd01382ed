"""The experiments of the HAA500 paper (arXiv 2009.05224): its Tables 6 to 12 as data.

RUNS says what is trained, each by the `--config` and the fields that differ from it; FUSIONS adds predictions of runs;
TABLES says which figure of which run stands in which cell, and what the paper prints there. `python -m haa_jax.paper`
makes commands and tables of this.

About the paper's figures: those of Tables 6, 7 and 12 are, to their last digit, k/n of the n test clips, and their
areas add up (one misprint: 77.79 must be 77.78, 119/153). Figures of the tables in `UNCHECKED` were written down
without the paper at hand; compare them with it before you cite them. Where none is given, it was not known here.

How the paper is read where it is silent: composite models are trained an area each; Table 11's strides are between 32
sampled frames; Table 8's "last three layers" are Mixed_5b, Mixed_5c and Logits.
"""

import dataclasses

INSTRUMENTS, SPORTS = "musical_instruments", "sports_athletics"
AREAS = {SPORTS: "Sport", INSTRUMENTS: "Inst.", "games_hobbies": "Hobbies", "daily_actions": "Daily"}
CLIPS = {"": 1500, SPORTS: 636, INSTRUMENTS: 153, "games_hobbies": 246, "daily_actions": 465}  # of the test split


@dataclasses.dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
      config: file and words, as after `--config=`.
      fields: what is set besides, as `--config.<field>=<value>`.
      start: the run whose network is taken over, with a new head; "" for none.
    """

    config: str
    fields: dict[str, str | int | float] = dataclasses.field(default_factory=dict)
    start: str = ""


@dataclasses.dataclass(frozen=True)
class Fusion:
    """Predictions of several runs added, with a weight each (equal ones for None)."""

    runs: tuple[str, ...]
    weights: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Cell:
    """One figure: `metric` ("top1", "top3") of a run's evaluated head, of an area's clips where one is named.

    `paper` is what the paper prints in percent, None where that is not known here.
    """

    row: str
    column: str
    run: str
    metric: str = "top1"
    area: str = ""
    paper: float | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    title: str
    cells: tuple[Cell, ...]
    note: str = ""


RUNS: dict[str, Run] = {}
FUSIONS: dict[str, Fusion] = {}

# Row of Table 6 -> the name of its run, the config, and the figures: 500 atomic top-1 and top-3, then top-1 of
# composite classes in musical instruments and in sports, each without and with atomic labels.
_TABLE_6 = {
    "I3D RGB": ("i3d_rgb", "i3d.py", (33.53, 53.00, 70.59, 71.90, 47.48, 53.93)),
    "I3D Flow": ("i3d_flow", "i3d.py:flow", (34.73, 52.40, 73.20, 77.79, 51.42, 54.40)),
    "I3D Pose": ("i3d_pose", "i3d.py:pose", (35.73, 54.07, 69.28, 71.90, 54.87, 55.03)),
    "I3D Three-stream": ("i3d_three_stream", None, (49.87, 66.60, 81.70, 84.31, 68.55, 69.81)),
    "SlowFast RGB": ("slowfast_rgb", "slowfast.py", (25.07, 44.07, 40.52, 50.98, 42.92, 44.18)),
    "SlowFast Flow": ("slowfast_flow", "slowfast.py:flow", (22.87, 36.93, 71.90, 71.90, 44.81, 45.91)),
    "SlowFast Pose": ("slowfast_pose", "slowfast.py:pose", (28.33, 45.20, 64.71, 66.01, 42.45, 50.00)),
    "SlowFast Three-stream": ("slowfast_three_stream", None, (39.93, 56.00, 67.97, 73.86, 59.91, 62.89)),
    "TSN RGB": ("tsn_rgb", "tsn.py", (55.33, 75.00, 86.93, 84.31, 72.64, 72.48)),
    "TSN Flow": ("tsn_flow", "tsn.py:flow", (49.13, 66.60, 79.08, 86.27, 69.97, 68.24)),
    "TSN Two-stream": ("tsn_two_stream", None, (64.40, 80.13, 89.54, 90.20, 81.13, 78.93)),
    "TPN RGB": ("tpn_rgb", "tpn.py", (50.53, 68.13, 73.20, 75.82, 61.64, 64.15)),
    "ST-GCN Pose": ("stgcn_pose", "stgcn.py", (29.67, 47.13, 67.32, 67.97, 40.25, 43.87)),
}
_COMPOSITE = {  # columns of composite classes: label, what is learned, area
    "Inst.": ("composite", INSTRUMENTS),
    "Inst. with atomic": ("joint", INSTRUMENTS),
    "Sport": ("composite", SPORTS),
    "Sport with atomic": ("joint", SPORTS),
}


def with_words(config: str, *words: str) -> str:
    """A config with more words: "i3d.py:flow" and "joint" give "i3d.py:flow,joint"."""
    file, _, first = config.partition(":")
    return f"{file}:{','.join(filter(None, (first, *words)))}"


def _fusion_of(name: str, ending: str = "") -> Fusion:
    """I3D's and SlowFast's streams with equal weights, TSN's 1:1.5."""
    network = name.partition("_")[0]
    if network == "tsn":
        return Fusion((f"tsn_rgb{ending}", f"tsn_flow{ending}"), (1.0, 1.5))
    return Fusion(tuple(f"{network}_{stream}{ending}" for stream in ("rgb", "flow", "pose")))


def _table_6() -> Table:
    cells = []
    for row, (name, config, paper) in _TABLE_6.items():
        cells.append(Cell(row, "500 atomic top-1", name, paper=paper[0]))
        cells.append(Cell(row, "500 atomic top-3", name, "top3", paper=paper[1]))
        if config is None:
            FUSIONS[name] = _fusion_of(name)
        else:
            RUNS[name] = Run(config)
        for (column, (objective, area)), figure in zip(_COMPOSITE.items(), paper[2:], strict=True):
            ending = f"_{area}_{objective}"
            cells.append(Cell(row, column, name + ending, paper=figure))
            if config is None:
                FUSIONS[name + ending] = _fusion_of(name, ending)
            else:
                RUNS[name + ending] = Run(with_words(config, objective, f"area={area}"))
    return Table("Table 6: atomic actions, and composite ones learned without and with them", tuple(cells))


def _by_area(row: str, run: str, overall: float | None, figures: tuple = (None,) * 4) -> list[Cell]:
    """Cells of one network of 500 classes: over all test clips, then over those of each area."""
    cells = [Cell(row, "500 atomic", run, paper=overall)]
    for (area, column), figure in zip(AREAS.items(), figures, strict=True):
        cells.append(Cell(row, column, run, area=area, paper=figure))
    return cells


RGB_BY_AREA = (38.52, 30.72, 31.30, 28.82)


def _table_7() -> Table:
    RUNS["i3d_rgb+pose"] = Run("i3d.py:rgb+pose")
    cells = [
        *_by_area("RGB", "i3d_rgb", 33.53, RGB_BY_AREA),
        *_by_area("Pose", "i3d_pose", 35.73, (51.10, 24.18, 22.76, 25.38)),
        *_by_area("RGB + Pose", "i3d_rgb+pose", 42.80, (50.94, 32.03, 42.28, None)),
    ]
    return Table("Table 7: I3D given frames, joints or both", tuple(cells))


# Table 8: what is transferred to, and from: dataset names, and the paper's figures by target.
TARGETS = {"UCF101": "ucf101", "ActNet100": "activitynet100", "HMDB51": "hmdb51"}
_SOURCES = {
    "AVA": ("ava", (48.54, 30.51, 28.28)),
    "Gym288": ("gym288", (69.94, 43.79, 36.24)),
    "UCF101": ("ucf101", (None, 42.94, 32.37)),
    "ActNet100": ("activitynet100", (57.52, None, 28.63)),
    "HMDB51": ("hmdb51", (53.36, 39.33, None)),
    "HAA500 relaxed": ("", (62.24, 38.30, 33.29)),
    "HAA500": ("", (68.70, 47.75, 40.45)),
}


def _table_8() -> Table:
    cells = []
    for row, (folder, figures) in _SOURCES.items():
        start = {"HAA500": "i3d_rgb", "HAA500 relaxed": "i3d_rgb_relaxed"}.get(row, f"i3d_rgb_{folder}")
        if folder:
            RUNS[start] = Run("i3d.py", {"data.dataset": f"clip_folder/{folder}", "eval.every_epochs": 0})
        for (column, target), figure in zip(TARGETS.items(), figures, strict=True):
            if row == column:
                continue
            name = f"{start}_to_{target}"
            fields = {"data.dataset": f"clip_folder/{target}", "eval.every_epochs": 0}
            RUNS[name] = Run("i3d.py:last_three", fields, start)
            cells.append(Cell(row, column, name, paper=figure))
    return Table(
        "Table 8: I3D pre-trained on one dataset, its last three layers trained on another",
        tuple(cells),
        "UCF101, HMDB51 and the others are yours to get; `python -m tfds_haa500.build_folder` packages them.",
    )


def _table_9() -> Table:
    papers = {
        "I3D RGB": ("rgb", (66.01, 56.86, 75.82, 77.12)),
        "I3D Flow": ("flow", (73.20, 77.78, 75.16, 74.51)),
        "I3D Two-stream": ("two_stream", (77.78, 80.39, 83.01, 80.39)),
    }
    kinds = [(way, objective) for way in ("", "_normalised") for objective in ("composite", "joint")]
    cells = []
    for row, (stream, figures) in papers.items():
        for (way, objective), figure in zip(kinds, figures, strict=True):
            ending = f"{way}_{INSTRUMENTS}_{objective}"
            column = f"{'normalised' if way else 'original'}, {'both' if objective == 'joint' else 'composite'}"
            cells.append(Cell(row, column, f"i3d_{stream}{ending}", paper=figure))
            if stream == "two_stream":
                FUSIONS[f"i3d_two_stream{ending}"] = Fusion((f"i3d_rgb{ending}", f"i3d_flow{ending}"))
            elif way:
                words = with_words(f"i3d.py:{stream}", "normalised", objective, f"area={INSTRUMENTS}")
                RUNS[f"i3d_{stream}{ending}"] = Run(words, {"data.dataset": "haa500/instruments"})
    return Table(
        "Table 9: composite classes of musical instruments, frames cut out around the person of interest",
        tuple(cells),
        "haa500/instruments: python -m tfds_haa500.build --manual_dir=DIR --area=musical_instruments "
        "--streams=flow,boxes --name=instruments",
    )


def _table_10() -> Table:
    cells = []
    for row, words in {"RGB": "i3d.py", "RGB + Object": "i3d.py:rgb+objects"}.items():
        name = "i3d_coco_rgb" + ("+objects" if "objects" in words else "")
        RUNS[name] = Run(words, {"data.dataset": "haa500/coco"})
        cells.append(Cell(row, "HAA-COCO", name))
    return Table(
        "Table 10: I3D given frames and objects, on the classes that involve objects of COCO",
        tuple(cells),
        "The paper's classes are not public. haa500/coco: python -m tfds_haa500.build --manual_dir=DIR "
        "--classes=A,B,... --streams=objects --name=coco. One of the paper's two figures is 34.26 %, which is no "
        "k/441 of the 147 classes that it names.",
    )


def _table_11() -> Table:
    cells = []
    for frames in (1, 2, 4, 8, 16, 32):
        name = "i3d_rgb" if frames == 32 else f"i3d_rgb_{frames}_frames"
        if frames != 32:
            RUNS[name] = Run("i3d.py", {"data.frames": frames})
        cells.append(Cell(f"{frames} frames", "500 atomic", name, paper=33.53 if frames == 32 else None))
    for stride in (2, 4, 8):
        name = f"i3d_rgb_stride_{stride}"
        RUNS[name] = Run("i3d.py", {"data.stride": stride})
        cells.append(Cell(f"32 frames, stride {stride}", "500 atomic", name))
    return Table("Table 11: I3D by number of frames and stride", tuple(cells))


def _table_12() -> Table:
    RUNS["i3d_rgb_relaxed"] = Run("i3d.py", {"data.dataset": "haa500/relaxed", "eval.dataset": "haa500/rgb"})
    cells = [
        *_by_area("Original", "i3d_rgb", 33.53, RGB_BY_AREA),
        *_by_area("Relaxed", "i3d_rgb_relaxed", 22.80, (25.47, 20.92, 20.73, 20.86)),
    ]
    return Table("Table 12: I3D trained on clips cut exactly or with their surroundings", tuple(cells))


TABLES: dict[str, Table] = {
    "table6": _table_6(),
    "table7": _table_7(),
    "table8": _table_8(),
    "table9": _table_9(),
    "table10": _table_10(),
    "table11": _table_11(),
    "table12": _table_12(),
}
UNCHECKED = ("table8", "table9")
