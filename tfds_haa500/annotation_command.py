"""What the commands on annotations share: their flags, and how they start and end."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from absl import app, flags, logging
from etils import epath

from tfds_haa500.problems import BuildError, listing
from tfds_haa500.runtime import parallel
from tfds_haa500.runtime.interrupt import INTERRUPTED


def run(main: Callable[[str, list[str]], None], folders: str) -> None:
    """Runs a command that takes --manual_dir and --classes, which `main` is given, and no other arguments.

    Args:
      folders: what the folder must have, for the help.
    """
    program = {"module_name": sys.argv[0]}  # whose flags --help shows
    flags.DEFINE_string("manual_dir", None, f"Folder with {folders}, or with haa500_v1_1/.", required=True, **program)
    flags.DEFINE_list("classes", [], "Only these classes (default: all in raw/).", **program)

    def checked(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unexpected argument {argv[1]!r}")
        logging.set_verbosity(logging.WARNING)
        main(flags.FLAGS.manual_dir, flags.FLAGS.classes)

    app.run(checked, argv=["--help" if argument == "-h" else argument for argument in sys.argv])


@contextlib.contextmanager
def ending(folder: epath.PathLike, *, nothing: str, interrupted: str) -> Iterator[None]:
    """Ends the program in a few lines for a folder that cannot be used, and for Ctrl-C.

    Args:
      nothing: what was not done, as "nothing was cut".
      interrupted: the line after Ctrl-C.
    """
    try:
        yield
    except BuildError as error:
        sys.exit(f"error: {listing(folder, error.problems, nothing)}")
    except KeyboardInterrupt:
        parallel.stop()
        print(interrupted, file=sys.stderr)
        sys.exit(INTERRUPTED)
