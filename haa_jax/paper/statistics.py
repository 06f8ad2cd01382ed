"""The HAA500 paper's Tables 3 and 5 about the dataset, computed from a built one; no frame is decoded."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from haa_jax.data import dataset
from haa_jax.paper.printed import TABLE_3, TABLE_5
from tfds_haa500 import records

TABLES = ("table3", "table5")
DETECTED = 0.5  # score above which a joint counts as detectable
# A dataset's name as a clip_folder -> its row of Table 5. The paper does not say which of FineGym's sets it took.
ROWS_5 = {"kinetics400": "Kinetics 400", "ucf101": "UCF101", "hmdb51": "HMDB51", "gym288": "FineGym"}


@dataclasses.dataclass(frozen=True)
class Facts:
    """One value per clip; every array is (clips,).

    Attributes:
      frames: int.
      seconds: float.
      people: int; 0 if not annotated.
      camera_moving: bool.
      joints: float, the share of detectable joints; NaN without poses.
    """

    frames: np.ndarray
    seconds: np.ndarray
    people: np.ndarray
    camera_moving: np.ndarray
    joints: np.ndarray


def read(name: str, data_dir: str = "") -> tuple[Facts, int]:
    """Reads the facts of every clip, and the number of classes.

    The share of joints is that of the most prominent person over all frames; a frame without people counts as 0.

    Raises:
      DatasetError: the dataset has not been built.
    """
    builder = dataset.open_builder(name, data_dir)
    rows = []
    total = sum(info.num_examples for info in builder.info.splits.values())
    with tqdm.tqdm(total=total, desc="reading", unit=" clips", file=sys.stderr, mininterval=1) as bar:
        for split in builder.info.splits:
            index = records.read_index(builder.data_path, split)
            reader = records.ClipReader(builder.data_path, builder.info.features, index)
            for clip in range(len(index)):
                rows.append(_facts(reader[clip]))
                bar.update()
    return Facts(*map(np.array, zip(*rows, strict=True))), builder.info.features["label"].num_classes


def _facts(example: dict) -> tuple[int, float, int, bool, float]:
    """The fields of Facts, of one clip."""
    frames = len(example["video"])
    # pose: (frames, people, joints, 3), the last of x, y, score; people by prominence
    detected = (example["pose"][:, 0, :, 2] > DETECTED).mean() if "pose" in example else np.nan
    seconds = frames / float(example["fps"])
    return frames, seconds, int(example["num_people"]), bool(example["camera_moving"]), float(detected)


def describe(names: Sequence[str], data_dir: str, tables: Sequence[str]) -> str:
    """Some of TABLES as text, of one or several datasets: Table 3 of each, Table 5 of all. Raises DatasetError."""
    found = {name: read(name, data_dir) for name in names}
    parts = []
    if "table3" in tables:
        parts += [f"{table_3(*of_one)}\n(of {name})" for name, of_one in found.items()]
    if "table5" in tables:
        shares = {name: facts for name, (facts, _) in found.items()}
        parts.append(f"{table_5(shares)}\n(of {', '.join(names)})")
    return "\n\n".join(parts)


def table_3(facts: Facts, classes: int) -> str:
    """Clips, lengths, people and camera next to the paper's, which are of v1.0; then figures derived from them."""
    clips, frames = len(facts.frames), int(facts.frames.sum())
    annotated = facts.people > 0  # the clips of a clip_folder are not
    ours = {
        "actions": f"{classes:,}",
        "clips": f"{clips:,}",
        "mean length": f"{facts.seconds.mean():.2f} s",
        "duration": f"{facts.seconds.sum():,.0f} s",
        "frames": f"{frames:,}",
        "1 person": _count(facts.people == 1, annotated),
        "2 people": _count(facts.people == 2, annotated),
        ">2 people": _count(facts.people > 2, annotated),
        "moving camera": _count(facts.camera_moving, annotated),
        "still camera": _count(~facts.camera_moving, annotated),
    }
    derived = [
        ("mean frames a clip", f"{frames / clips:.1f}", "59.1 = 591K / 10,000"),
        ("more than one person", _share(facts.people > 1, annotated), "16.91 % = (859 + 832) / 10,000"),
        ("moving camera", _share(facts.camera_moving, annotated), "23.73 % = 2,373 / 10,000"),
        ("shortest, longest", f"{facts.seconds.min():.2f} s, {facts.seconds.max():.2f} s", "not given"),
    ]
    main = _text("Table 3: the dataset (the paper's is version 1.0)", _with_printed(ours, TABLE_3))
    return "\n".join([main, "Not in the paper's table, derived from its figures:", *map(_line, derived)])


def table_5(facts: Mapping[str, Facts]) -> str:
    """The share of joints of the most prominent person that the pose estimator detects, of each dataset by name."""
    ours = dict.fromkeys(TABLE_5, "missing")
    for name, found in facts.items():
        family, _, config = name.partition("/")
        row = "HAA500" if family == "haa500" else ROWS_5.get(config, name)
        row = name if ours.get(row, "missing") != "missing" else row  # a second one of the same row has its own
        ours[row] = "no poses in this dataset" if np.isnan(found.joints).all() else _mean_joints(found)
    return _text(f"Table 5: detectable joints, those with a score above {DETECTED}", _with_printed(ours, TABLE_5))


def _with_printed(ours: dict[str, str], printed: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(row, figure, printed.get(row, "-")) for row, figure in ours.items()]


def _count(selected: np.ndarray, annotated: np.ndarray) -> str:
    return f"{selected[annotated].sum():,}" if annotated.any() else "not annotated"


def _share(selected: np.ndarray, annotated: np.ndarray) -> str:
    return f"{100 * selected[annotated].mean():.2f} %" if annotated.any() else "not annotated"


def _mean_joints(facts: Facts) -> str:
    return f"{100 * np.average(facts.joints, weights=facts.frames):.2f} %"


def _text(title: str, rows: list[tuple[str, str, str]]) -> str:
    return "\n".join([title, "", *map(_line, [("", "here", "paper"), *rows])])


def _line(row: tuple[str, str, str]) -> str:
    name, here, printed = row
    return f"{name:22} {here:>26}   {printed}".rstrip()
