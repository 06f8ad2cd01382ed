"""One run at a time in a workdir: two would write the same checkpoints."""

import contextlib
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator

LOCK_FILE = ".lock"


class WorkdirInUse(RuntimeError):  # noqa: N818  says what it is
    """Another process is at work in the workdir; the message says which."""


@contextlib.contextmanager
def locked(workdir) -> Iterator[None]:
    """Holds a workdir on a local file system for as long as the context lasts, or the process lives.

    The system itself gives the lock back when the process ends, however it ends. Workdirs in buckets are not locked.

    Raises:
      WorkdirInUse: another process holds it.
    """
    if "://" in str(workdir):
        yield
        return
    with (pathlib.Path(workdir) / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise WorkdirInUse(f"{workdir} is in use by {holder}: wait for it, or choose another --workdir") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
