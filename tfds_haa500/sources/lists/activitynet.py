"""ActivityNet's lists, of v1.2 (100 classes, the paper's) and v1.3 (200): a JSON file.

    {"version": "VERSION 1.2", "taxonomy": [...], "database": {"--0edUL8zmA": {"subset": "training", "url": "https:...",
     "duration": 92.18, "resolution": ..., "annotations": [{"label": "Dodgeball", "segment": [5.46484, 86.71838]}]}}}

Each annotation is a clip of the video v_<id>. The subset "testing" has no labels, so there is no test split. Version,
taxonomy, duration and resolution are not used.

The official files contain slips, which are left out and counted: annotations shorter than 0.1 s, which may hold no
frame (its maintainers suggest it: github.com/activitynet/ActivityNet, issue 56), and annotations that are there twice.
Of the 10,733 of v1.2, 39 are too short: 10 have no length, and most others are [0.01, 0.02]. 34, in 21 videos, repeat
another.
"""

import json

from tfds_haa500.sources.lists.entries import SHORTEST, TOO_SHORT, UNLABELED, Entry, is_segment, unused

REPEATED = "annotations that are there twice"
_SPLITS = {"training": "train", "validation": "validation", "testing": ""}


def read(path) -> tuple[list[Entry], list[str]]:
    """The entries of the file at `path`, and everything that is wrong with it."""
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
            entries += _video(video_id, video, f"{path.name}: {video_id}")
        except ValueError as error:
            problems += error.args
    return entries, problems


def _video(video_id: str, video, origin: str) -> list[Entry]:
    """The clips of one video; raises ValueError whose `args` are the problems."""
    if not isinstance(video, dict) or video.get("subset") not in _SPLITS:
        found = video.get("subset") if isinstance(video, dict) else video
        raise ValueError(f"{origin}: subset is {found!r:.60}, must be one of {', '.join(_SPLITS)}")
    split, file, url = _SPLITS[video["subset"]], f"v_{video_id}", video.get("url", "")
    if not isinstance(url, str):
        raise ValueError(f"{origin}: url is {url!r:.60}, must be text")
    if not split:
        return [unused(file, origin, UNLABELED)]
    annotations = video.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        raise ValueError(f"{origin}: annotations are {annotations!r:.60}, must be a list with one or more")
    entries, problems, seen = [], [], set()
    for number, annotation in enumerate(annotations):
        where = f"{origin} annotation {number}"
        label, segment = (annotation.get(key) if isinstance(annotation, dict) else None for key in ("label", "segment"))
        if not isinstance(label, str) or not label.strip():
            problems.append(f"{where}: label is {label!r:.60}, must be the name of a class")
        elif not is_segment(segment):
            problems.append(f"{where}: segment is {segment!r:.60}, must be [start, end] in seconds, 0 <= start <= end")
        elif segment[1] - segment[0] < SHORTEST:
            entries.append(unused(file, where, TOO_SHORT))
        elif (label, *segment) in seen:
            entries.append(unused(file, where, REPEATED))
        else:
            seen.add((label, *segment))
            entries.append(Entry(split, label, file, where, (float(segment[0]), float(segment[1])), url))
    if problems:
        raise ValueError(*problems)
    return entries
