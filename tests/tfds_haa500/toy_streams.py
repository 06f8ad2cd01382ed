"""Two streams that this package does not have, as somebody else would write them."""

import types

import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500.problems import ClipError


class Brightness:
    """Computed: the mean level of each frame."""

    def __init__(self, method):
        self._scale = {"mean": 1.0, "half": 0.5}[method]
        self._levels = []

    def __call__(self, image):
        self._levels.append(self._scale * image.mean())

    def features(self):
        return {"brightness": np.array(self._levels, np.float32)}


def read_remark(file, clip):
    text = file.read_bytes().decode()
    if not text:
        raise ClipError("is empty")
    return {"remark": f"{text} of {len(clip.frames)} frames"}


def stream(**attributes) -> types.ModuleType:
    """A module with these attributes, which worker processes get by value."""
    module = types.ModuleType("toy")
    vars(module).update(attributes)
    return module


BRIGHTNESS = stream(
    FILES=("{clip}.csv",),
    METHODS=("mean", "half"),
    features=lambda: {"brightness": tfds.features.Tensor(shape=(None,), dtype=np.float32)},
    metadata=lambda method: {"method": method},
    Computation=Brightness,
)
REMARK = stream(
    FILES=("{clip}.txt",), METHODS=(), features=lambda: {"remark": tfds.features.Text()}, metadata=lambda method: {},
    read=read_remark,
)  # fmt: skip
