"""The input streams: what of a stored clip becomes the arrays that a batch holds.

    part       array of one clip                                        needs of the dataset
    rgb        uint8 (frames, crop, crop, 3)                            video
    flow       uint8 (frames, crop, crop, 2 * flow_stack), x1 y1 x2 ...  flow_x, flow_y
    pose       float32 (frames, 17, 3), pixels of the crop and score    video, pose
    objects    uint8 (frames, crop, crop, 5), 255 * score in each box   video, objects
    skeleton   float32 (2, frames, joints, 3), x, y around 0 and score  pose

A stream is one part, or several, joined by "+", whose channels the network sees together (early fusion); they share
frames, crop and flip. A clip is a dictionary of its parts' arrays. What is left to do happens on the device:
`modalities.preprocess`.
"""

import collections
import functools
import itertools
import threading
from collections.abc import Callable, Iterable

import numpy as np

from haa_jax.data import augment, sampling
from haa_jax.streams import joints, objects

FEATURES = {
    "rgb": ("video",),
    "flow": ("flow_x", "flow_y"),
    "pose": ("video", "pose"),
    "objects": ("video", "objects"),
    "skeleton": ("pose",),
}
STREAMS = ("rgb", "flow", "pose", "skeleton", "rgb+pose", "rgb+objects")
PEOPLE = 2  # in the dataset's poses, the most prominent first
Clip = dict[str, np.ndarray]


def parts(config) -> tuple[str, ...]:
    """The parts of `config.data.stream`."""
    return tuple(config.stream.split("+"))


def features(config) -> tuple[str, ...]:
    """What a dataset must have for `config.data`."""
    wanted = dict.fromkeys(itertools.chain.from_iterable(FEATURES[part] for part in parts(config)))
    return (*wanted, "video", "person_box") if config.person_crop else tuple(wanted)


def clip_spec(config) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each part of one clip of `config.data`, as in the table above."""
    picture = (config.frames, config.crop, config.crop)
    skeleton_joints = 18 if config.skeleton == "openpose18" else 17
    spec = {
        "rgb": ((*picture, 3), np.uint8),
        "flow": ((*picture, 2 * config.flow_stack), np.uint8),
        "pose": ((config.frames, 17, 3), np.float32),
        "objects": ((*picture, objects.GROUPS), np.uint8),
        "skeleton": ((PEOPLE, config.frames, skeleton_joints, 3), np.float32),
    }
    return {part: (spec[part][0], np.dtype(spec[part][1])) for part in parts(config)}


def empty_clips(config, *leading: int) -> Clip:
    """Uninitialized arrays for clips, with leading axes."""
    return {part: np.empty((*leading, *shape), dtype) for part, (shape, dtype) in clip_spec(config).items()}


def row(clips: Clip, index: int) -> Clip:
    """Clip `index` of clips with a leading axis, as views of their arrays."""
    return {part: array[index] for part, array in clips.items()}


def train_clip(example: dict, config, rng: np.random.Generator, out: Clip) -> None:
    """Writes one random view of a stored example to `out`."""
    positions = sampling.train_positions(_length(example, config), _fps(example, config), config, rng)
    if config.stream == "skeleton":
        view = _skeleton(example, positions, config, mirrored=bool(config.flip and rng.random() < 0.5))
        out["skeleton"][...] = joints.random_move(view, rng) if config.random_move else view
        return
    frames = _Frames(example, config, augment.train_short_side(config, rng))
    box = augment.train_box(*frames.shape(positions), config, rng)
    frames.write(positions, box, out)
    if config.color_jitter:
        augment.jitter_colors(out["rgb"], rng)


class ClipViews:
    """The views of one clip at test, window after window and in each of them crop after crop.

    Any thread may write any view. The clip is read when the first one is written; every picture is decoded once, and
    let go with the last view that shows it: the memory of views written in order does not grow with their number.

    Args:
      read: returns the stored example.
      config: `config.data`, as it is at test.
      windows, crops: the clip has `windows * crops` views, `windows` as in `sampling.test_positions`; those of
        skeletons are windows, crops must be 1.
    """

    def __init__(self, read: Callable[[], dict], config, windows: int, crops: int):
        self._read, self._config, self._windows, self._crops = read, config, windows, crops
        self._lock = threading.Lock()
        self._opened = None

    def write(self, view: int, out: Clip) -> None:
        """Writes a view, which is to be done once for each, to `out` as `clip_spec` says."""
        with self._lock:
            self._opened = self._opened or self._open()
        example, windows, frames, boxes = self._opened
        window, crop = divmod(view, self._crops)
        if frames is None:
            out["skeleton"][...] = _skeleton(example, windows[window], self._config, mirrored=False)
            return
        frames.write(windows[window], boxes[crop], out)
        frames.release(windows[window])

    def _open(self) -> tuple:
        example = self._read()
        length, fps = _length(example, self._config), _fps(example, self._config)
        windows = sampling.test_positions(length, fps, self._config, self._windows)
        if self._config.stream == "skeleton":
            return example, windows, None, None
        shown = itertools.chain.from_iterable(set(window.tolist()) for window in windows * self._crops)
        frames = _Frames(example, self._config, self._config.resize, shown)
        boxes = augment.test_boxes(*frames.shape(windows[0]), self._config.crop, self._crops)
        return example, windows, frames, boxes


def num_positions(num_frames: int, config) -> int:
    """Positions that a clip can be sampled at: its frames, or where a whole stack of flow fields starts."""
    return max(1, num_frames - config.flow_stack) if config.stream == "flow" else num_frames


def _length(example: dict, config) -> int:
    if config.stream == "flow":
        return num_positions(len(example["flow_x"]) + 1, config)
    return num_positions(len(example["pose" if config.stream == "skeleton" else "video"]), config)


def _fps(example: dict, config) -> float:
    """Frames per second of a clip; 0 where the config does not ask."""
    return float(example["fps"]) if config.fps else 0.0


class _Frames:
    """The pictures of one clip, each decoded by the thread that first asks for it.

    Args:
      uses: the numbers of the pictures, each as often as it will be released; none where nothing will be.
    """

    def __init__(self, example: dict, config, short_side: int, uses: Iterable[int] = ()):
        self._example, self._config, self._short_side = example, config, short_side
        self._uses = collections.Counter(uses)
        self._pictures: dict[int, np.ndarray] = {}
        self._decoding: dict[int, threading.Lock] = {}  # so that a picture that two threads want is decoded by one
        self._lock = threading.Lock()

    def release(self, positions: np.ndarray) -> None:
        """Lets go of those of the pictures at `positions` that this was the last use of."""
        with self._lock:
            for position in set(positions.tolist()):
                self._uses[position] -= 1
                if not self._uses[position]:
                    self._pictures.pop(position, None)

    def shape(self, positions: np.ndarray) -> tuple[int, int]:
        """(height, width) of the pictures."""
        if self._config.person_crop:
            return self._short_side, self._short_side
        return self._picture(int(positions[0])).shape[:2]

    def write(self, positions: np.ndarray, box: augment.Box, out: Clip) -> None:
        crop = self._config.crop
        for part, array in out.items():
            if part == "pose":
                seen = joints.in_windows(self._example["pose"][positions, 0], self._windows(positions))
                array[...] = joints.to_crop(seen, *self.shape(positions), box, crop)
            elif part == "objects":
                windows, shape = self._windows(positions), self.shape(positions)
                objects.paint(self._example["objects"], windows, positions, shape, box, array)
            else:
                for picture, position in zip(array, positions, strict=True):
                    picture[...] = augment.cut(self._picture(int(position)), box, crop)
                if part == "flow" and box.flip:
                    array[..., 0::2] = 255 - array[..., 0::2]  # what moved right moves left

    def _windows(self, positions: np.ndarray) -> np.ndarray:
        """(positions, 4): what the pictures show of their frames; x, y, width, height in 0..1 of the frame."""
        if not self._config.person_crop:
            return np.broadcast_to(np.array([0.0, 0.0, 1.0, 1.0]), (len(positions), 4))
        boxes = self._example["person_box"][positions]
        return augment.person_windows(boxes, *self._frame_shape, self._config.person_crop)

    @functools.cached_property
    def _frame_shape(self) -> tuple[int, int]:
        """(height, width) of the frames as they are stored."""
        return augment.decode(self._example["video"][0]).shape[:2]

    def _picture(self, position: int) -> np.ndarray:
        with self._lock:
            decoding = self._decoding.setdefault(position, threading.Lock())
        with decoding:
            if position not in self._pictures:
                self._pictures[position] = self._decode(position)
            return self._pictures[position]

    def _decode(self, position: int) -> np.ndarray:
        if self._config.stream != "flow":
            return self._scaled(augment.decode(self._example["video"][position]), position)
        last = len(self._example["flow_x"]) - 1
        fields = np.minimum(position + np.arange(self._config.flow_stack), last)
        planes = [
            self._scaled(augment.decode(self._example[axis][field], gray=True), int(field))
            for field in fields
            for axis in ("flow_x", "flow_y")
        ]
        return np.stack(planes, axis=-1)

    def _scaled(self, picture: np.ndarray, position: int) -> np.ndarray:
        """A stored picture with its short side scaled, or only the part around the person."""
        if not self._config.person_crop:
            return augment.scale(picture, self._short_side)
        (window,) = self._windows(np.array([position]))
        outside = 128 if self._config.stream == "flow" else 0  # flow: no motion
        return augment.show(picture, window, self._short_side, outside)


def _skeleton(example: dict, positions: np.ndarray, config, *, mirrored: bool) -> np.ndarray:
    """(people, frames, joints, 3), zeros in the frames behind the end of a short clip."""
    pose = example["pose"]
    seen = pose[np.minimum(positions, len(pose) - 1)]
    if config.temporal_padding == "zero":
        seen = np.where((positions < len(pose))[:, None, None, None], seen, 0)
    seen = joints.flip(seen) if mirrored else seen
    seen = joints.to_openpose(seen) if config.skeleton == "openpose18" else seen
    return joints.centered(seen).transpose(1, 0, 2, 3)
