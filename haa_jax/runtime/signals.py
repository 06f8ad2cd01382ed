"""SIGTERM (a scheduler takes the machine back) and Ctrl-C ask a run to save and leave."""

import logging
import os
import signal
import threading

import jax
from jax.experimental import multihost_utils

log = logging.getLogger(__name__)

# sysexits.h EX_TEMPFAIL: "temporary failure, try again". Distinct from success, from an error (1) and from
# a death by the signal itself (128 + number), so that a job script can tell when to submit again.
EXIT_INTERRUPTED = 75


class Interrupted(Exception):  # noqa: N818  not an error
    """The run was asked to stop; its state is saved."""


class StopSignals:
    """Within the `with` block, the first SIGTERM or SIGINT only sets `requested`; a second SIGINT interrupts.

    Where there are several processes, SIGTERM to any of them is JAX's to handle: it finds a step that all of them have
    yet to reach, and there all stop. The first SIGINT is handed on as SIGTERM; a second ends the process at once.
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
        """Raises Interrupted once a stop was requested, in the midst of an evaluation; not where others take part."""
        if self.requested and jax.process_count() == 1:
            raise Interrupted

    def at(self, step: int) -> bool:
        """Whether to stop before this step; the same answer in all processes, which all must ask at every step."""
        if jax.process_count() == 1:
            return self.requested
        if multihost_utils.reached_preemption_sync_point(step):
            log.warning("SIGTERM or SIGINT to one of the processes: all save at step %d and leave", step)
            return True
        return False

    def _handle(self, number: int, frame) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        log.warning("%s: saving and leaving", signal.Signals(number).name)
        if jax.process_count() > 1:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # in a collective operation no Python code would be reached
            os.kill(os.getpid(), signal.SIGTERM)
