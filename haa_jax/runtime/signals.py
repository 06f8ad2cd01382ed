"""SIGTERM (a scheduler reclaims the machine) and Ctrl-C make a run save a checkpoint and exit."""

import logging
import os
import signal
import threading

import jax
from jax.experimental import multihost_utils

log = logging.getLogger(__name__)

# sysexits.h EX_TEMPFAIL: "temporary failure, try again". Distinct from success, from an error (1) and from
# termination by the signal itself (128 + number), so that a job script can tell when to resubmit.
EXIT_INTERRUPTED = 75


class Interrupted(Exception):  # noqa: N818  not an error
    """The run was asked to stop; its state is saved."""


class StopSignals:
    """Within the `with` block, the first SIGTERM or SIGINT only sets `requested`; a second SIGINT interrupts.

    With several processes, SIGTERM to any of them is handled by JAX, which agrees on a step that none of them has
    reached yet, at which all stop. The first SIGINT is forwarded as SIGTERM; a second ends the process at once.
    """

    def __init__(self):
        self.requested = False
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT,) if jax.process_count() > 1 else (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted if a stop was requested; does nothing if there are several processes.

        For use during an evaluation, where processes cannot agree on where to stop.
        """
        if self.requested and jax.process_count() == 1:
            raise Interrupted

    def at(self, step: int) -> bool:
        """Whether to stop before this step; the same answer in all processes, which must all ask at every step."""
        if jax.process_count() == 1:
            return self.requested
        if multihost_utils.reached_preemption_sync_point(step):
            log.warning("SIGTERM or SIGINT to one of the processes: all save a checkpoint at step %d and exit", step)
            return True
        return False

    def _handle(self, number: int, frame) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        log.warning("%s: saving a checkpoint and exiting", signal.Signals(number).name)
        if jax.process_count() > 1:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Python handler would not run during a collective
            os.kill(os.getpid(), signal.SIGTERM)
