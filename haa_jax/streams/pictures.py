"""What streams of pictures share: a stored clip whose pictures are decoded once, its settings and normalization."""

import collections
import functools
import threading
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.streams import images

# Fields that streams of pictures read, and those that normalized streams read, with the values that have no effect.
FIELDS = {"augment": "crop", "resize_max": 0, "person_crop": 0.0}
LEVELS = {"mean": (127.5,), "std": (127.5,)}
SCALES = (1, 0.875, 0.75)
PERSON_FEATURES = {"video": "", "person_box": "boxes"}  # of config.data.person_crop


def check(data):
    """Yields a line for each setting that pictures cannot be cropped with."""
    if data.crop > data.resize:
        yield f"config.data.crop={data.crop} is larger than config.data.resize={data.resize}"
    if data.resize_max and data.resize_max < data.resize:
        yield f"config.data.resize_max={data.resize_max} is smaller than config.data.resize={data.resize}"
    if data.temporal_padding == "zero":
        yield f"config.data.temporal_padding='zero' does not go with config.data.stream={data.stream!r}"


def check_levels(data, channels: int):
    """Yields a line for each setting that a stream of so many channels cannot be normalized with."""
    for field in ("mean", "std"):
        if len(data[field]) not in (1, channels):
            numbers = f"1 or {channels} numbers" if channels > 1 else "1 number"
            yield f"config.data.{field}={tuple(data[field])} must have {numbers}"
    if not all(level > 0 for level in data.std):
        yield f"config.data.std={tuple(data.std)} must be above 0"


class StoredClip:
    """A stored clip, and its pictures, each decoded by the thread that first asks for it.

    Args:
      example: feature -> value; `video`, `flow_x` and `flow_y` are sequences of encoded images or uint8 arrays.
      data: `config.data`.
      short_side: of the pictures, pixels; pictures are only for streams that are cropped.
      picture: of the leading stream; its pictures define the shape of all.
      uses: the positions of the pictures, each as often as it will be released; empty if nothing will be.
    """

    def __init__(self, example: dict, data, short_side: int = 0, picture=None, uses: Iterable[int] = ()):
        self.example, self.data = example, data
        self._short_side, self._picture = short_side, picture
        self._uses = collections.Counter(uses)
        self._pictures: dict[int, dict[Callable, np.ndarray]] = {}
        self._decoding: dict[int, threading.Lock] = {}  # so that of two threads that want a picture, one decodes it
        self._lock = threading.Lock()

    def shape(self, positions: np.ndarray) -> tuple[int, int]:
        """(height, width) of the pictures."""
        if self.data.person_crop:
            return self._short_side, self._short_side
        return self.picture(self._picture, int(positions[0])).shape[:2]

    def picture(self, make: Callable, position: int) -> np.ndarray:
        """`make(self, position)`, made once and kept until the position is released."""
        with self._lock:
            decoding = self._decoding.setdefault(position, threading.Lock())
        with decoding:
            made = self._pictures.setdefault(position, {})
            if make not in made:
                made[make] = make(self, position)
            return made[make]

    def release(self, positions: np.ndarray) -> None:
        """Frees those of the pictures at `positions` that are not used again."""
        with self._lock:
            for position in set(positions.tolist()):
                self._uses[position] -= 1
                if not self._uses[position]:
                    self._pictures.pop(position, None)

    def _free(self, make: Callable, position: int) -> None:
        """Frees one picture unless views other than the one being written will be released from its position."""
        with self._lock:
            if self._uses[position] <= 1:
                self._pictures.get(position, {}).pop(make, None)

    def crop(self, make: Callable, positions: np.ndarray, box: images.Box, out: np.ndarray) -> None:
        """Writes the box of the picture at each position to `out` (frames, crop, crop, channels).

        A picture that no other view will show is freed right after its last row: decoding into memory that was just
        freed is a fifth faster than into new memory.
        """
        last = {position: row for row, position in enumerate(positions.tolist())}
        for row, position in enumerate(positions.tolist()):
            out[row] = images.cut(self.picture(make, position), box, self.data.crop)
            if row == last[position]:
                self._free(make, position)

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """(positions, 4): what the pictures show of their frames; x, y, width, height in 0..1 of the frame."""
        if not self.data.person_crop:
            return np.broadcast_to(np.array([0.0, 0.0, 1.0, 1.0]), (len(positions), 4))
        boxes = self.example["person_box"][positions]
        return images.person_windows(boxes, *self._frame_shape, self.data.person_crop)

    @functools.cached_property
    def _frame_shape(self) -> tuple[int, int]:
        """(height, width) of the frames as they are stored."""
        return images.decode(self.example["video"][0]).shape[:2]

    def scaled(self, frame: np.ndarray, position: int, outside: int = 0) -> np.ndarray:
        """A decoded frame with its short side scaled, or only its part around the person.

        Args:
          outside: level where that part reaches beyond the frame.
        """
        if not self.data.person_crop:
            return images.scale(frame, self._short_side)
        (window,) = self.windows(np.array([position]))
        return images.show(frame, window, self._short_side, outside)


def normalize(clips: jax.Array, data) -> jax.Array:
    """(level - mean) / std of uint8 levels (..., channels), float32."""
    mean, std = np.array(data.mean), np.array(data.std)
    return clips.astype(jnp.float32) / np.float32(std) - np.float32(mean / std)
