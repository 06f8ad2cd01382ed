"""Poses of the people in a clip, read from AlphaPose's JSON: `pose/<class>/<clip>.json`, one list a clip.

An entry is one person in one frame: `image_id` (the frame's number, counted from 0: 12, "12.jpg" or
"000012.png"), `keypoints` (17 COCO joints as x, y, score; pixels of the video's own size) and `score`. Frames
may be missing, which says that nobody was found in them. This is AlphaPose's default format (docs/output.md in
MVIG-SJTU/AlphaPose); what else an entry has is not read.

Like ST-GCN's own loader, this one sorts the people of each frame by score and keeps two. Nobody is followed:
where two people's scores cross, they change places from one frame to the next. (ST-GCN ranks by the sum of
the joints' scores, AlphaPose's person score is used here.)
"""

import collections
import json
import re

import numpy as np

PEOPLE = 2  # kept in each frame, as ST-GCN does
JOINTS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
          "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
          "left_knee", "right_knee", "left_ankle", "right_ankle")  # fmt: skip
MAX_JOINT_SCORE = 6.0  # of AlphaPose's documentation, for COCO joints
MARGIN = 0.5  # frame widths or heights beyond the frame; joints further out were estimated at another size
_IMAGE_ID = re.compile(r"(\d{1,9})(\.\w+)?", re.ASCII)


class PoseError(ValueError):
    """A pose file that does not fit its clip; `problems` has one line for each kind of fault."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("; ".join(problems))


class _EntryError(Exception):
    """What is wrong with one entry; faults of one `kind` are reported once, with their number."""

    def __init__(self, kind: str, message: str):
        self.kind = kind
        super().__init__(message)


def parse(data: bytes, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Reads the poses of one clip.

    Args:
      data: the bytes of the JSON file.
      num_frames: T, of the clip.
      size: (width, height) of the video in pixels, before any scaling.

    Returns:
      (T, 2, 17, 3) float32: x and y as fractions of the frame's width and height (0 to 1 inside it), and the
      joint's score; per frame the person with the highest score first, zeros where there is none.

    Raises:
      PoseError: not a JSON list; an entry with another number of keypoints, with numbers that are not
        finite, far outside the frame or otherwise impossible, or for a frame that the clip does not have; a
        frame that goes by two names.
    """
    people, names = collections.defaultdict(list), collections.defaultdict(set)
    faults = collections.defaultdict(list)
    for number, entry in enumerate(_load(data)):
        try:
            frame = _frame_number(entry)
            names[frame].add(repr(entry["image_id"]))
            people[frame].append((_score(entry), _joints(entry, size)))
        except _EntryError as fault:
            faults[fault.kind].append(f"entry {number} {fault}")
    problems = [_summary(messages) for messages in faults.values()]
    problems += _frame_problems(names, num_frames)
    if problems:
        raise PoseError(problems)
    out = np.zeros((num_frames, PEOPLE, len(JOINTS), 3), np.float32)
    for frame, found in people.items():
        ranked = sorted(found, key=lambda person: -person[0])  # equal scores stay in the file's order
        for rank, (_, joints) in enumerate(ranked[:PEOPLE]):
            out[frame, rank] = joints
    return out


def _load(data: bytes) -> list:
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PoseError([f"is not JSON ({error})"]) from error
    if not isinstance(entries, list):
        kind = type(entries).__name__
        raise PoseError([f"is a JSON {kind}, must be a list of people (AlphaPose's default format)"])
    return entries


def _frame_number(entry) -> int:
    if not isinstance(entry, dict):
        raise _EntryError("type", f"is {entry!r:.40}, must be an object")
    missing = [key for key in ("image_id", "keypoints", "score") if key not in entry]
    if missing:
        raise _EntryError("keys", f"has no {' and no '.join(missing)}")
    image_id = entry["image_id"]
    if type(image_id) is int:
        return image_id
    match = _IMAGE_ID.fullmatch(image_id) if isinstance(image_id, str) else None
    if not match:
        raise _EntryError("image_id", f"has image_id {image_id!r:.60}, must be like 12, '12.jpg' or '000012.png'")
    return int(match[1])


def _score(entry: dict) -> float:
    score = entry["score"]
    if not _is_number(score) or not np.isfinite(score):
        raise _EntryError("score", f"has score {score!r:.40}, must be a finite number")
    return score


def _joints(entry: dict, size: tuple[int, int]) -> np.ndarray:
    """(17, 3): x and y as fractions of the frame, and the score."""
    values = entry["keypoints"]
    if not isinstance(values, list) or len(values) != 3 * len(JOINTS):
        found = f"{len(values)} numbers" if isinstance(values, list) else f"{values!r:.40}"
        raise _EntryError("count", f"has {found} as keypoints, must have 51 (x, y, score of the 17 COCO joints)")
    if not all(_is_number(value) for value in values):
        raise _EntryError("numbers", "has keypoints that are not numbers")
    joints = np.array(values, np.float64).reshape(-1, 3)
    if not np.isfinite(joints).all():
        raise _EntryError("finite", f"has {_first(~np.isfinite(joints).all(1))} not finite")
    wrong = (joints[:, 2] < 0) | (joints[:, 2] > MAX_JOINT_SCORE)
    if wrong.any():
        worst = joints[wrong][0, 2]
        raise _EntryError("joint score", f"has {_first(wrong)} with score {worst:g}, must be 0 to {MAX_JOINT_SCORE:g}")
    joints[:, :2] /= size
    far = ((joints[:, :2] < -MARGIN) | (joints[:, :2] > 1 + MARGIN)).any(1)
    if far.any():
        x, y = joints[far][0, :2] * size
        raise _EntryError(
            "place",
            f"has {_first(far)} at ({x:g}, {y:g}), far outside the frame of {size[0]}x{size[1]} pixels"
            " (poses are in pixels of the video's own size)",
        )
    return joints


def _frame_problems(names: dict[int, set[str]], num_frames: int) -> list[str]:
    """Frames that the clip does not have, and frames that go by two names."""
    outside = sorted(frame for frame in names if not 0 <= frame < num_frames)
    problems = []
    if outside:
        found = ", ".join(map(str, outside[:5])) + (" ..." if len(outside) > 5 else "")
        hint = "; these seem to be counted from 1" if outside == [num_frames] and 0 not in names else ""
        problems.append(f"has frames {found}, but the clip's are 0 to {num_frames - 1}{hint}")
    twice = [f"frame {frame} as {' and '.join(sorted(ids))}" for frame, ids in sorted(names.items()) if len(ids) > 1]
    if twice:
        problems.append(f"names {_summary(twice, 'frames')}")
    return problems


def _summary(messages: list[str], what: str = "entries") -> str:
    """The first of several alike, and how many more there are."""
    return messages[0] + (f" (and {len(messages) - 1} more {what})" if len(messages) > 1 else "")


def _first(wrong: np.ndarray) -> str:
    return JOINTS[int(np.flatnonzero(wrong)[0])]


def _is_number(value) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**53)
