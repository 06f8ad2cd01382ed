"""A dataset in a bucket: built on this machine, then uploaded.

A bucket renames nothing, so a dataset cannot be made elsewhere in it and appear at once. Its `dataset_info.json` is
uploaded last, and without that TFDS finds no dataset.
"""

import concurrent.futures
import os
import pathlib

from etils import epath

LAST = "dataset_info.json"
_THREADS = 8


def is_remote(path: epath.PathLike) -> bool:
    """Whether a path is in a bucket."""
    return "://" in os.fspath(path)


def is_complete(data_path: epath.PathLike) -> bool:
    """Whether all of a dataset is there."""
    return (epath.Path(data_path) / LAST).exists()


def upload(local: epath.PathLike, data_path: epath.PathLike) -> None:
    """Copies the files of a built dataset to a folder of a bucket and replaces what is there.

    If it is interrupted, there is no dataset: the old LAST is deleted first, the new one comes last.
    """
    local, data_path = pathlib.Path(local), epath.Path(data_path)
    (data_path / LAST).unlink(missing_ok=True)
    data_path.rmtree(missing_ok=True)
    names = sorted(file.name for file in local.iterdir() if file.name != LAST)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(lambda name: epath.Path(local / name).copy(data_path / name, overwrite=True), names):
            pass
    epath.Path(local / LAST).copy(data_path / LAST, overwrite=True)
