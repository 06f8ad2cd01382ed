"""Finds the videos of a folder, and everything in it that is not a video."""

import collections
from collections.abc import Iterator, Sequence

SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".gif", ".mov", ".m4v", ".3gp", ".flv", ".wmv", ".mpg", ".mpeg", ".ts",
            ".m2ts")  # in any case  # fmt: skip


def scan_classes(root, folder: str, ignored: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """The videos in the class folders of a folder, by `key`, and the problems; the entries `ignored` are skipped."""
    files, problems = {}, []
    prefix = f"{folder}/" if folder else ""
    names = [name for name in entries(root / folder) if name not in ignored]
    for name in names:
        if not (root / folder / name).is_dir():
            problems.append(f"{prefix}{name}: a file, where only folders of classes may be")
            continue
        found, faults = scan_files(root, f"{prefix}{name}")
        files |= found
        problems += faults
    return files, problems if names else [f"{folder or root}: no folders of classes"]


def scan_files(root, folder: str, ignored: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """The videos in one folder, {`key`: path inside `root`}, and the problems; the entries `ignored` are skipped."""
    stems, problems = collections.defaultdict(list), []
    for name in entries(root / folder):
        if name in ignored:
            continue
        path = f"{folder}/{name}" if folder else name
        if (root / path).is_dir():
            problems.append(f"{path}: a folder, where only videos may be")
        elif not name.lower().endswith(SUFFIXES):
            problems.append(f"{path}: not a video ({', '.join(SUFFIXES)})")
        else:
            stems[key(path)].append(path)
    problems += [f"{' and '.join(paths)}: have the same name" for paths in stems.values() if len(paths) > 1]
    if not stems and not problems:
        problems.append(f"{folder or root}: no videos")
    return {stem: paths[0] for stem, paths in stems.items()}, problems


def entries(folder) -> list[str]:
    """The names in a folder, in order, without hidden ones."""
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))


def walk(root, folder: str) -> Iterator[str]:
    """All files under a folder, "" for `root` itself, as paths inside `root`; hidden ones are left out."""
    for name in entries(root / folder):
        path = f"{folder}/{name}" if folder else name
        if (root / path).is_dir():
            yield from walk(root, path)
        else:
            yield path


def key(path: str) -> str:
    """A video's path without its suffix."""
    return path.rpartition(".")[0]
