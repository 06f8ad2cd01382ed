"""A folder of videos, checked before a single frame is decoded. Four layouts:

    <split>/<class>/<clip>.mp4    splits train, validation (or val) and test, one or more of them
    <class>/<clip>.mp4            split at random (see `random_split.py`)
    <class>/<clip>.avi            with UCF101's or HMDB51's lists; v_<id>.mp4 with ActivityNet's (`split_lists.py`)
    anything                      with lists of `path label` (`path_lists.py`)

Next to the splits or classes there is a folder for each stream that is read from files, with one file a clip:
pose/<path of the video>.json. Names that begin with "." are ignored. Official lists are compared with files by exact
names, but without the suffix: re-encoded copies have another.
"""

import collections
import dataclasses
from collections.abc import Sequence

from etils import epath

from tfds_haa500.problems import BuildError
from tfds_haa500.sources import path_lists, split_lists, video_files
from tfds_haa500.sources.clips import SPLITS, Annotation, Clip, nearest
from tfds_haa500.sources.files import File
from tfds_haa500.sources.random_split import RandomSplit, assign
from tfds_haa500.streams import STREAMS

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_MAX_COMPARED = 10_000  # pairs of names


def scan(
    root: epath.PathLike,
    split_list: epath.PathLike = "",
    split_number: int | None = None,
    streams: Sequence[str] = (),
    random_split: RandomSplit | None = None,
    table: Sequence[str] = (),
    multi_label: bool = False,
) -> list[Clip]:
    """Finds the clips of a folder.

    Args:
      root: the folder.
      split_list: the official lists (see `split_lists.read`) or the folder of lists of `path label`; "" for none.
      split_number: which of the official lists' splits.
      streams: of which streams every clip must have its file.
      random_split: how folders of classes are split; None with lists or folders of splits.
      table: the class names that the folder must have; () for any.
      multi_label: whether clips have several classes, which lists of `path label` can give them.

    Returns:
      The clips by split (train, validation, test), then by class and name in `sorted()` order. Their ids are
      <split>/<class>/<the file's name without suffix>, followed by _<number of the annotation> for parts of videos;
      with lists of `path label`, <split>/<path without suffix>.

    Raises:
      BuildError: lists every missing, surplus or misnamed file and folder, and every problem of the lists, at once.
    """
    root = epath.Path(root)
    if not root.is_dir():
        raise BuildError(str(root), ["no such folder"])
    if random_split:
        clips, known, problems = _scan_random(root, random_split)
    elif split_list and path_lists.list_files(split_list):
        clips, known, problems = path_lists.scan(root, epath.Path(split_list), multi_label)
        problems += ["split number: lists of `path label` have one split, without a number"] * bool(split_number)
    elif split_list:
        clips, known, problems = _scan_listed(root, epath.Path(split_list), split_number)
    else:
        clips, known, problems = _scan_splits(root)
    problems += _class_problems(clips, table)
    if multi_label and not all(clip.labels for clip in clips):
        problems.append("multi_label: these clips have one class each; lists of `path label,label` give several")
    if not multi_label and any(clip.labels for clip in clips):
        problems.append("multi_label is not set, but these clips have several classes")
    for stream in streams:
        if any(clip.is_part for clip in clips):
            problems.append(f"{stream}: clips that are parts of videos cannot have files of their own")
        elif any(clip.file.path.startswith("/") for clip in clips):
            problems.append(f"{stream}: clips outside of the folder cannot have files of their own")
        else:
            clips, faults = _with_files(root, stream, clips, known)
            problems += faults
    if not clips and not problems:
        problems.append("no clips")
    if problems:
        raise BuildError(str(root), problems)
    return sorted(clips, key=lambda clip: (SPLITS.index(clip.split), clip.class_name, clip.clip_id))


def count_left_out(root: epath.PathLike, split_list: epath.PathLike, split_number: int | None = None) -> int:
    """How many videos are there that the lists do not use, or have no labels for."""
    if not split_list:
        return 0
    if path_lists.list_files(split_list):
        return path_lists.count_unlisted(epath.Path(root), epath.Path(split_list))
    return sum(not entry.split for entry in split_lists.read(split_list, split_number)[0])


def class_names(clips: Sequence[Clip]) -> list[str]:
    """The classes of all splits in `sorted()` order, which is that of the label ids."""
    return sorted({name for clip in clips for name in clip.classes})


def _scan_splits(root) -> tuple[list[Clip], set[str], list[str]]:
    """The clips of <split>/<class>/, the keys of all videos, and the problems."""
    entries = video_files.entries(root)
    present = [name for name in entries if name in _SPLIT_FOLDERS and (root / name).is_dir()]
    if not present:
        return [], set(), [f"no folder train, validation (or val) or test here{_hint(root, entries)}"]
    problems = [
        f"{name}: not a split ({', '.join(SPLITS)}){nearest(name, _SPLIT_FOLDERS)}"
        for name in entries
        if name not in present and name not in STREAMS
    ]
    if {"val", "validation"} <= set(present):
        problems.append("val and validation: both are there, and are the same split; keep one of them")
    clips, known = [], set()
    for folder in present:
        files, faults = video_files.scan_classes(root, folder)
        problems += faults
        known |= set(files)
        split = _SPLIT_FOLDERS[folder]
        for key, path in files.items():
            _, name, stem = key.split("/")
            clips.append(Clip(f"{split}/{name}/{stem}", split, name, File(str(root), path)))
    return clips, known, problems


def _scan_random(root, how: RandomSplit) -> tuple[list[Clip], set[str], list[str]]:
    """The clips of <class>/, the keys of all videos, and the problems."""
    splits = [name for name in video_files.entries(root) if name in _SPLIT_FOLDERS and _has_folders(root / name)]
    if splits:
        return [], set(), [f"{', '.join(splits)}: split already, so the folder cannot be split at random"]
    files, problems = video_files.scan_classes(root, "", ignored=[*STREAMS])
    problems += [
        f"{name}: has videos, but is the name of a stream, and not of a class; rename the folder"
        for name in STREAMS
        if (root / name).is_dir()
        and any(entry.lower().endswith(video_files.SUFFIXES) for entry in video_files.entries(root / name))
    ]
    classes = {key: key.partition("/")[0] for key in files}
    assigned, faults = assign(classes, how)
    clips = []
    for key, path in files.items():
        split = assigned.get(key, SPLITS[0])  # the other checks want one, even if there is no split
        clips.append(Clip(f"{split}/{key}", split, classes[key], File(str(root), path)))
    return clips, set(files), problems + faults


def _has_folders(folder) -> bool:
    return folder.is_dir() and any((folder / name).is_dir() for name in video_files.entries(folder))


def _scan_listed(root, split_list, number) -> tuple[list[Clip], set[str], list[str]]:
    """The clips of some lists, the keys of all files in the lists, and the problems of lists and files."""
    entries, problems = split_lists.read(split_list, number)
    if not entries:
        return [], set(), problems or [f"{split_list}: has no clips"]
    # The lists themselves may be in the folder, and the files of streams.
    ignored = [*STREAMS, _top_folder(root, split_list)]
    flat = "/" not in entries[0].file
    files, faults = video_files.scan_files(root, "", ignored) if flat else video_files.scan_classes(root, "", ignored)
    problems += faults + _compare(root, entries, files)
    clips, counts = [], collections.Counter()
    for entry in entries:
        counts[entry.file] += 1
        if entry.split and entry.file in files:
            stem = entry.file.rpartition("/")[2] + (f"_{counts[entry.file] - 1}" if entry.segment else "")
            clip_id = f"{entry.split}/{entry.class_name}/{stem}"
            annotation = Annotation(entry.url, *(entry.segment or ()))
            file, is_part = File(str(root), files[entry.file]), entry.segment is not None
            clips.append(Clip(clip_id, entry.split, entry.class_name, file, annotation, is_part))
    return clips, {entry.file for entry in entries}, problems


def _compare(root, entries: list[split_lists.Entry], files: dict[str, str]) -> list[str]:
    """Entries without a file and files without an entry; a whole class that is missing or surplus only once."""
    known = {entry.file for entry in entries}
    missing = {entry.file: entry.origin for entry in reversed(entries) if entry.split and entry.file not in files}
    surplus = {key: path for key, path in files.items() if key not in known}
    classes, folders = ({key.rpartition("/")[0] for key in keys} for keys in (known, files))
    problems = []
    for name in sorted(classes - folders):
        count = sum(key.startswith(f"{name}/") for key in missing)
        if count and not (root / name).is_dir():  # an empty folder is reported as such
            hint = nearest(name, folders)
            problems.append(f"{name}: no such folder, and the lists have {count} clips of it{hint}")
    for name in sorted(folders - classes):
        problems.append(f"{name}: a class that the lists do not have{nearest(name, classes)}")
    # Searching for the nearest name is slow: if most names are wrong, the first messages are enough.
    few = len(missing) * len(surplus) <= _MAX_COMPARED
    for file, origin in sorted(missing.items()):
        if file.rpartition("/")[0] in folders:
            hint = nearest(file, surplus) if few else ""
            problems.append(f"{origin}: {file}: no such video{hint}")
    for key, path in surplus.items():
        if key.rpartition("/")[0] in classes:
            problems.append(f"{path}: not in the lists{nearest(key, missing) if few else ''}")
    return problems


def _class_problems(clips: list[Clip], table: Sequence[str]) -> list[str]:
    """Classes that cannot be learned, names that cannot be in a class table, and those that differ from `table`'s."""
    found = collections.defaultdict(set)
    for clip in clips:
        for name in clip.classes:
            found[name].add(clip.split)
    problems = [
        f"{name!r}: a class name must not begin or end with a space, or have line breaks"
        for name in sorted(found)
        if name != name.strip() or len(name.splitlines()) != 1
    ]
    if any("train" in splits for splits in found.values()):
        problems += [
            f"{name}: is in {' and '.join(sorted(splits))}, but has no clips in train"
            + nearest(name, [other for other in found if "train" in found[other]])
            for name, splits in sorted(found.items())
            if "train" not in splits
        ]
    if table and found:
        surplus, missing = set(found) - set(table), set(table) - set(found)
        problems += [f"{name}: is not in the class table{nearest(name, missing)}" for name in sorted(surplus)]
        problems += [f"{name}: is in the class table, but has no clips" for name in sorted(missing)]
    return problems


def _with_files(root, stream: str, clips: list[Clip], known: set[str]) -> tuple[list[Clip], list[str]]:
    """The clips with their files of a stream; a problem for each file that is missing or surplus."""
    if not (root / stream).is_dir():
        return clips, [f"{stream}: no such folder in {root}"]
    pattern = f"{stream}/{STREAMS[stream].FILES[0]}"
    there = set(video_files.walk(root, stream))
    if "." not in pattern:  # a folder of files for each clip
        there = {path.rpartition("/")[0] for path in there}
    wanted = {clip.file.path: pattern.format(clip=video_files.key(clip.file.path)) for clip in clips}
    allowed = {pattern.format(clip=key) for key in known}
    problems = [f"{path}: no such file" for path in sorted(set(wanted.values()) - there)]
    problems += [f"{path}: belongs to no clip" for path in sorted(there - allowed)]
    found = {path: File(str(root), file) for path, file in wanted.items()}
    return [dataclasses.replace(clip, files={**clip.files, stream: found[clip.file.path]}) for clip in clips], problems


def _top_folder(root, path) -> str:
    """The entry of `root` that `path` is or is in; "" if it is elsewhere."""
    root, path = root.resolve(), path.resolve()
    return path.relative_to(root).parts[0] if root in path.parents else ""


def _hint(root, entries: list[str]) -> str:
    """A guess at what is meant by a folder without splits."""
    for name in entries:
        if meant := nearest(name, _SPLIT_FOLDERS):
            return f", but {name!r}{meant}"
    classes = any((root / name).is_dir() for name in entries)
    return "; folders of classes need --split=0.8,0.1,0.1 or --split_list" if classes else ""
