"""One build of a dataset at a time, and nothing left of those that failed or were killed."""

import contextlib
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import IO

from etils import epath

LOCK_FILE = ".build_lock"
_INCOMPLETE = "incomplete.*"  # what TFDS names the folder that a build writes into, beside the dataset's
_DEFAULT_CONFIG = ".config"  # what TFDS writes beside a dataset's configs before the first is built
_TRIES = 100


class OneBuild:
    """For a DatasetBuilder to inherit before TFDS's class: its builds are each the only one of their dataset."""

    def download_and_prepare(self, **options) -> None:
        """As TFDS's, which has the options. A second build of a dataset waits for the first and finds it built."""
        download = options.get("download_config")
        if self.data_path.exists() and not (download and download.download_mode.overwrite_dataset):
            super().download_and_prepare(**options)
            return
        with only_build(self.data_path):
            super().download_and_prepare(**options)
        if not self.info.splits:  # another process built it
            self.info.read_from_directory(self.data_path)


@contextlib.contextmanager
def only_build(data_path: epath.PathLike) -> Iterator[None]:
    """Holds the lock of a dataset; waits where another process holds it.

    First deletes what killed builds of the dataset left in its data folder: since the system gives a lock back when a
    process ends, however it ended, nobody writes there any more. After an error, folders that were made for the build
    are removed again. Data folders in buckets have no lock, and nothing is deleted there.

    Args:
      data_path: where the dataset will be, <data_dir>/<name>/<config>/<version>.
    """
    if "://" in os.fspath(data_path):
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
        with contextlib.suppress(FileNotFoundError):  # who held it may just have removed it, and the folder
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
            _wait_for(file, folder)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()
    raise OSError(f"{path} cannot be locked: it disappears again and again")


def _wait_for(file: IO, folder: pathlib.Path) -> None:
    import fcntl  # not on Windows, where built datasets can be read all the same

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Waiting for another build of {folder.parent.name}/{folder.name} to end.", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)


def _remove_empty(folders: Sequence[pathlib.Path]) -> None:
    """Removes folders, the inner ones first, as far as nothing else has come into them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == [_DEFAULT_CONFIG]:
                shutil.rmtree(folder / _DEFAULT_CONFIG)
            folder.rmdir()
