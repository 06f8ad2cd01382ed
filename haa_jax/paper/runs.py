"""Which trainings fill the cells of the paper's tables.

RUNS has every training: its `--config` and the fields that differ from it. FUSIONS adds the predictions of several
runs. SOURCES says which of them fills each cell. haa_jax/paper/commands.py turns them into command lines.

How the paper is read where it is silent: a network for composite classes is trained on one area only; the areas of
Tables 7, 10 and 12 are subsets of the test clips of a single network (their counts add up to the total); Table 11's
strides are between 32 sampled frames, 16 on AVA; "None" in Table 8 is a network trained on the target alone, all
layers included; the "last three layers" are Mixed_5b, Mixed_5c and Logits. docs/paper.md has the rest.
"""

import dataclasses

from haa_jax.paper import haa_coco
from haa_jax.paper.printed import AREAS, COLUMNS, FIGURES, INSTRUMENTS, SPORTS


@dataclasses.dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
      config: file and variants, as given to `--config=`.
      fields: other settings, as given to `--config.<field>=<value>`.
      start: the run whose network it starts from, with a new head; "" for none.
    """

    config: str
    fields: dict[str, str | int | float | tuple] = dataclasses.field(default_factory=dict)
    start: str = ""


@dataclasses.dataclass(frozen=True)
class Fusion:
    """The weighted sum of the logits of several runs; None for equal weights."""

    runs: tuple[str, ...]
    weights: tuple[float, ...] | None = None


RUNS: dict[str, Run] = {}
FUSIONS: dict[str, Fusion] = {}

# Dataset that users package themselves -> its name as a clip_folder.
FOLDERS = {
    "UCF101": "ucf101",
    "ActNet 100": "activitynet100",
    "HMDB51": "hmdb51",
    "Gym288": "gym288",
    "AVA": "ava",
}
# Their official lists label training and validation clips only: they are tested on validation.
WITHOUT_TEST = ("activitynet100", "gym288", "ava")
SEVERAL_LABELS = ("ava",)  # a clip has a set of labels
WITH_OBJECTS = "_objects"  # ending of a dataset that is packaged again, with detected objects


def with_variants(config: str, *variants: str) -> str:
    """A config with more variants: "i3d.py:flow" and "joint" give "i3d.py:flow,joint"."""
    file, _, first = config.partition(":")
    return ":".join(filter(None, (file, ",".join(filter(None, (first, *variants))))))


def _run(name: str, config: str, fields: dict | None = None, start: str = "") -> str:
    """Adds a run, which several tables may share, to RUNS and returns its name."""
    run = Run(config, fields or {}, start)
    if RUNS.setdefault(name, run) != run:
        raise ValueError(f"two different runs are called {name}: {run}, {RUNS[name]}")
    return name


def _fusion(name: str, runs: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
    FUSIONS[name] = Fusion(runs, weights)
    return name


def _on(dataset: str) -> dict:
    """Fields of a run on a dataset of FOLDERS; none has both a validation and a test split, so none is validated."""
    split = {"eval.split": "validation"} if dataset in WITHOUT_TEST else {}
    return {"data.dataset": f"clip_folder/{dataset}", "eval.every_epochs": 0} | split


def _i3d(stream: str = "rgb", dataset: str = "", ending: str = "", **data) -> str:
    """An I3D from scratch, on HAA500 or on a dataset of FOLDERS, with some fields of config.data."""
    config = with_variants("i3d.py", *([] if stream == "rgb" else [stream]), *_objective(dataset))
    fields = {f"data.{key}": value for key, value in data.items()} | (_on(dataset) if dataset else {})
    return _run("_".join(filter(None, ("i3d", stream, dataset, ending))), config, fields)


def _objective(dataset: str) -> list[str]:
    return ["multi_label"] if dataset in SEVERAL_LABELS else []


def _relaxed() -> str:
    return _run("i3d_rgb_relaxed", "i3d.py", {"data.dataset": "haa500/relaxed", "eval.dataset": "haa500/rgb"})


# Row of Table 6 -> the config, or the streams to fuse and their weights: equal for I3D and SlowFast, 1:1.5 for TSN.
_ROWS_6 = {
    "I3D RGB": "i3d.py",
    "I3D Flow": "i3d.py:flow",
    "I3D Pose": "i3d.py:pose",
    "I3D Three-Stream": (("rgb", "flow", "pose"), None),
    "SlowFast RGB": "slowfast.py",
    "SlowFast Flow": "slowfast.py:flow",
    "SlowFast Pose": "slowfast.py:pose",
    "SlowFast Three-Stream": (("rgb", "flow", "pose"), None),
    "TSN RGB": "tsn.py",
    "TSN Flow": "tsn.py:flow",
    "TSN Two-Stream": (("rgb", "flow"), (1.0, 1.5)),
    "TPN RGB": "tpn.py",
    "ST-GCN Pose": "stgcn.py",
}
# Column of Table 6 about composite classes -> (objective, area).
_COMPOSITE_COLUMNS = {
    "Inst.": ("composite", INSTRUMENTS),
    "Inst. with atomic": ("joint", INSTRUMENTS),
    "Sport": ("composite", SPORTS),
    "Sport with atomic": ("joint", SPORTS),
}


def _table_6(row: str, column: str) -> dict:
    objective, area = _COMPOSITE_COLUMNS.get(column, ("", ""))
    ending = f"_{area}_{objective}" if area else ""
    network, stream = row.lower().replace("st-gcn", "stgcn").replace("-", "_").split(" ")
    name = f"{network}_{stream}{ending}"
    source = _ROWS_6[row]
    if isinstance(source, str):
        run = _run(name, with_variants(source, objective, f"area={area}") if area else source)
    else:
        streams, weights = source
        run = _fusion(name, tuple(f"{network}_{each}{ending}" for each in streams), weights)
    return {"run": run, "metric": "top3" if column == "500 atomic top-3" else "top1"}


def _table_7(row: str, column: str) -> dict:
    stream = {"RGB": "rgb", "Pose": "pose", "RGB + Pose": "rgb+pose"}[column]
    if row in FOLDERS:
        return {"run": _i3d(stream, FOLDERS[row])}
    return {"run": _i3d(stream), "area": AREAS[row]}


def _table_8(row: str, column: str) -> dict:
    target = FOLDERS[column]
    if row == "None":
        return {"run": _i3d(dataset=target)}
    start = _relaxed() if row == "Relaxed" else _i3d(dataset=FOLDERS.get(row, ""))
    return {"run": _run(f"{start}_to_{target}", "i3d.py:last_three", _on(target), start)}


def _table_9(row: str, column: str) -> dict:
    frames, labels = column.split(" ")
    objective = {"Composite": "composite", "Both": "joint"}[labels]
    ending = f"{'_normalized' if frames == 'Normalized' else ''}_{INSTRUMENTS}_{objective}"
    if row == "2-Stream":
        return {"run": _fusion(f"i3d_two_stream{ending}", (f"i3d_rgb{ending}", f"i3d_flow{ending}"))}
    stream = {"I3D-RGB": "rgb", "I3D-Flow": "flow"}[row]
    name = f"i3d_{stream}{ending}"
    if frames == "Normalized":
        variants = with_variants(f"i3d.py:{stream}", "normalized", objective, f"area={INSTRUMENTS}")
        _run(name, variants, {"data.dataset": "haa500/instruments"})
    return {"run": name}  # with the original frames, the run is Table 6's


def _table_10(row: str, column: str) -> dict:
    objects = column == "+ Object"
    if row == "UCF101":
        dataset = FOLDERS[row]
        return {"run": _i3d("rgb+objects", dataset + WITH_OBJECTS) if objects else _i3d(dataset=dataset)}
    run = _run("i3d_rgb+objects", "i3d.py:rgb+objects", {"data.dataset": "haa500/objects"}) if objects else _i3d()
    return {"run": run, "classes": haa_coco.FILE} if row == "HAA-COCO" else {"run": run, "area": AREAS[row]}


def _table_11(row: str, column: str) -> dict:
    dataset = FOLDERS.get(column, "")
    metric = {"metric": "mean_iou"} if dataset in SEVERAL_LABELS else {}
    if row == "32":
        return {"run": _i3d(dataset=dataset)} | metric
    kind, _, number = row.rpartition(" ")
    if kind != "stride":
        return {"run": _i3d(dataset=dataset, ending=f"{row}_frames", frames=int(row))} | metric
    fewer = {"frames": 16} if column == "AVA" else {}
    return {"run": _i3d(dataset=dataset, ending=f"stride_{number}", stride=int(number), **fewer)} | metric


def _table_12(row: str, column: str) -> dict:
    return {"run": _relaxed() if column == "Relaxed" else _i3d(), "area": AREAS[row]}


_TABLES = {
    "table6": _table_6,
    "table7": _table_7,
    "table8": _table_8,
    "table9": _table_9,
    "table10": _table_10,
    "table11": _table_11,
    "table12": _table_12,
}
# (table, row, column) of every printed figure -> the fields of its `tables.Cell` that say where ours comes from.
SOURCES: dict[tuple[str, str, str], dict[str, str]] = {
    (table, row, column): source(row, column)
    for table, source in _TABLES.items()
    for row, figures in FIGURES[table].items()
    for column, figure in zip(COLUMNS[table], figures, strict=True)
    if figure is not None
}

# The table that is not the paper's. What the network starts from and what of it learns -> the run.
FROM_SCRATCH = "From scratch"
KINETICS = {
    FROM_SCRATCH: _i3d(),
    "Kinetics-400, all layers": _run("i3d_rgb_kinetics", "i3d.py", {"init_from": "kinetics-400"}),
    "Kinetics-400, last three layers": _run(
        "i3d_rgb_kinetics_last_three", "i3d.py:last_three", {"init_from": "kinetics-400"}
    ),
    "Kinetics-400, linear probe": _run(
        "i3d_rgb_kinetics_probe", "i3d.py", {"init_from": "kinetics-400", "optimizer.trainable": ("Logits",)}
    ),
}
