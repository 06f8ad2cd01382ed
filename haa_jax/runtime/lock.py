"""One run at a time in a workdir: two would overwrite each other's checkpoints."""

import contextlib
import fcntl
import logging
import os
import pathlib
import socket
from collections.abc import Iterator

from haa_jax.errors import UserError
from haa_jax.runtime import paths

log = logging.getLogger(__name__)

LOCK_FILE = ".lock"


class WorkdirInUse(UserError, RuntimeError):  # noqa: N818  describes the state
    """Another process is using the workdir; the message names it."""


@contextlib.contextmanager
def locked(workdir) -> Iterator[None]:
    """Locks a workdir on a local file system until the context exits or the process ends.

    The operating system releases the lock when the process ends, even if it is killed. Workdirs in buckets are not
    locked, which is logged: an object would stay when its process is killed, and refuse the run that resumes.

    Raises:
      WorkdirInUse: another process holds the lock.
    """
    if not paths.is_local(workdir):
        log.warning("%s is in a bucket and not locked: start no second run there while this one is training", workdir)
        yield
        return
    with (pathlib.Path(workdir) / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise WorkdirInUse(
                f"{workdir} is in use by {holder}: wait until it ends, or choose another --workdir"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
