"""What the files next to a clip (poses, objects, boxes) have in common: frames, faults, and lists of detections.

A file that does not fit its clip is refused as a whole, with one line for each kind of fault and how often it occurs.
"""

import collections
import json
import re
from collections.abc import Callable, Iterable

import numpy as np

from tfds_haa500.problems import ClipError

_IMAGE_ID = re.compile(r"(\d{1,9})(\.\w+)?", re.ASCII)
EDGE = 1.0  # pixels by which a box may extend beyond the frame: estimators round


class EntryError(Exception):
    """What is wrong with one entry; faults of one `kind` are reported once, with how many there are."""

    def __init__(self, kind: str, message: str):
        self.kind = kind
        super().__init__(message)


class Faults:
    """Collects what is wrong with the entries of a file."""

    def __init__(self):
        self._messages = collections.defaultdict(list)

    def add(self, where: str, error: EntryError) -> None:
        self._messages[error.kind].append(f"{where} {error}")

    def problems(self, what: str = "entries") -> list[str]:
        return [summary(messages, what) for messages in self._messages.values()]


def read_detections(data: bytes, num_frames: int, keys: Iterable[str], of: str, parse: Callable) -> dict[int, list]:
    """Reads a JSON list of detections, each with the `image_id` of its frame: 12, "12.jpg" or "000012.png", from 0.

    Args:
      keys: what else each entry must have.
      of: what the entries are, for messages.
      parse: from an entry to the value that is kept of it; raises EntryError.

    Returns:
      The kept values by frame, in the order of the file; frames may be missing.

    Raises:
      ClipError: not a JSON list; faulty entries; frames that the clip does not have or that have two names.
    """
    kept, names, faults = collections.defaultdict(list), collections.defaultdict(set), Faults()
    for number, entry in enumerate(_load(data, of)):
        try:
            frame = _frame_number(entry, ("image_id", *keys))
            names[frame].add(repr(entry["image_id"]))
            kept[frame].append(parse(entry))
        except EntryError as error:
            faults.add(f"entry {number}", error)
    problems = faults.problems() + frames_outside(names, num_frames)
    twice = [f"frame {frame} as {' and '.join(sorted(ids))}" for frame, ids in sorted(names.items()) if len(ids) > 1]
    if twice:
        problems.append(f"names {summary(twice, 'frames')}")
    if problems:
        raise ClipError(*problems)
    return kept


def check_box(box: np.ndarray, size: tuple[int, int]) -> None:
    """Raises EntryError unless a box (x, y, width, height in pixels) has an area and is inside the frame."""
    if not np.isfinite(box).all():
        raise EntryError("finite", "has a box that is not finite")
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise EntryError("area", f"has a box of {width:g}x{height:g} pixels")
    if x < -EDGE or y < -EDGE or x + width > size[0] + EDGE or y + height > size[1] + EDGE:
        raise EntryError(
            "place",
            f"has a box from ({x:g}, {y:g}) to ({x + width:g}, {y + height:g}), outside the frame of"
            f" {size[0]}x{size[1]} pixels (boxes are in pixels of the video's own size)",
        )


def frames_outside(frames: Iterable[int], num_frames: int) -> list[str]:
    """A problem if some of the frames in a file are not the clip's."""
    outside = sorted(frame for frame in frames if not 0 <= frame < num_frames)
    if not outside:
        return []
    found = ", ".join(map(str, outside[:5])) + (" ..." if len(outside) > 5 else "")
    hint = "; these seem to be counted from 1" if outside == [num_frames] and 0 not in frames else ""
    return [f"has frames {found}, but the clip's are 0 to {num_frames - 1}{hint}"]


def summary(messages: list[str], what: str = "entries") -> str:
    """The first of several similar messages, and how many more there are."""
    return messages[0] + (f" (and {len(messages) - 1} more {what})" if len(messages) > 1 else "")


def is_number(value) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) < 2**53)


def _load(data: bytes, of: str) -> list:
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ClipError(f"is not JSON ({error})") from error
    if not isinstance(entries, list):
        raise ClipError(f"is a JSON {type(entries).__name__}, must be a list of {of}")
    return entries


def _frame_number(entry, keys: tuple[str, ...]) -> int:
    if not isinstance(entry, dict):
        raise EntryError("type", f"is {entry!r:.40}, must be an object")
    missing = [key for key in keys if key not in entry]
    if missing:
        raise EntryError("keys", f"has no {' and no '.join(missing)}")
    image_id = entry["image_id"]
    if type(image_id) is int:
        return image_id
    match = _IMAGE_ID.fullmatch(image_id) if isinstance(image_id, str) else None
    if not match:
        raise EntryError("image_id", f"has image_id {image_id!r:.60}, must be like 12, '12.jpg' or '000012.png'")
    return int(match[1])
