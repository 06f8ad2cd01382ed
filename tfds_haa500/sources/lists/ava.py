"""AVA v2.2's lists: the folder that https://s3.amazonaws.com/ava-dataset/annotations/ava_v2.2.zip unpacks to.

    ava_train_v2.2.csv, ava_val_v2.2.csv          1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,12,1
    ava_train_excluded_timestamps_v2.2.csv, ...   0f39OWEqJ24,1110
    ava_action_list_v2.2.pbtxt                    label {  name: "stand"  label_id: 12  label_type: PERSON_MOVEMENT }
    ava_test_v2.2.txt                             --205wugM18: a video without labels

A line is one action of one person at one second of a video, the key frame: the video's id on YouTube, seconds from the
start of the whole video, the person's box, the action and the person. A clip is what is around a key frame, half of it
before and half after, and its labels are the set of all actions of all people there: HAA500's paper compares sets
(mIOU, Table 11) and does not say how they were made, so this is inferred. Boxes and people are not used. The action
list is the one of 80, as the paper counts them. Excluded key frames are left out. There is no test split.

Videos are whole, <id>.mkv, .mp4 or .webm: those that were cut to minutes 15 to 30 are reported as too short.
"""

import re

from tfds_haa500.sources.lists.entries import UNLABELED, Entry, read_lines, unused, youtube_url

FILE = re.compile(r"ava_(train|val)_v2\.2\.csv")
SECONDS = 1.0  # of a clip, as Table 4 of HAA500's paper has it for AVA
EXCLUDED = "key frames that AVA excludes"
_LISTS = {"train": "train", "validation": "val"}
_ACTIONS = "ava_action_list_v2.2.pbtxt"
_TEST = "ava_test_v2.2.txt"
_ACTION = re.compile(r'label\s*\{\s*name:\s*"([^"]+)"\s*label_id:\s*(\d+)\s*label_type:\s*\w+\s*\}')
_KEY = re.compile(r"([\w-]{11}),(\d{4})", re.ASCII)
_COLUMNS = 8


def read(path, seconds: float | None = None) -> tuple[list[Entry], list[str]]:
    """The entries of the lists at `path`, one a key frame, and everything that is wrong with them.

    Args:
      path: the folder of the lists.
      seconds: how long a clip is; None for `SECONDS`.
    """
    actions, problems = _actions(path)
    entries, videos = [], {}
    for split, name in _LISTS.items():
        frames, faults = _key_frames(path, f"ava_{name}_v2.2.csv", actions)
        excluded, more = _excluded(path, f"ava_{name}_excluded_timestamps_v2.2.csv")
        problems += faults + more
        videos[split] = {video for video, _ in frames}
        for (video, second), (origin, labels) in frames.items():
            if (video, second) in excluded:
                entries.append(unused(video, origin, EXCLUDED))
            else:
                entries.append(_entry(split, video, second, sorted(labels), origin, seconds or SECONDS))
    problems += [f"{video}: is in train and validation" for video in sorted(set.intersection(*videos.values()))]
    return entries + _without_labels(path), problems


def _entry(split: str, video: str, second: str, labels: list[str], origin: str, seconds: float) -> Entry:
    part = int(second) - seconds / 2, int(second) + seconds / 2
    name = f"{video}_{second}"
    return Entry(split, labels[0], video, origin, part, youtube_url(video), name, tuple(labels))


def _actions(path) -> tuple[dict[str, str], list[str]]:
    """Id -> action, and the problems."""
    lines, problems = read_lines(path, _ACTIONS)
    text = " ".join(line for _, line in lines)
    found = {number: name for name, number in _ACTION.findall(text)}
    count = text.count("label_id")
    if lines and (not found or len(found) != count or len(set(found.values())) != count):
        problems.append(
            f"{_ACTIONS}: is not a list of label {{ name: ... label_id: ... label_type: ... }}, all different"
        )
    return found, problems


def _key_frames(path, name: str, actions: dict[str, str]) -> tuple[dict[tuple, tuple[str, set[str]]], list[str]]:
    """(video, second) -> (its first line, its actions), and the problems."""
    lines, problems = read_lines(path, name)
    frames = {}
    for origin, line in lines:
        fields = line.split(",")
        if len(fields) != _COLUMNS or not _KEY.fullmatch(",".join(fields[:2])):
            problems.append(f"{origin}: {line!r:.80} is not <video>,<second>,<x1>,<y1>,<x2>,<y2>,<action>,<person>")
        elif fields[6] not in actions:
            problems.append(f"{origin}: action {fields[6]!r} is not in {_ACTIONS}")
        else:
            frames.setdefault((fields[0], fields[1]), (origin, set()))[1].add(actions[fields[6]])
    return frames, problems


def _excluded(path, name: str) -> tuple[set[tuple[str, str]], list[str]]:
    """The key frames of a list of excluded ones, and the problems."""
    lines, problems = read_lines(path, name)
    matches = {origin: _KEY.fullmatch(line) for origin, line in lines}
    problems += [f"{origin}: {line!r:.80} is not <video>,<second>" for origin, line in lines if not matches[origin]]
    return {match.groups() for match in matches.values() if match}, problems


def _without_labels(path) -> list[Entry]:
    """The videos of the test list, which may be missing."""
    lines, _ = read_lines(path, _TEST)
    return [unused(line, origin, UNLABELED) for origin, line in lines]
