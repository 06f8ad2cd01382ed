"""Objects around the people of a clip, read from COCO detections: `objects/<class>/<clip>.json`, one list a clip.

An entry is one object in one frame, as COCO's results have it: `image_id` (the frame's number, counted from 0: 12,
"12.jpg" or "000012.png"), `category_id` (COCO's, 1 to 90), `bbox` (x, y, width, height; pixels of the video's own
size) and `score`. The 42 classes of HAA500's Table 10 are kept, in its five groups. The paper gives the groups and how
many classes each has; that the bowl is the fourth of the cutlery is this project's reading. COCO's other classes, above
all people, are checked and left out.
"""

import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500.streams.side_files import EntryError, check_box, is_number, read_detections

FILES = ("{clip}.json",)
METHODS = ()
# Group -> COCO's category ids.
GROUPS = {
    # frisbee, skis, snowboard, ball, kite, bat, glove, skateboard, surfboard, racket
    "sports equipment": range(34, 44),
    # banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake
    "food": range(52, 62),
    # bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe
    "animals": range(16, 26),
    # bicycle, car, motorcycle, airplane, bus, train, truck, boat
    "vehicles": range(2, 10),
    # fork, knife, spoon, bowl
    "cutlery": range(48, 52),
}
GROUP_OF = {category: group for group, categories in enumerate(GROUPS.values()) for category in categories}
# COCO numbers its classes up to 90 and has 80 of them.
CATEGORIES = frozenset(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COLUMNS = ("frame", "group", "x", "y", "width", "height", "score")


def features() -> dict[str, tfds.features.FeatureConnector]:
    """`objects`: (N, 7) float32, see `parse`."""
    shape = (None, len(COLUMNS))
    return {"objects": tfds.features.Tensor(shape=shape, dtype=np.float32, doc=", ".join(COLUMNS))}


def metadata(method: str) -> dict:
    """The names of the groups, by their number."""
    return {"groups": list(GROUPS)}


def read(file, clip) -> dict[str, np.ndarray]:
    """The objects of a clip from its file; see `parse`."""
    return {"objects": parse(file.read_bytes(), len(clip.frames), clip.size)}


def parse(data: bytes, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Reads the objects of one clip.

    Args:
      data: the bytes of the JSON file.
      num_frames: T, of the clip.
      size: (width, height) of the video in pixels, before any scaling.

    Returns:
      (N, 7) float32, N may be 0: frame, group (position in GROUPS), x, y, width, height as fractions of the frame's
      width and height, score; ordered by frame, within a frame as in the file.

    Raises:
      ClipError: not a JSON list; an entry of an unknown class, with an impossible score or a box outside the frame,
        or for a frame that the clip does not have; a frame that has two names.
    """
    found = read_detections(
        data,
        num_frames,
        ("category_id", "bbox", "score"),
        "detections (COCO's results format)",
        lambda entry: _detection(entry, size),
    )
    rows = [(frame, *row) for frame in sorted(found) for row in found[frame] if row]
    return np.array(rows, np.float32).reshape(-1, len(COLUMNS))


def _detection(entry: dict, size: tuple[int, int]) -> tuple[float, ...] | None:
    """(group, x, y, width, height, score), None for a class that is left out."""
    category, score, values = entry["category_id"], entry["score"], entry["bbox"]
    if type(category) is not int or category not in CATEGORIES:
        raise EntryError("category", f"has category_id {category!r:.20}, which is none of COCO's 80 (1 to 90)")
    if not is_number(score) or not 0 <= score <= 1:
        raise EntryError("score", f"has score {score!r:.40}, must be a number from 0 to 1")
    if not isinstance(values, list) or len(values) != 4 or not all(map(is_number, values)):
        raise EntryError("bbox", f"has bbox {values!r:.60}, must be four numbers: x, y, width, height")
    box = np.array(values, np.float64)
    check_box(box, size)
    if category not in GROUP_OF:
        return None
    return GROUP_OF[category], *(box / (*size, *size)), score
