"""The official lists of data sets, read into one form; each has a file in `lists/`.

    UCF101, HMDB51    a folder of lists, of which 1 to 3 are three splits
    ActivityNet       a JSON file

The lists themselves are checked there, and compared with the files on disk in `clip_folder.py`.
"""

from etils import epath

from tfds_haa500.sources.lists import activitynet, hmdb51, ucf101
from tfds_haa500.sources.lists.entries import Entry

_SEVERAL_SPLITS = (ucf101, hmdb51)


def read(path: epath.PathLike, number: int | None = None) -> tuple[list[Entry], list[str]]:
    """Reads the list or lists at `path`; their kind is identified by the files' names.

    Args:
      path: a folder of lists, or ActivityNet's JSON file.
      number: which of the splits, from 1; needed by UCF101 and HMDB51. Others have one, and take None.

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
    names = [entry.name for entry in path.iterdir()]
    for kind in _SEVERAL_SPLITS:
        if any(map(kind.FILE.fullmatch, names)):
            if number is None:
                return [], [f"{path}: these lists have several splits: give the number of one (1, 2 or 3)"]
            return kind.read(path, number)
    known = "trainlist01.txt (UCF101), <class>_test_split1.txt (HMDB51), train.csv (lists of `path label`)"
    return [], [f"{path}: has none of {known}"]
