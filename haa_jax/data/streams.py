"""The input streams: what of a stored clip becomes the array that a batch holds.

    stream     array of one clip                                        needs of the dataset
    rgb        uint8 (frames, crop, crop, 3)                            video
    flow       uint8 (frames, crop, crop, 2 * flow_stack), x1 y1 x2 ...  flow_x, flow_y
    pose       float32 (frames, 17, 3), pixels of the crop and score    video, pose
    skeleton   float32 (2, frames, joints, 3), x, y around 0 and score  pose

What is left to do happens on the device: `modalities.prepare`.
"""

import itertools

import numpy as np

from haa_jax.data import augment, joints, sampling

FEATURES = {
    "rgb": ("video",),
    "flow": ("flow_x", "flow_y"),
    "pose": ("video", "pose"),
    "skeleton": ("pose",),
}
STREAMS = tuple(FEATURES)
PEOPLE = 2  # in the dataset's poses, the most prominent first


def clip_shape(config) -> tuple[int, ...]:
    """Shape of one clip of `config.data`, as in the table above."""
    if config.stream == "skeleton":
        return PEOPLE, config.frames, 18 if config.skeleton == "openpose18" else 17, 3
    if config.stream == "pose":
        return config.frames, 17, 3
    return config.frames, config.crop, config.crop, 3 if config.stream == "rgb" else 2 * config.flow_stack


def clip_dtype(config) -> np.dtype:
    return np.dtype(np.uint8 if config.stream in ("rgb", "flow") else np.float32)


def train_clip(example: dict, config, rng: np.random.Generator, out: np.ndarray) -> None:
    """Writes one random view of a stored example to `out`."""
    positions = sampling.train_positions(_positions(example, config), config, rng)
    if config.stream == "skeleton":
        out[...] = _skeleton(example, positions, config, mirrored=bool(config.flip and rng.random() < 0.5))
        if config.random_move:
            out[...] = joints.random_move(out, rng)
        return
    frames = _Frames(example, config, augment.train_short_side(config, rng))
    box = augment.train_box(*frames.shape(positions), config, rng)
    frames.write(positions, box, out)
    if config.colour_jitter:
        augment.jitter_colours(out, rng)


def test_clip(example: dict, config, windows: int, crops: int, out: np.ndarray) -> None:
    """Writes all views of a stored example to `out` (windows * crops, ...), every picture decoded once."""
    views = sampling.test_positions(_positions(example, config), config, windows)
    if config.stream == "skeleton":
        for row, positions in zip(out, views, strict=True):
            row[...] = _skeleton(example, positions, config, mirrored=False)
        return
    frames = _Frames(example, config, config.resize)
    boxes = augment.test_boxes(*frames.shape(np.concatenate(views)), config.crop, crops)
    for row, (positions, box) in zip(out, itertools.product(views, boxes), strict=True):
        frames.write(positions, box, row)


def _positions(example: dict, config) -> int:
    """Positions that a clip can be sampled at: its frames, or where a whole stack of flow fields starts."""
    if config.stream == "flow":
        return max(1, len(example["flow_x"]) - config.flow_stack + 1)
    return len(example["pose" if config.stream == "skeleton" else "video"])


class _Frames:
    """The pictures of one clip, each decoded when it is first asked for."""

    def __init__(self, example: dict, config, short_side: int):
        self._example, self._config, self._short_side = example, config, short_side
        self._decoded = {}

    def shape(self, positions: np.ndarray) -> tuple[int, int]:
        """(height, width) of the pictures."""
        return self._picture(int(positions[0])).shape[:2]

    def write(self, positions: np.ndarray, box: augment.Box, out: np.ndarray) -> None:
        if self._config.stream == "pose":
            seen = self._example["pose"][positions, 0]
            out[...] = joints.to_crop(seen, *self.shape(positions), box, self._config.crop)
            return
        for row, position in zip(out, positions, strict=True):
            row[...] = augment.cut(self._picture(int(position)), box, self._config.crop)
        if self._config.stream == "flow" and box.flip:
            out[..., 0::2] = 255 - out[..., 0::2]  # what moved right moves left

    def _picture(self, position: int) -> np.ndarray:
        if position not in self._decoded:
            self._decoded[position] = self._decode(position)
        return self._decoded[position]

    def _decode(self, position: int) -> np.ndarray:
        if self._config.stream != "flow":
            return augment.decode(self._example["video"][position], self._short_side)
        last = len(self._example["flow_x"]) - 1
        fields = np.minimum(position + np.arange(self._config.flow_stack), last)
        planes = [
            augment.decode(self._example[axis][field], self._short_side, grey=True)
            for field in fields
            for axis in ("flow_x", "flow_y")
        ]
        return np.stack(planes, axis=-1)


def _skeleton(example: dict, positions: np.ndarray, config, *, mirrored: bool) -> np.ndarray:
    """(people, frames, joints, 3), zeros in the frames behind the end of a short clip."""
    pose = example["pose"]
    seen = pose[np.minimum(positions, len(pose) - 1)]
    if config.short_clips == "zero":
        seen = np.where((positions < len(pose))[:, None, None, None], seen, 0)
    seen = joints.flip(seen) if mirrored else seen
    seen = joints.to_openpose(seen) if config.skeleton == "openpose18" else seen
    return joints.centred(seen).transpose(1, 0, 2, 3)
