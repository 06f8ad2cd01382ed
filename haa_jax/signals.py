"""SIGTERM (a scheduler takes the machine back) and Ctrl-C ask a run to save and leave."""

import logging
import signal
import threading

log = logging.getLogger(__name__)

# sysexits.h EX_TEMPFAIL: "temporary failure, try again". Distinct from success, from an error (1) and from
# a death by the signal itself (128 + number), so that a job script can tell when to submit again.
EXIT_INTERRUPTED = 75


class Interrupted(Exception):  # noqa: N818  not an error
    """The run was asked to stop; its state is saved."""


class StopSignals:
    """Within the `with` block, the first SIGTERM or SIGINT only sets `requested`; a second SIGINT interrupts."""

    def __init__(self):
        self.requested = False
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted once a stop was requested."""
        if self.requested:
            raise Interrupted

    def _handle(self, number: int, frame) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        log.warning("%s: saving and leaving", signal.Signals(number).name)
