"""One build of a dataset at a time, and nothing left on disk of builds that failed or were killed."""

import contextlib
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import IO

from etils import epath

from tfds_haa500.runtime import bucket

LOCK_FILE = ".build_lock"
_INCOMPLETE = "incomplete.*"  # the folder that TFDS writes a build into, next to the dataset's
_DEFAULT_CONFIG = ".config"  # what TFDS writes next to a dataset's configs before the first is built
_TRIES = 100


@contextlib.contextmanager
def build_lock(data_path: epath.PathLike) -> Iterator[None]:
    """Holds the lock of a dataset; waits while another process holds it.

    First deletes what killed builds of the dataset left in its data folder: the system releases a lock when a process
    ends, even if it is killed, so no other process writes there anymore. After an error, folders that were made for
    the build are removed again. Data folders in buckets have no lock, and nothing is deleted there.

    Args:
      data_path: where the dataset will be, <data_dir>/<name>/<config>/<version>.
    """
    if bucket.is_remote(data_path):
        yield
        return
    folder = pathlib.Path(data_path).parent
    data_dir = folder.parent.parent
    downloads = data_dir / "downloads" / "extracted"  # TFDS makes it, always
    made = [path for path in (downloads, downloads.parent, folder, folder.parent, data_dir) if not path.exists()]
    with _locked(folder, made):
        for left in folder.glob(_INCOMPLETE):
            shutil.rmtree(left)
        yield


@contextlib.contextmanager
def _locked(folder: pathlib.Path, made: Sequence[pathlib.Path]) -> Iterator[None]:
    with _acquire(folder):
        try:
            yield
        except BaseException:
            (folder / LOCK_FILE).unlink(missing_ok=True)
            _remove_empty(made)
            raise
        (folder / LOCK_FILE).unlink(missing_ok=True)


def _acquire(folder: pathlib.Path) -> IO:
    """The open lock file of a folder, locked."""
    path = folder / LOCK_FILE
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):  # the last holder may just have removed it, and the folder
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
            _wait_for(file, folder)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()
    raise OSError(f"{path} cannot be locked: it keeps disappearing")


def _wait_for(file: IO, folder: pathlib.Path) -> None:
    import fcntl  # not on Windows, where built datasets can still be read

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Waiting for another build of {folder.parent.name}/{folder.name} to end.", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)


def _remove_empty(folders: Sequence[pathlib.Path]) -> None:
    """Removes folders, the inner ones first, unless something else is in them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == [_DEFAULT_CONFIG]:
                shutil.rmtree(folder / _DEFAULT_CONFIG)
            folder.rmdir()
