"""HMDB51's lists: <class>_test_split1.txt for every class, of which 1 to 3 are three splits.

name.avi 1     1 train, 2 test, 0 unused
"""

import re

from tfds_haa500.sources.lists.entries import UNUSED, Entry, read_lines, repeated, stem, unused

FILE = re.compile(r"(.+)_test_split(\d)\.txt")
_SPLITS = {"1": "train", "2": "test"}


def read(path, number: int) -> tuple[list[Entry], list[str]]:
    """The entries of split `number`, and everything that is wrong with the lists."""
    entries, problems = [], []
    for name in sorted({match[1] for match in map(FILE.fullmatch, (file.name for file in path.iterdir())) if match}):
        lines, faults = read_lines(path, f"{name}_test_split{number}.txt")
        problems += faults
        for origin, line in lines:
            match = re.fullmatch(r"(\S.*?\.\w+)\s+([012])", line)
            if not match:
                problems.append(f"{origin}: {line!r} is not <file> and 0 (unused), 1 (train) or 2 (test)")
                continue
            file = f"{name}/{stem(match[1])}"
            split = _SPLITS.get(match[2])
            entries.append(Entry(split, name, file, origin) if split else unused(file, origin, UNUSED))
    return entries, problems + repeated(entries)
