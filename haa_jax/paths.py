"""Folders as people give them on a command line."""

import os
import urllib.parse

from etils import epath


def folder(given: epath.PathLike) -> epath.Path:
    """A path with its `~` expanded, which a shell leaves after `--workdir=`, and `file://` URLs as the path they name.

    Buckets (`gs://...`) stay as they are.
    """
    text = os.fspath(given)
    if text.startswith("file://"):
        text = urllib.parse.unquote(text.removeprefix("file://"))
    return epath.Path(text).expanduser()
