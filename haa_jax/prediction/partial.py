"""The results of a run that is not finished: `<out>.partial`, a line of JSON for each video, appended as they come.

The first line names the network and the settings. The same command continues from the file; a line that was cut off is
computed again.
"""

import json
import os
import pathlib
import zlib
from collections.abc import Sequence

import jax
import numpy as np

from haa_jax.prediction.results import ResultsError
from haa_jax.restore import TrainedNetwork

_NO_EFFECT = ("dataset", "data_dir", "threads", "prefetch")  # fields of config.data


class Partial:
    """The records that are done.

    Args:
      out: the file of results that the run will write.
      settings: plain data that the results depend on.

    Raises:
      ResultsError: the file there is of other settings.
    """

    def __init__(self, out: str, settings: dict):
        self.path = pathlib.Path(f"{out}.partial")
        self._kept: dict[str, dict] = {}
        first = json.dumps({"settings": settings})
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        whole = lines[:-1]  # what follows the last line break was cut off
        if whole and whole[0].decode() != first:
            raise ResultsError(
                f"{self.path} has results of another network or of other settings: delete it, or use another --out"
            )
        self._kept = {entry["file"]: entry["record"] for entry in map(json.loads, whole[1:])}
        self._file = self.path.open("ab" if whole else "wb")
        self._file.truncate(sum(len(line) + 1 for line in whole))
        if not whole:
            self._append(first)

    def record(self, video: str) -> dict | None:
        """The record of a video, if it is there and the file has not changed since."""
        return self._kept.get(_identity(video))

    def add(self, video: str, record: dict) -> None:
        self._kept[_identity(video)] = record
        self._append(json.dumps({"file": _identity(video), "record": record}))

    def close(self, delete: bool) -> None:
        self._file.close()
        if delete:
            self.path.unlink()

    def _append(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()


def fingerprint(networks: Sequence[TrainedNetwork]) -> list[dict]:
    """What the results of networks depend on, as plain data."""
    return [
        {
            "variables": _checksum(network.variables),
            "classes": {head: list(names) for head, names in network.classes.items()},
            "model": network.config.model.to_dict(),
            "data": {name: value for name, value in network.data.to_dict().items() if name not in _NO_EFFECT},
            "views": [*network.views, network.config.eval.average],
            **({"threshold": network.threshold} if network.multi_label else {}),
        }
        for network in networks
    ]


def _checksum(variables: dict) -> int:
    found = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        found = zlib.crc32(np.ascontiguousarray(leaf), zlib.crc32(str(path).encode(), found))
    return found


def _identity(video: str) -> str:
    """Tells a file from others, and from itself before it was changed."""
    about = os.stat(video)
    return f"{os.path.abspath(video)} {about.st_size} {about.st_mtime_ns}"
