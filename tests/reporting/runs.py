"""Runs for the tests of the report, as an evaluation writes them."""

import pathlib

import numpy as np

from haa_jax import predictions
from tfds_haa500 import taxonomy


def write_run(folder: pathlib.Path, arrays: dict, evaluated: str = "atomic", step: int = 7) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    results = {"step": step, **predictions.score(arrays, "test", evaluated)}
    predictions.write(folder, arrays, results)
    return folder


def small(wrong: dict[int, int] | None = None) -> dict:
    """12 clips, 3 of each of 4 classes of two areas, all correct but those of `wrong`: clip -> predicted class."""
    labels = np.repeat(np.arange(4), 3).astype(np.int32)
    predicted = labels.copy()
    for clip, label in (wrong or {}).items():
        predicted[clip] = label
    return {
        "clip_ids": np.array([f"clip_{i:02d}" for i in range(12)]),
        "areas": np.array(["inside", "inside", "outside", "outside"])[labels],
        "atomic_logits": 3 * np.eye(4, dtype=np.float32)[predicted] + np.arange(12, dtype=np.float32)[:, None] / 100,
        "atomic_labels": labels,
        "atomic_classes": np.array(["jump", "sit", "<b>fly & run</b>", "</script>"]),
    }


def haa500(seed: int = 0, skill: float = 1.2) -> dict:
    """1500 clips of all classes of HAA500; mistakes are likelier within an area, and likelier within a composite."""
    table, rng = taxonomy.load(taxonomy.HAA500_CSV), np.random.default_rng(seed)
    labels = np.repeat(np.arange(500), 3).astype(np.int32)
    areas, composites = np.array(table.areas), np.array(table.composites)
    logits = rng.normal(size=(1500, 500)) + skill * (np.arange(500) == labels[:, None])
    logits += 0.5 * (areas == areas[labels][:, None]) + 1.5 * (composites == composites[labels][:, None])
    names = np.array(table.names)
    return {
        "clip_ids": np.array([f"{names[label]}_{17 + i % 3:03d}" for i, label in enumerate(labels)]),
        "areas": areas[labels],
        "atomic_logits": logits.astype(np.float32),
        "atomic_labels": labels,
        "atomic_classes": names,
    }


def several(seed: int = 0, clips: int = 40) -> dict:
    """Clips of one or two of five classes, the last of which none has; predicted better than by chance."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((clips, 5), np.int8)
    labels[np.arange(clips), np.arange(clips) % 4] = labels[np.arange(clips), np.arange(clips) // 4 % 4] = 1
    return {
        "clip_ids": np.array([f"clip_{i:02d}" for i in range(clips)]),
        "atomic_logits": (rng.normal(size=labels.shape) + 2.0 * labels - 1).astype(np.float32),
        "atomic_labels": labels,
        "atomic_classes": np.array(["jump", "sit", "<b>fly & run</b>", "</script>", "rest"]),
        "atomic_threshold": np.array(0.5),
    }
