"""What takes long to compute, kept on disk until the dataset is built: an interrupted build goes on from there.

For a stream's slow methods only (TV-L1 takes 190 core-hours for HAA500); to decode everything again takes minutes.
"""

import hashlib
import io
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from tfds_haa500.runtime.files import write_atomically

FOLDER = "kept"  # next to the dataset's, as TFDS's incomplete one is
PAIRS = 16  # pairs of frames in a file


class Kept:
    """A computation of a stream, as streams/__init__.py has it, that looks for its results first.

    A file's name is a checksum of the frames, the method and OpenCV's version, so it can be of nothing else. What a
    damaged file had is computed again.

    Args:
      start: makes the computation; its features have an entry for each pair of successive frames.
      method: what it computes.
      folder: of the files; made if missing.
    """

    def __init__(self, start: Callable, method: str, folder: pathlib.Path):
        self._start, self._method, self._folder = start, method, folder
        self._frames, self._values = [], {}

    def __call__(self, image: np.ndarray) -> None:
        """Takes the next frame; raises what the computation does, some frames later."""
        self._frames.append(image)
        if len(self._frames) > PAIRS:
            self._finish()

    def features(self) -> dict[str, list[bytes]]:
        """The values of all frames; raises what the computation does."""
        if len(self._frames) > 1 or not self._values:
            self._finish()
        return self._values

    def _finish(self) -> None:
        frames, self._frames = self._frames, self._frames[-1:]
        file = self._folder / f"{_checksum(self._method, frames)}.zip"
        values = _read(file)
        if values is None:
            values = self._compute(frames)
            _write(file, values)
        for name, entries in values.items():
            self._values.setdefault(name, []).extend(entries)

    def _compute(self, frames: Sequence[np.ndarray]) -> dict[str, list[bytes]]:
        computation = self._start()
        for frame in frames:
            computation(frame)
        return computation.features()


def _checksum(method: str, frames: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256(f"{method} {cv2.__version__}".encode())
    for frame in frames:
        digest.update(str(frame.shape).encode())
        digest.update(np.ascontiguousarray(frame))
    return digest.hexdigest()


def _read(file: pathlib.Path) -> dict[str, list[bytes]] | None:
    """The values in a file; None if there is none or it is damaged: a zip file has checksums."""
    found = {}
    try:
        with zipfile.ZipFile(file) as kept:
            for entry in kept.namelist():
                found.setdefault(entry.partition("/")[0], []).append(kept.read(entry))
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None
    return found


def _write(file: pathlib.Path, values: dict[str, list[bytes]]) -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as kept:
        for name, entries in values.items():
            for number, entry in enumerate(entries):
                kept.writestr(f"{name}/{number:04}", entry)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, memory.getvalue())
