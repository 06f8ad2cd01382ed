"""What the HAA500 paper's Tables 3 and 5 say of the dataset, computed from a built one; no frame is decoded."""

import dataclasses
import sys

import numpy as np
import tqdm

from haa_jax.data import dataset
from tfds_haa500 import records

DETECTED = 0.5  # score above which a joint counts as detectable


@dataclasses.dataclass(frozen=True)
class Facts:
    """One value a clip: frames, seconds, people, camera_moving, and the share of detectable joints (NaN: no poses)."""

    frames: np.ndarray
    seconds: np.ndarray
    people: np.ndarray
    camera_moving: np.ndarray
    joints: np.ndarray


def read(name: str, data_dir: str = "") -> tuple[Facts, int]:
    """Reads every clip's facts, and the number of classes.

    The share of joints is that of the most prominent person over all frames; a frame without anyone has none.

    Raises:
      DatasetError: the dataset is not there.
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


def _facts(example: dict) -> tuple[float, ...]:
    frames = len(example["video"])
    detected = (example["pose"][:, 0, :, 2] > DETECTED).mean() if "pose" in example else np.nan
    seconds = frames / float(example["fps"])
    return frames, seconds, int(example["num_people"]), bool(example["camera_moving"]), float(detected)


def describe(name: str, data_dir: str, tables: list[str]) -> str:
    """The wanted ones of "table3" and "table5" as text."""
    facts, classes = read(name, data_dir)
    text = {"table3": table_3(facts, classes), "table5": table_5(facts)}
    return "\n\n".join(f"{text[table]}\n(of {name})" for table in tables)


def table_3(facts: Facts, classes: int) -> str:
    """Clips, lengths, people and camera, beside what the paper says of v1.0."""
    clips = len(facts.frames)
    annotated = facts.people > 0  # a clip_folder's clips are not
    rows = [
        ("classes", f"{classes}", "500"),
        ("clips", f"{clips}", "10,000"),
        ("mean length", f"{facts.seconds.mean():.2f} s", "2.12 s"),
        ("shortest, longest", f"{facts.seconds.min():.2f} s, {facts.seconds.max():.2f} s", ""),
        ("frames", f"{int(facts.frames.sum()):,}", "591,000"),
        ("mean frames a clip", f"{facts.frames.mean():.1f}", "59.1"),
        ("more than one person", _share(facts.people > 1, annotated), "16.91 %"),
        ("moving camera", _share(facts.camera_moving, annotated), "23.73 %"),
    ]
    return _text("Table 3: the dataset", rows)


def table_5(facts: Facts) -> str:
    """The share of joints of the most prominent person that a pose estimator is sure of."""
    share = "no poses in this dataset" if np.isnan(facts.joints).all() else _percent(facts)
    return _text(f"Table 5: joints with a score above {DETECTED}", [("detectable joints", share, "69.7 %")])


def _share(yes: np.ndarray, annotated: np.ndarray) -> str:
    return f"{100 * yes[annotated].mean():.2f} %" if annotated.any() else "not annotated"


def _percent(facts: Facts) -> str:
    return f"{100 * np.average(facts.joints, weights=facts.frames):.2f} %"


def _text(title: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [("", "here", "paper"), *rows]
    return "\n".join([title, "", *(f"{what:22} {here:>26} {theirs:>12}".rstrip() for what, here, theirs in lines)])
