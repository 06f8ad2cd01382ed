"""FineGym's Gym288: a folder of its lists, as https://sdolivia.github.io/FineGym/ has them.

    gym288_train_element_v1.1.txt        2pBxfMAIaXY_E_001794_001801_A_0000_0006 26
    gym288_val_element.txt               0LtLS9wROrk_E_002407_002435_A_0003_0005 240
    gym288_categories.txt                Clabel:  26; set:  1; Glabel:  41; (VT) tsukahara tucked
    finegym_annotation_info_v1.1.json    {video: {event: {"timestamps": [[2407.32, 2435.28]], "segments": {element:
                                         {"timestamps": [[3.45, 5.64]]}}}}}; v1.0 with the training list of v1.0

A clip is one element; its id names a video on YouTube, an event in it (E) and a part of that (A). The numbers in an id
are whole seconds, rounded down: the exact times are in the JSON file, those of an element relative to its event's
start. An element of several stages (vault has three) lasts from the first to the last, as in MMAction2
(tools/data/gym/trim_subaction.py).

The folder of videos holds whole ones, <video>.mp4, or elements that are cut already, <id>.mp4, as MMAction2's
`subactions`. The JSON file is needed for whole ones only; for the others it tells which Gym288 does not use. There is
no test split. Three names of classes are there twice, for an element within a routine and for one at its end: ", set
33" and ", set 35", as the categories have it, are added to them.
"""

import collections
import dataclasses
import json
import re

from tfds_haa500.sources import video_files
from tfds_haa500.sources.lists.entries import (
    SHORTEST,
    TOO_SHORT,
    UNUSED,
    Entry,
    is_segment,
    read_lines,
    repeated,
    unused,
    youtube_url,
)

FILE = re.compile(r"gym288_train_element_(v\d+\.\d+)\.txt")
_VALIDATION = "gym288_val_element.txt"
_CATEGORIES = "gym288_categories.txt"
_CATEGORY = re.compile(r"Clabel:\s*(\d+);\s*set:\s*(\d+);\s*Glabel:\s*\d+;\s*(\S.*)")
_ID = re.compile(r"([\w-]{11})_(E_\d{6}_\d{6})_(A_\d{4}_\d{4})", re.ASCII)


@dataclasses.dataclass(frozen=True)
class _Element:
    """A line of a list: its id is that of a video, an event in it and a part of that."""

    split: str
    class_name: str
    origin: str
    id: str

    @property
    def keys(self) -> tuple[str, str, str]:
        """Those of the JSON file."""
        return _ID.fullmatch(self.id).groups()

    def entry(self, file: str, segment: tuple[float, float] | None = None) -> Entry:
        """As a clip of a file."""
        return Entry(self.split, self.class_name, file, self.origin, segment, youtube_url(self.keys[0]), self.id)


def read(path, root) -> tuple[list[Entry], list[str]]:
    """The entries of the lists at `path`, and everything that is wrong with them.

    Args:
      path: the folder of the lists.
      root: the folder of videos, whose names tell whether they are whole or cut; None for whole ones.
    """
    training = sorted(entry.name for entry in path.iterdir() if FILE.fullmatch(entry.name))
    if len(training) > 1:
        return [], [f"{' and '.join(training)}: are versions of the same list; keep one of them"]
    info = f"finegym_annotation_info_{FILE.fullmatch(training[0])[1]}.json"
    elements, problems = _elements(path, {"train": training[0], "validation": _VALIDATION})
    is_cut = any(_ID.fullmatch(video_files.key(name)) for name in (video_files.entries(root) if root else ()))
    annotations, faults = _annotations(path, info)
    if is_cut:
        entries = [element.entry(element.id) for element in elements]
        others = ["_".join(keys) for keys in _every(annotations)]
        problems += faults if (path / info).exists() else []
    elif faults:
        return [], problems + faults
    else:
        entries, faults = _parts(elements, annotations, info)
        others = list(annotations)
        problems += faults
    used = {entry.file for entry in entries}
    problems += repeated([entry for entry in entries if entry.split])
    return entries + [unused(file, info, UNUSED) for file in others if file not in used], problems


def _elements(path, lists: dict[str, str]) -> tuple[list[_Element], list[str]]:
    """The lines of the lists by split, and the problems."""
    classes, problems = _classes(path)
    elements = []
    for split, file in lists.items():
        lines, faults = read_lines(path, file)
        problems += faults
        for origin, line in lines:
            name, _, label = map(str.strip, line.partition(" "))
            if not _ID.fullmatch(name) or not label:
                problems.append(f"{origin}: {line!r} is not <video>_E_<start>_<end>_A_<start>_<end> and a label")
            elif label not in classes:
                problems.append(f"{origin}: label {label!r} is not in {_CATEGORIES}")
            else:
                elements.append(_Element(split, classes[label], origin, name))
    return elements, problems


def _classes(path) -> tuple[dict[str, str], list[str]]:
    """Label -> class, and the problems."""
    lines, problems = read_lines(path, _CATEGORIES)
    found = {}
    for origin, line in lines:
        match = _CATEGORY.fullmatch(line)
        if match and match[1] not in found:
            found[match[1]] = match[3], match[2]
        else:
            problems.append(f"{origin}: {line!r} is not Clabel: <a new number>; set: ...; Glabel: ...; <class>")
    counts = collections.Counter(name for name, _ in found.values())
    return {
        label: f"{name}, set {number}" if counts[name] > 1 else name for label, (name, number) in found.items()
    }, problems


def _annotations(path, info: str) -> tuple[dict, list[str]]:
    """The JSON file, and what is wrong with it as a whole."""
    try:
        found = json.loads((path / info).read_text())
    except FileNotFoundError:
        return {}, [f"{info}: no such file in {path}, and whole videos cannot be cut without it"]
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{info}: cannot be read as JSON ({error})"]
    return (found, []) if isinstance(found, dict) else ({}, [f"{info}: is not an object of videos"])


def _every(annotations: dict) -> list[tuple[str, str, str]]:
    """The keys of all elements; events that were not annotated have null in place of them."""
    return [
        (video, event, part)
        for video, events in annotations.items()
        for event, about in (events.items() if isinstance(events, dict) else ())
        for part in _at(about, "segments") or ()
    ]


def _parts(elements: list[_Element], annotations: dict, info: str) -> tuple[list[Entry], list[str]]:
    """The elements as parts of whole videos, and the problems."""
    entries, problems = [], []
    for element in elements:
        video, event, part = element.keys
        of_event = _at(annotations, video, event, "timestamps")
        stages = _at(annotations, video, event, "segments", part, "timestamps")
        if not _are_segments(of_event) or not _are_segments(stages):
            problems.append(f"{element.origin}: {element.id} has no times in {info}")
            continue
        start, end = (of_event[0][0] + time for time in (stages[0][0], stages[-1][1]))
        is_long = end - start >= SHORTEST
        entries.append(element.entry(video, (start, end)) if is_long else unused(video, element.origin, TOO_SHORT))
    return entries, problems


def _at(value, *keys: str):
    """What is at some keys of objects in a JSON value; None if there is nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _are_segments(value) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(is_segment, value))
