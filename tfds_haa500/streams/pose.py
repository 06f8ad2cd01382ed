"""Poses of the people in a clip, read from AlphaPose's JSON: `pose/<class>/<clip>.json`, one list a clip, or
`pose/<class>/<clip>/alphapose-results.json`, as a run of AlphaPose on the clip writes it.

An entry is one person in one frame: `image_id` (the frame's number, counted from 0: 12, "12.jpg" or
"000012.png"), `keypoints` (17 COCO joints as x, y, score; pixels of the video's own size) and `score`. Frames
may be missing, which means that nobody was found in them. This is AlphaPose's default format (docs/output.md in
MVIG-SJTU/AlphaPose); other fields of an entry are ignored.

Like ST-GCN's own loader, this one sorts the people of each frame by score and keeps two. People are not tracked:
when the scores of two people cross, they swap places from one frame to the next. (ST-GCN ranks by the sum of
the joints' scores; AlphaPose's person score is used here.)
"""

import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500.streams.side_files import EntryError, is_number, read_detections

FILES = ("{clip}.json", "{clip}/alphapose-results.json")
METHODS = ()
PEOPLE = 2  # kept in each frame, as ST-GCN does
JOINTS = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
          "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
          "left_knee", "right_knee", "left_ankle", "right_ankle")  # fmt: skip
# For each joint, the joint whose name has left and right swapped: what it becomes in a mirrored picture.
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
MAX_JOINT_SCORE = 6.0  # of AlphaPose's documentation, for COCO joints
MARGIN = 0.5  # frame widths or heights beyond the frame; joints further out were estimated at another size


def features() -> dict[str, tfds.features.FeatureConnector]:
    """`pose`: (T, people, joints, 3) float32."""
    shape = (None, PEOPLE, len(JOINTS), 3)
    return {"pose": tfds.features.Tensor(shape=shape, dtype=np.float32, doc="x / width, y / height, score")}


def metadata(method: str) -> dict:
    """The names of the joints, by their number, and how many people there are."""
    return {"joints": list(JOINTS), "people": PEOPLE}


def read(file, clip) -> dict[str, np.ndarray]:
    """The poses of a clip from its file; see `parse`."""
    return {"pose": parse(file.read_bytes(), len(clip.frames), clip.size)}


def parse(data: bytes, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Reads the poses of one clip.

    Args:
      data: the bytes of the JSON file.
      num_frames: T, of the clip.
      size: (width, height) of the video in pixels, before any scaling.

    Returns:
      (T, 2, 17, 3) float32: x and y as fractions of the frame's width and height (0 to 1 inside it), and the
      joint's score; per frame the person with the highest score first, zeros if there is none.

    Raises:
      ClipError: not a JSON list; an entry with another number of keypoints, with numbers that are not
        finite, far outside the frame or otherwise impossible, or for a frame that the clip does not have; a
        frame that has two names.
    """
    people = read_detections(
        data,
        num_frames,
        ("keypoints", "score"),
        "people (AlphaPose's default format)",
        lambda entry: (_score(entry), _joints(entry, size)),
    )
    out = np.zeros((num_frames, PEOPLE, len(JOINTS), 3), np.float32)
    for frame, found in people.items():
        ranked = sorted(found, key=lambda person: -person[0])  # equal scores stay in the file's order
        for rank, (_, joints) in enumerate(ranked[:PEOPLE]):
            out[frame, rank] = joints
    return out


def _score(entry: dict) -> float:
    score = entry["score"]
    if not is_number(score) or not np.isfinite(score):
        raise EntryError("score", f"has score {score!r:.40}, must be a finite number")
    return score


def _joints(entry: dict, size: tuple[int, int]) -> np.ndarray:
    """(17, 3): x and y as fractions of the frame, and the score."""
    values = entry["keypoints"]
    if not isinstance(values, list) or len(values) != 3 * len(JOINTS):
        found = f"{len(values)} numbers" if isinstance(values, list) else f"{values!r:.40}"
        raise EntryError("count", f"has {found} as keypoints, must have 51 (x, y, score of the 17 COCO joints)")
    if not all(is_number(value) for value in values):
        raise EntryError("numbers", "has keypoints that are not numbers")
    joints = np.array(values, np.float64).reshape(-1, 3)
    if not np.isfinite(joints).all():
        raise EntryError("finite", f"has {_first(~np.isfinite(joints).all(1))} not finite")
    wrong = (joints[:, 2] < 0) | (joints[:, 2] > MAX_JOINT_SCORE)
    if wrong.any():
        worst = joints[wrong][0, 2]
        raise EntryError("joint score", f"has {_first(wrong)} with score {worst:g}, must be 0 to {MAX_JOINT_SCORE:g}")
    joints[:, :2] /= size
    far = ((joints[:, :2] < -MARGIN) | (joints[:, :2] > 1 + MARGIN)).any(1)
    if far.any():
        x, y = joints[far][0, :2] * size
        raise EntryError(
            "place",
            f"has {_first(far)} at ({x:g}, {y:g}), far outside the frame of {size[0]}x{size[1]} pixels"
            " (poses are in pixels of the video's own size)",
        )
    return joints


def _first(wrong: np.ndarray) -> str:
    return JOINTS[int(np.flatnonzero(wrong)[0])]
