"""How commands start and end; this imports no TensorFlow."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from absl import app, logging

from tfds_haa500.problems import BuildError, listing
from tfds_haa500.runtime import parallel
from tfds_haa500.runtime.interrupt import INTERRUPTED


def run(main: Callable[[list[str]], None]) -> None:
    """Runs `main` by absl, which itself knows --help, but not -h."""
    app.run(main, argv=["--help" if argument == "-h" else argument for argument in sys.argv])


def run_without_arguments(main: Callable[[], None]) -> None:
    """Runs a command that takes flags and no other arguments."""

    def checked(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unexpected argument {argv[1]!r}")
        logging.set_verbosity(logging.WARNING)
        main()

    run(checked)


@contextlib.contextmanager
def ending(*, nothing: str, interrupted: str, folder: str = "") -> Iterator[None]:
    """Ends the program in a few lines for what cannot be used, and for Ctrl-C.

    Args:
      nothing: what was not done, as "nothing was cut".
      interrupted: the line after Ctrl-C.
      folder: what the problems are said to be in; by default what the error says.
    """
    try:
        yield
    except BuildError as error:
        sys.exit(f"error: {listing(folder or error.root, error.problems, nothing)}")
    except KeyboardInterrupt:
        parallel.stop()
        print(interrupted, file=sys.stderr)
        sys.exit(INTERRUPTED)
