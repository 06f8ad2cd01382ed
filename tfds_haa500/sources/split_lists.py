"""The official lists of data sets, read into one form; each has a file in `lists/`.

    UCF101, HMDB51    a folder of lists, of which 1 to 3 are three splits
    Gym288, AVA       a folder of lists; AVA's give clips several classes
    ActivityNet       a JSON file

The lists themselves are checked there, and compared with the files on disk in `clip_folder.py`.
"""

from etils import epath

from tfds_haa500.sources.lists import activitynet, ava, gym288, hmdb51, ucf101
from tfds_haa500.sources.lists.entries import Entry

_SEVERAL_SPLITS = (ucf101, hmdb51)
_KINDS = (*_SEVERAL_SPLITS, gym288, ava)  # of folders of lists
_KNOWN = (
    "trainlist01.txt (UCF101), <class>_test_split1.txt (HMDB51), gym288_train_element_v1.1.txt (Gym288),"
    " ava_train_v2.2.csv (AVA), train.csv (lists of `path label`)"
)


def read(
    path: epath.PathLike,
    number: int | None = None,
    root: epath.Path | None = None,
    clip_seconds: float | None = None,
) -> tuple[list[Entry], list[str]]:
    """Reads the list or lists at `path`; their kind is identified by the files' names.

    Args:
      path: a folder of lists, or ActivityNet's JSON file.
      number: which of the splits, from 1; needed by UCF101 and HMDB51. Others have one, and take None.
      root: the folder of videos; Gym288's may be whole or cut.
      clip_seconds: how long clips of AVA are; None for `ava.SECONDS`.

    Returns:
      The entries, and everything that is wrong with the lists as `file: reason`.
    """
    path = epath.Path(path)
    if path.suffix.lower() == ".json":
        if number is not None:
            return [], [f"split {number}: ActivityNet has one split, without a number"]
        return activitynet.read(path)
    if not path.is_dir():
        return [], [f"{path}: must be a folder of lists, or ActivityNet's .json file"]
    kind = _kind(path)
    if kind is None:
        return [], [f"{path}: has none of {_KNOWN}"]
    if kind in _SEVERAL_SPLITS:
        if number is None:
            return [], [f"{path}: these lists have several splits: give the number of one (1, 2 or 3)"]
        return kind.read(path, number)
    if number is not None:
        return [], [f"split {number}: Gym288 and AVA have one split, without a number"]
    return gym288.read(path, root) if kind is gym288 else ava.read(path, clip_seconds)


def has_key_frames(path: epath.PathLike) -> bool:
    """Whether the lists at `path` are AVA's."""
    path = epath.Path(path)
    return path.is_dir() and _kind(path) is ava


def _kind(path: epath.Path):
    """The module of `lists/` that reads the files in a folder, known by their names; None if there is none."""
    names = [entry.name for entry in path.iterdir()]
    return next((kind for kind in _KINDS if any(map(kind.FILE.fullmatch, names))), None)
