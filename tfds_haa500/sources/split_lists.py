"""The official split lists of UCF101, HMDB51 and ActivityNet, read into one form.

    UCF101       a folder with classInd.txt ("1 ApplyEyeMakeup"), trainlist01.txt ("ApplyEyeMakeup/v_X.avi 1") and
                 testlist01.txt ("ApplyEyeMakeup/v_Y.avi"); 01 to 03 are three splits
    HMDB51       a folder with <class>_test_split1.txt for every class ("name.avi 1": 1 train, 2 test, 0 unused);
                 1 to 3 are three splits
    ActivityNet  a JSON file, {"database": {id: {"subset": "training", "annotations": [{"label": "Archery",
                 "segment": [1.5, 20]}]}}}; each annotation is a clip of the video v_<id>. The subset "testing" has
                 no labels

The lists themselves are checked here, and compared with the files on disk in `clip_folder.py`.
"""

import dataclasses
import json
import math
import re

from etils import epath

from tfds_haa500.sources.clips import nearest

_HMDB_FILE = re.compile(r"(.+)_test_split(\d)\.txt")
_UCF_FILE = re.compile(r"trainlist0\d\.txt")
_HMDB_SPLITS = {"0": "", "1": "train", "2": "test"}
_ACTIVITYNET_SPLITS = {"training": "train", "validation": "validation", "testing": ""}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One clip of a list.

    Attributes:
      split: "train", "validation" or "test"; "" for a file that the list leaves out.
      class_name: its class, the first of `labels` if there are any; "" for ActivityNet's videos without labels.
      file: where the video is in the folder, without its suffix: "Archery/v_Archery_g01_c01", "v_--0edUL8zmA".
      origin: its place in the list, for messages.
      segment: (start, end) in seconds if the clip is a part of the file; None for all of it.
      url: where the video is from; "" if the list does not have it.
      labels: all its classes, in lists that give clips several; () in all others.
    """

    split: str
    class_name: str
    file: str
    origin: str
    segment: tuple[float, float] | None = None
    url: str = ""
    labels: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """All its classes, one or several."""
        return self.labels or (self.class_name,)


def read(path: epath.PathLike, number: int | None = None) -> tuple[list[Entry], list[str]]:
    """Reads the list or lists at `path`; their kind is identified by the files' names.

    Args:
      path: the folder of UCF101's or HMDB51's lists, or ActivityNet's JSON file.
      number: which of the splits, from 1; needed by the first two. ActivityNet has one, and takes None.

    Returns:
      The entries, and everything that is wrong with the lists as `file: reason`.
    """
    path = epath.Path(path)
    if path.suffix.lower() == ".json":
        if number is not None:
            return [], [f"split {number}: ActivityNet has one split, without a number"]
        return _read_activitynet(path)
    if not path.is_dir():
        return [], [f"{path}: must be a folder of lists, or ActivityNet's .json file"]
    names = sorted(entry.name for entry in path.iterdir())
    hmdb = [match for match in map(_HMDB_FILE.fullmatch, names) if match]
    ucf = any(map(_UCF_FILE.fullmatch, names))
    if not ucf and not hmdb:
        known = "trainlist01.txt (UCF101), <class>_test_split1.txt (HMDB51), train.csv (lists of `path label`)"
        return [], [f"{path}: has none of {known}"]
    if number is None:
        return [], [f"{path}: these lists have several splits: give the number of one (1, 2 or 3)"]
    if ucf:
        entries, problems = _read_ucf101(path, number)
    else:
        entries, problems = _read_hmdb51(path, sorted({match[1] for match in hmdb}), number)
    return entries, problems + _repeated(entries)


def _read_ucf101(path, number: int) -> tuple[list[Entry], list[str]]:
    index, problems = read_lines(path, "classInd.txt")
    classes = {}
    for origin, line in index:
        match = re.fullmatch(r"(\d+)\s+(.+)", line)
        if match and match[1] not in classes and match[2] not in classes.values():
            classes[match[1]] = match[2]
        else:
            problems.append(f"{origin}: {line!r} is not a new number and a new class")
    entries = []
    for split in ("train", "test"):
        lines, faults = read_lines(path, f"{split}list{number:02d}.txt")
        problems += faults
        for origin, line in lines:
            # Only the training lists have labels. A file's name may contain spaces.
            match = re.fullmatch(r"([^/]+)/(\S.*?\.\w+)(?:\s+(\d+))?", line)
            if not match:
                problems.append(f"{origin}: {line!r} is not <class>/<file> or <class>/<file> <label>")
                continue
            name, file, label = match.groups()
            if name not in classes.values():
                problems.append(f"{origin}: class {name!r} is not in classInd.txt{nearest(name, classes.values())}")
            elif label and classes.get(label) != name:
                problems.append(f"{origin}: label {label} of {name!r} is {classes.get(label)!r} in classInd.txt")
            else:
                entries.append(Entry(split, name, f"{name}/{_stem(file)}", origin))
    return entries, problems


def _read_hmdb51(path, classes: list[str], number: int) -> tuple[list[Entry], list[str]]:
    entries, problems = [], []
    for name in classes:
        lines, faults = read_lines(path, f"{name}_test_split{number}.txt")
        problems += faults
        for origin, line in lines:
            match = re.fullmatch(r"(\S.*?\.\w+)\s+([012])", line)
            if match:
                entries.append(Entry(_HMDB_SPLITS[match[2]], name, f"{name}/{_stem(match[1])}", origin))
            else:
                problems.append(f"{origin}: {line!r} is not <file> and 0 (unused), 1 (train) or 2 (test)")
    return entries, problems


def _read_activitynet(path) -> tuple[list[Entry], list[str]]:
    try:
        database = json.loads(path.read_text())["database"]
        videos = sorted(database.items())
    except (OSError, ValueError, RecursionError) as error:
        return [], [f"{path}: cannot be read as JSON ({error})"]
    except (KeyError, TypeError, AttributeError):
        return [], [f"{path}: has no object 'database', which ActivityNet's lists have"]
    entries, problems = [], []
    for video_id, video in videos:
        try:
            entries += _activitynet_video(video_id, video, f"{path.name}: {video_id}")
        except ValueError as error:
            problems += error.args
    return entries, problems


def _activitynet_video(video_id: str, video, origin: str) -> list[Entry]:
    """The clips of one video; raises ValueError whose `args` are the problems."""
    if not isinstance(video, dict) or video.get("subset") not in _ACTIVITYNET_SPLITS:
        found = video.get("subset") if isinstance(video, dict) else video
        raise ValueError(f"{origin}: subset is {found!r:.60}, must be one of {', '.join(_ACTIVITYNET_SPLITS)}")
    split, file, url = _ACTIVITYNET_SPLITS[video["subset"]], f"v_{video_id}", video.get("url", "")
    if not isinstance(url, str):
        raise ValueError(f"{origin}: url is {url!r:.60}, must be text")
    if not split:
        return [Entry("", "", file, origin)]
    annotations = video.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        raise ValueError(f"{origin}: annotations are {annotations!r:.60}, must be a list with one or more")
    entries, problems = [], []
    for number, annotation in enumerate(annotations):
        where = f"{origin} annotation {number}"
        label, segment = (annotation.get(key) if isinstance(annotation, dict) else None for key in ("label", "segment"))
        if not isinstance(label, str) or not label.strip():
            problems.append(f"{where}: label is {label!r:.60}, must be the name of a class")
        elif not _is_segment(segment):
            problems.append(f"{where}: segment is {segment!r:.60}, must be [start, end] in seconds, 0 <= start < end")
        else:
            entries.append(Entry(split, label, file, where, (float(segment[0]), float(segment[1])), url))
    if problems:
        raise ValueError(*problems)
    return entries


def _is_segment(value) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(type(v) in (int, float) for v in value):
        return False
    return all(math.isfinite(v) for v in value) and 0 <= value[0] < value[1]


def _repeated(entries: list[Entry]) -> list[str]:
    """Files that are listed twice: in both train and test, they would invalidate the test."""
    first, problems = {}, []
    for entry in entries:
        before = first.setdefault(entry.file, entry)
        if before is not entry:
            problems.append(f"{entry.origin}: {entry.file} is in {before.origin} already")
    return problems


def read_lines(path, name: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The lines of a list that are not blank, each with `file line n`, and what is wrong with the list."""
    if not (path / name).exists():
        return [], [f"{name}: no such file in {path}"]
    try:
        text = (path / name).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{name}: cannot be read ({error})"]
    lines = [(f"{name} line {n}", line.strip()) for n, line in enumerate(text.splitlines(), start=1)]
    lines = [(origin, line) for origin, line in lines if line]
    return lines, [] if lines else [f"{name}: is empty"]


def _stem(file: str) -> str:
    return file.rpartition(".")[0]
