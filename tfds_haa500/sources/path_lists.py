"""Lists of `path label`, as PySlowFast and VideoMAE read them: train.csv, val.csv and test.csv in one folder.

    videos/a 1.mp4 3              the path of a video, then a space, a tab or a comma, then the label
    run/b.mp4,clean and jerk      a label is an id or a class name; both may contain spaces
    "run/c, d.mp4",3              quotes around a path that contains a comma

Where videos have several labels (`multi_label`), commas separate them, or spaces between ids as in MMAction2's lists:

    run/b.mp4 run,clean and jerk
    run/b.mp4,"run, fast",sit     quotes around a name that contains a comma
    videos/a 1.mp4 3 7

Paths are relative to the folder of videos, or absolute. An id counts from 0 and stands for a line of classes.txt in the
folder of the lists. Without classes.txt the ids are the class names, filled with zeros to equal length (07, 12), so
that their order, which is that of the dataset's label ids, is that of the ids. Videos that no list has are not used.
"""

import collections
import csv
import dataclasses
import os
import posixpath
import re

from etils import epath

from tfds_haa500.sources import video_files
from tfds_haa500.sources.clips import Clip, nearest
from tfds_haa500.sources.files import File
from tfds_haa500.sources.split_lists import Entry, read_lines

NAMES = "classes.txt"
_FILES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
_SUFFIXES = "|".join(re.escape(suffix) for suffix in video_files.SUFFIXES)
_LINE = re.compile(rf'(?:"([^"]+)"|(\S.*?(?:{_SUFFIXES})))(?:\s*,\s*|\s+)(\S.*)', re.IGNORECASE)
_ID = re.compile(r"-?\d+")
_COLUMNS = re.compile(r"-?[\d.]+[\s,]+-?[\d.]+\b.*")  # more than one number after the path


def list_files(folder: epath.PathLike) -> list[str]:
    """The names of the lists in a folder; [] if it has none."""
    folder = epath.Path(folder)
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return sorted(name for name in names if name.rpartition(".")[0] in _FILES and name.endswith((".csv", ".txt")))


def scan(root: epath.Path, lists: epath.Path, multi_label: bool = False) -> tuple[list[Clip], set[str], list[str]]:
    """The clips of the lists in a folder.

    Args:
      root: the folder of videos.
      lists: the folder of the lists.
      multi_label: whether lines may have several labels.

    Returns:
      The clips, whose ids are <split>/<path without suffix>; the paths without suffix of all of them; and the problems:
      every line that cannot be read, every video that is missing or listed twice, and every unknown label.
    """
    entries, problems = read(root, lists, multi_label)
    there, faults = _missing(root, entries)
    clips = [
        Clip(
            f"{entry.split}/{video_files.key(entry.file).lstrip('/')}",
            entry.split,
            entry.class_name,
            File(str(root), entry.file),
            labels=entry.labels,
        )
        for entry in there
        if entry.class_name
    ]
    return clips, {video_files.key(entry.file) for entry in entries}, problems + faults


def read(root: epath.Path, lists: epath.Path, multi_label: bool = False) -> tuple[list[Entry], list[str]]:
    """The entries of the lists, and the problems.

    An entry's `file` is a path within `root` or an absolute one, with its suffix; its class is "" for a bad label. If
    `multi_label`, it has `labels`, one or several.
    """
    entries, problems = [], []
    used = {}
    for name in list_files(lists):
        split = _FILES[name.rpartition(".")[0]]
        if split in used:
            problems.append(f"{name}: {used[split]} is there too, and is the same split; keep one of them")
            continue
        used[split] = name
        lines, faults = read_lines(lists, name)
        problems += faults
        for origin, line in lines:
            try:
                path, text = _parse(line, root)
                labels = _several(text) if multi_label else (_one(text, line),)
                entries.append(Entry(split, labels[0], path, origin, labels=labels if multi_label else ()))
            except ValueError as error:
                problems.append(f"{origin}: {error}")
    entries, faults = _with_names(entries, lists)
    return entries, problems + faults + _repeated(entries)


def count_unlisted(root: epath.Path, lists: epath.Path) -> int:
    """How many videos in the folders of the listed ones are in no list."""
    listed = {entry.file for entry in read(root, lists, multi_label=True)[0]}  # which takes any number of labels
    found = set()
    for folder in {posixpath.dirname(file) for file in listed}:
        names = (name for name in video_files.entries(root / folder) if name.lower().endswith(video_files.SUFFIXES))
        found |= {posixpath.join(folder, name) for name in names}
    return len(found - listed)


def _parse(line: str, root: epath.Path) -> tuple[str, str]:
    """The path of a line, and what follows it; raises ValueError."""
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError(f"{line!r} is not the path of a video and a label")
    path = match[1] or match[2]
    if not path.lower().endswith(video_files.SUFFIXES):
        raise ValueError(f"{path!r} is not a video")
    path = posixpath.normpath(path)
    inside = f"{os.path.abspath(root)}/"
    if path.startswith(inside):
        path = path.removeprefix(inside)
    if path.startswith("../"):
        raise ValueError(f"{path!r} is outside of the folder; give its absolute path")
    return path, match[3]


def _one(text: str, line: str) -> str:
    """The label that `text`, the end of a line, is; raises ValueError."""
    label = text.strip('"').strip()
    if _COLUMNS.fullmatch(label):
        raise ValueError(f"{line!r} has more than a path and a label; several labels take --multi_label")
    return label


def _several(text: str) -> tuple[str, ...]:
    """The labels in `text`, one or more; raises ValueError."""
    ids = text.strip('"').replace(",", " ").split()
    if ids and all(map(_ID.fullmatch, ids)):
        return tuple(ids)
    labels = tuple(label.strip() for label in next(csv.reader([text], skipinitialspace=True)))
    if not all(labels):
        raise ValueError(f"{text!r} has a comma with no label before or after it")
    return labels


def _with_names(entries: list[Entry], lists: epath.Path) -> tuple[list[Entry], list[str]]:
    """The entries with class names in place of labels; and the problems of labels and of classes.txt."""
    names, problems = _names(lists)
    if problems:
        return [dataclasses.replace(entry, class_name="", labels=()) for entry in entries], problems
    labels = {label for entry in entries for label in entry.classes}
    ids = set(filter(_ID.fullmatch, labels))
    width = max(map(len, ids), default=0)
    if names:
        class_of = {str(number): name for number, name in enumerate(names)} | {name: name for name in names}
        expected = f"a name in {NAMES} or an id from 0 to {len(names) - 1}"
    elif ids == labels:
        class_of = {label: label.zfill(width) for label in ids if not label.startswith("-")}
        expected = "an id from 0"
    else:
        class_of = {label: label for label in labels - ids}
        expected = f"a name, as others are; for ids, {NAMES} is missing"
    named = []
    for entry in entries:
        unknown = [label for label in entry.classes if label not in class_of]
        problems += [f"{entry.origin}: label {label!r} must be {expected}{nearest(label, names)}" for label in unknown]
        found = tuple(sorted(class_of[label] for label in entry.classes if label in class_of))
        repeated = sorted({name for name in found if found.count(name) > 1})
        problems += [f"{entry.origin}: label {name!r} is there more than once" for name in repeated]
        good = () if unknown or repeated else found
        named.append(dataclasses.replace(entry, class_name="".join(good[:1]), labels=good if entry.labels else ()))
    return named, problems


def _names(lists: epath.Path) -> tuple[list[str], list[str]]:
    """The class names by id, [] without classes.txt; and the problems."""
    if not (lists / NAMES).exists():
        return [], []
    lines, problems = read_lines(lists, NAMES)
    names = [line for _, line in lines]
    for number, (origin, name) in enumerate(lines, start=1):
        if origin != f"{NAMES} line {number}":
            return names, [*problems, f"{NAMES} line {number}: is blank, but each line is the name of an id"]
        if name in names[: number - 1]:
            problems.append(f"{origin}: {name!r} is in line {names.index(name) + 1} already")
    return names, problems


def _missing(root: epath.Path, entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """The entries whose videos exist; and a problem for each of the others, or for a whole folder that is missing."""
    by_folder, there, problems = collections.defaultdict(list), [], []
    for entry in entries:
        by_folder[posixpath.dirname(entry.file)].append(entry)
    for folder, listed in sorted(by_folder.items()):
        if not (root / folder).is_dir():
            count = f"{len(listed)} video{'s' * (len(listed) > 1)}"
            problems.append(f"{folder}: no such folder, and the lists have {count} in it, as {listed[0].origin}")
            continue
        names = video_files.entries(root / folder)
        found, free = set(names), set(names) - {posixpath.basename(entry.file) for entry in listed}
        for entry in listed:
            name = posixpath.basename(entry.file)
            if name in found:
                there.append(entry)
            else:
                problems.append(f"{entry.origin}: {entry.file}: no such video{nearest(name, free)}")
    return there, problems


def _repeated(entries: list[Entry]) -> list[str]:
    """Videos that are listed twice, which would invalidate the test, and those that differ only in their suffix."""
    first, problems = {}, []
    for entry in entries:
        before = first.setdefault(video_files.key(entry.file), entry)
        if before is not entry:
            other = "" if before.file == entry.file else f" as {before.file}, which differs only in its suffix"
            problems.append(f"{entry.origin}: {entry.file} is in {before.origin} already{other}")
    return problems
