"""Paths as users type them, with `~` and `file://`. Used for every setting that names a folder or a file."""

import importlib.util
import os
import pathlib
import tempfile
import urllib.parse
import urllib.request

from etils import epath

from haa_jax.errors import UserError


class PathError(UserError, ValueError):
    """A path that cannot be used; the message says which and why."""


def expand(path: os.PathLike | str) -> str:
    """A local path with `~` and `file://` resolved; buckets, such as gs://, and "" are left as they are.

    Raises:
      PathError: it names an unknown user or another machine, or a bucket without the package that reads it.
    """
    text = os.fspath(path)
    if text.startswith("gs:"):
        if not text.startswith("gs://"):
            raise PathError(f"{text} names no bucket: write gs://BUCKET/FOLDER")
        if not importlib.util.find_spec("gcsfs"):
            raise PathError(f"{text} needs gcsfs: pip install 'haa_jax[gcs]'")
        return text
    if text.startswith("file:"):
        parts = urllib.parse.urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise PathError(f"{text} is not on this machine: write it as file:///FOLDER, or as a plain path")
        text = urllib.request.url2pathname(parts.path)
    found = os.path.expanduser(text)
    if found.startswith("~"):
        raise PathError(f"{text}: there is no home folder of that name; for a folder of this name, write ./{text}")
    return found


def folder(path: os.PathLike | str) -> epath.Path:
    """An expanded path, local or in a bucket.

    Raises:
      PathError: as `expand`.
    """
    return epath.Path(expand(path))


def absolute(path: os.PathLike | str) -> epath.Path:
    """An expanded path from the root of its file system; etils would take a bucket for a folder of this one."""
    path = epath.Path(path)
    return path.resolve() if is_local(path) else path


def is_local(path: os.PathLike | str) -> bool:
    """Whether an expanded path is on this machine's file system."""
    return "://" not in os.fspath(path)


def check_writable(folder: os.PathLike | str, named: str) -> None:
    """Checks that files can be written to an expanded local folder, or that it can be made; leaves no files.

    Args:
      named: the setting that holds the path, for the message.

    Raises:
      PathError: it cannot be made or written to.
    """
    there = pathlib.Path(folder).absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise PathError(
            f"{named}={folder} cannot be used: nothing can be written to {there} ({_why(error)})"
        ) from error


def _why(error: OSError) -> str:
    return "it is a file" if isinstance(error, NotADirectoryError) else error.strerror
