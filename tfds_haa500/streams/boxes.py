"""The person of interest in every frame, read from `boxes/<class>/<clip>.csv`.

    frame,x,y,width,height
    0,31.5,12,40,88.25

One row a frame, in any order, frames counted from 0; the top left corner and the size in pixels of the video itself.
"""

import csv
import io

import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500.problems import ClipError
from tfds_haa500.streams.side_files import EntryError, Faults, check_box, frames_outside

FILES = ("{clip}.csv",)
METHODS = ()
COLUMNS = ["frame", "x", "y", "width", "height"]


def features() -> dict[str, tfds.features.FeatureConnector]:
    """`person_box`: (T, 4) float32, fractions of the frame's width and height."""
    return {"person_box": tfds.features.Tensor(shape=(None, 4), dtype=np.float32, doc="x, y, width, height")}


def metadata(method: str) -> dict:
    """Nothing: the feature's own description is enough."""
    return {}


def read(file, clip) -> dict[str, np.ndarray]:
    """The boxes of a clip from its file; see `parse`."""
    return {"person_box": parse(file.read_bytes(), len(clip.frames), clip.size)}


def parse(data: bytes, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Reads the boxes of one clip.

    Args:
      data: the bytes of the CSV file.
      num_frames: T, of the clip.
      size: (width, height) of the video in pixels, before any scaling.

    Returns:
      (T, 4) float32: x, y, width and height of each frame's box as fractions of the frame's width and height.

    Raises:
      ClipError: not such a file; a row that is no box inside the frame; a frame that is missing, is there twice or
        is not the clip's.
    """
    boxes, faults, twice = {}, Faults(), set()
    for number, row in enumerate(_rows(data), start=2):
        try:
            frame, box = _row(row, size)
        except EntryError as error:
            faults.add(f"line {number}", error)
            continue
        twice |= {frame} & set(boxes)
        boxes[frame] = box
    problems = faults.problems("lines") + frames_outside(boxes, num_frames)
    problems += [f"has two boxes for frame {_some(twice)}"] if twice else []
    missing = set(range(num_frames)) - set(boxes)
    if missing and not problems:  # a faulty line is a missing frame too
        every = f"every frame of the clip (0 to {num_frames - 1})"
        problems.append(f"has no box for frame {_some(missing)}; {every} needs one")
    if problems:
        raise ClipError(*problems)
    return (np.array([boxes[frame] for frame in range(num_frames)]) / (*size, *size)).astype(np.float32)


def _rows(data: bytes) -> list[list[str]]:
    """The lines below the first as lists of fields."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ClipError(f"is not a CSV file ({error})") from error
    if not rows:
        raise ClipError(f"is empty, its first line must be {','.join(COLUMNS)!r}")
    if rows[0] != COLUMNS:
        raise ClipError(f"has the first line {','.join(rows[0])[:60]!r}, must be {','.join(COLUMNS)!r}")
    return rows[1:]


def _row(row: list[str], size: tuple[int, int]) -> tuple[int, np.ndarray]:
    if len(row) != len(COLUMNS):
        raise EntryError("fields", f"has {len(row)} fields, must have {len(COLUMNS)}")
    if not (row[0].isascii() and row[0].isdigit() and len(row[0]) < 10):
        raise EntryError("frame", f"has frame {row[0]!r:.20}, must be a whole number from 0")
    try:
        box = np.array([float(value) for value in row[1:]])
    except ValueError as error:
        raise EntryError("numbers", f"is not a box ({error})") from error
    check_box(box, size)
    return int(row[0]), box


def _some(frames: set[int]) -> str:
    return ", ".join(map(str, sorted(frames)[:5])) + (f" and {len(frames) - 5} more" if len(frames) > 5 else "")
