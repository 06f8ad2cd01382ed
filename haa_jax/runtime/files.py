"""Writing files atomically: a reader sees the old content or the new one, never half of it."""

import contextlib
import io
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from etils import epath

from haa_jax.runtime import paths


@contextlib.contextmanager
def atomic_write(path: epath.PathLike) -> Iterator[BinaryIO]:
    """Opens a temporary file next to `path` for writing bytes, and moves it to `path` if nothing was raised.

    If something was, the temporary file is deleted and `path` is left as it was. The temporary file's name is random,
    since two processes (a training and an evaluation, say) may write the same file at once.

    In a bucket nothing is moved: an object is there once all of it is, and replaces the one before. But closing a file
    there uploads what has been written so far, even after an error, so all is first written to memory.
    """
    path = epath.Path(path)
    if not paths.is_local(path):
        memory = io.BytesIO()
        yield memory
        path.write_bytes(memory.getvalue())
        return
    temporary = path.parent / f"{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(path)
