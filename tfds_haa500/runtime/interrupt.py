"""Ctrl-C, said in a line."""

import contextlib
import sys
from collections.abc import Iterator

from tfds_haa500.runtime import parallel

INTERRUPTED = 130  # the exit code: 128 + SIGINT, as shells have it


@contextlib.contextmanager
def interrupt_said() -> Iterator[None]:
    """Where Ctrl-C interrupts what is within, ends the worker processes and the program, with a message."""
    try:
        yield
    except KeyboardInterrupt:
        parallel.stop()
        print("Interrupted: nothing of this dataset was left. The same command builds it.", file=sys.stderr)
        sys.exit(INTERRUPTED)
