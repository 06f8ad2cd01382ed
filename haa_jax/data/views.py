"""The views of a stored clip: sampled, cropped and written as the arrays of `streams.clip_spec`.

All that is needed of a clip is a dictionary with the features of its stream, such as {"video": [JPEG or uint8 (height,
width, 3), ...]}, with "fps" if `config.data.fps` is set: no dataset.
"""

import itertools
import threading
from collections.abc import Callable

import numpy as np

from haa_jax import streams
from haa_jax.data import augment, sampling
from haa_jax.streams import images
from haa_jax.streams.pictures import StoredClip

Clip = dict[str, np.ndarray]  # stream -> array
NO_BOX = images.Box(0, 0, 0, 0)  # of streams that are not cropped


def empty_clips(data, *leading: int) -> Clip:
    """Uninitialized arrays for clips, with leading axes."""
    return {name: np.empty((*leading, *shape), dtype) for name, (shape, dtype) in streams.clip_spec(data).items()}


def row(clips: Clip, index: int) -> Clip:
    """Clip `index` of clips with a leading axis, as views of their arrays."""
    return {name: array[index] for name, array in clips.items()}


def train_clip(example: dict, data, rng: np.random.Generator, out: Clip) -> None:
    """Writes one random view of a stored example to `out`.

    Args:
      data: `config.data`.
    """
    positions = sampling.train_positions(*length_and_fps(example, data), data, rng)
    if streams.is_cropped(data):
        clip = StoredClip(example, data, augment.train_short_side(data, rng), streams.leading(data).picture)
        box = augment.train_box(*clip.shape(positions), data, streams.scales(data), rng)
    else:
        clip = StoredClip(example, data)
        box = augment.random_flip(NO_BOX, data, rng)
    _write(clip, positions, box, out, rng)


class ClipViews:
    """The views of one clip at test: window by window, and crop by crop within each window.

    Any thread may write any view. The clip is read when the first view is written. Every picture is decoded once and
    freed with the last view that shows it: if views are written in order, memory does not grow with their number.

    Args:
      read: returns the stored example.
      data: `config.data` at test (`pipeline.at_test`).
      windows, crops: the clip has `windows * crops` views, `windows` as in `sampling.test_positions`; without cropping,
        `crops` must be 1.
    """

    def __init__(self, read: Callable[[], dict], data, windows: int, crops: int):
        self._read, self._data, self._windows, self._crops = read, data, windows, crops
        self._lock = threading.Lock()
        self._opened = None

    def write(self, view: int, out: Clip) -> None:
        """Writes a view to `out`; to be called once for each view."""
        clip, positions, box = self._view(view)
        _write(clip, positions, box, out)
        clip.release(positions)

    def region(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """What a view shows, before mirroring; to be called before the view is written.

        Returns:
          Positions int64 (frames,), and the part of the frame at each of them, float (frames, 4): x, y, width, height
          in 0..1 of the frame. Around a person it may reach beyond the frame; without cropping, it is the whole frame.
        """
        clip, positions, box = self._view(view)
        if box == NO_BOX:
            return positions, np.tile([0.0, 0.0, 1.0, 1.0], (len(positions), 1))
        height, width = clip.shape(positions)
        part = np.array([box.left / width, box.top / height, box.width / width, box.height / height])
        windows = clip.windows(positions)  # what the pictures show of the frames
        return positions, np.concatenate([windows[:, :2] + windows[:, 2:] * part[:2], windows[:, 2:] * part[2:]], 1)

    def _view(self, view: int) -> tuple[StoredClip, np.ndarray, images.Box]:
        with self._lock:
            self._opened = self._opened or self._open()
        clip, windows, boxes = self._opened
        window, crop = divmod(view, self._crops)
        return clip, windows[window], boxes[crop]

    def _open(self) -> tuple[StoredClip, list[np.ndarray], list[images.Box]]:
        example, data = self._read(), self._data
        windows = sampling.test_positions(*length_and_fps(example, data), data, self._windows)
        if not streams.is_cropped(data):
            return StoredClip(example, data), windows, [NO_BOX]
        shown = itertools.chain.from_iterable(set(window.tolist()) for window in windows * self._crops)
        clip = StoredClip(example, data, data.resize, streams.leading(data).picture, shown)
        return clip, windows, augment.test_boxes(*clip.shape(windows[0]), data.crop, self._crops)


def length_and_fps(example: dict, data) -> tuple[int, float]:
    """Positions that a stored clip can be sampled at, and its frames per second, 0 if `data.fps` does not need them."""
    length = streams.num_positions(streams.leading(data).num_frames(example), data)
    return length, float(example["fps"]) if data.fps else 0.0


def _write(clip: StoredClip, positions: np.ndarray, box: images.Box, out: Clip, rng=None) -> None:
    for name, stream in streams.modalities(clip.data).items():
        stream.write(clip, positions, box, out[name], rng)
