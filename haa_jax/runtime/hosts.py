"""Waiting for the other processes of a run: each wait has a name, a log line and a time limit."""

import contextlib
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

log = logging.getLogger(__name__)

SECONDS = 1800.0  # compiling a large network on one host while the others wait takes minutes
QUIET_SECONDS = 15.0  # before a wait is logged


@contextlib.contextmanager
def waiting(what: str, seconds: float = SECONDS, quiet: float = QUIET_SECONDS) -> Iterator[None]:
    """Wraps code that needs the other processes: logs that it waits after `quiet`, ends this process after `seconds`.

    A process that waits in a collective operation cannot be interrupted in any other way.
    """
    if jax.process_count() == 1:
        yield
        return
    done = threading.Event()
    threading.Thread(target=_watch, args=(done, what, seconds, quiet), daemon=True, name=f"wait: {what}").start()
    try:
        yield
    finally:
        done.set()


def barrier(what: str) -> None:
    """Returns once all processes have called it."""
    with waiting(what):
        multihost_utils.sync_global_devices(what)


def broadcast(what: str, value: int) -> int:
    """The `value` of process 0, in all processes."""
    with waiting(what):
        return int(multihost_utils.broadcast_one_to_all(np.int64(value)))


def all_agree(what: str, yes: bool) -> bool:
    """Whether `yes` is true in all processes; the same answer in all."""
    with waiting(what):
        return bool(np.all(multihost_utils.process_allgather(np.int32(yes))))


def abort(message: object) -> NoReturn:
    """Ends this process at once: an orderly exit would wait for processes and threads that may be gone."""
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)
    os._exit(1)


def _watch(done: threading.Event, what: str, seconds: float, quiet: float) -> None:
    if done.wait(min(quiet, seconds)):
        return
    log.warning("waiting for the other processes: %s (for %.0f s at most)", what, seconds)
    if done.wait(max(0.0, seconds - quiet)):
        log.warning("the other processes have arrived: %s", what)
        return
    faulthandler.dump_traceback(all_threads=True)
    abort(f"the other processes did not arrive within {seconds:.0f} s: {what}")
