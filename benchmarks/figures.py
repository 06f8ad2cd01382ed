"""What benchmarks measure and print in the same way."""

import pathlib
import resource
import statistics
from collections.abc import Iterable, Sequence


def spread(values: Sequence[float], digits: int) -> str:
    """Median [least, most]."""
    middle, least, most = (f"{each:.{digits}f}" for each in (statistics.median(values), min(values), max(values)))
    return f"{middle} [{least}, {most}]"


def line(cells: Iterable) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def resident() -> int:
    """Resident memory of this process in megabytes."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 10**6
