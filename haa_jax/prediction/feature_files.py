"""Features of videos as files: `<name>.npy`, float32 (windows, size), and `<name>.times.npy`, float64 (windows, 2).

A row of the times is a window's start and end in seconds. A video whose features are there is left alone. The times are
written first, each file atomically, so that where there are features there are times.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from haa_jax.prediction.results import ResultsError
from haa_jax.runtime.files import atomic_write

FEATURES, TIMES = ".npy", ".times.npy"


def missing(folder: str, names: Mapping[str, str]) -> dict[str, str]:
    """Those of some videos, with their names, that have no features yet."""
    return {video: name for video, name in names.items() if not _path(folder, name, FEATURES).exists()}


def write(folder: str, name: str, features: np.ndarray, times: list[tuple[float, float]]) -> None:
    """Writes both files of a video, and the folders that its name has."""
    for suffix, values in ((TIMES, np.asarray(times, np.float64)), (FEATURES, features)):
        path = _path(folder, name, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.save(file, values)


def check_names(flag: str, names: Mapping[str, str]) -> None:
    """Raises ResultsError if two videos would have the same file."""
    first = {}
    for video, name in names.items():
        other = first.setdefault(name.lower(), video)  # also on file systems that ignore case
        if other != video:
            raise ResultsError(f"{other} and {video} would have the same file in --{flag}; give one of them alone")


def _path(folder: str, name: str, suffix: str) -> pathlib.Path:
    return pathlib.Path(folder) / f"{name}{suffix}"
