"""UCF101's lists, of which 01 to 03 are three splits.

classInd.txt       1 ApplyEyeMakeup
trainlist01.txt    ApplyEyeMakeup/v_X.avi 1
testlist01.txt     ApplyEyeMakeup/v_Y.avi
"""

import re

from tfds_haa500.sources.clips import nearest
from tfds_haa500.sources.lists.entries import Entry, read_lines, repeated, stem

FILE = re.compile(r"trainlist0\d\.txt")


def read(path, number: int) -> tuple[list[Entry], list[str]]:
    """The entries of split `number`, and everything that is wrong with the lists."""
    classes, problems = _classes(path)
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
                entries.append(Entry(split, name, f"{name}/{stem(file)}", origin))
    return entries, problems + repeated(entries)


def _classes(path) -> tuple[dict[str, str], list[str]]:
    """Number -> class, and the problems."""
    lines, problems = read_lines(path, "classInd.txt")
    classes = {}
    for origin, line in lines:
        match = re.fullmatch(r"(\d+)\s+(.+)", line)
        if match and match[1] not in classes and match[2] not in classes.values():
            classes[match[1]] = match[2]
        else:
            problems.append(f"{origin}: {line!r} is not a new number and a new class")
    return classes, problems
