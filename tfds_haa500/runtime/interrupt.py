"""Ctrl-C ends a build with one line of text instead of a traceback."""

import contextlib
import sys
from collections.abc import Iterator

from tfds_haa500.runtime import parallel

INTERRUPTED = 130  # the exit code: 128 + SIGINT, as in shells


@contextlib.contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """On Ctrl-C within, ends the worker processes and the program, with a message."""
    try:
        yield
    except KeyboardInterrupt:
        parallel.stop()
        print("Interrupted: no half of this dataset was left. Run the same command to build it.", file=sys.stderr)
        sys.exit(INTERRUPTED)
