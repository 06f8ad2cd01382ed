"""The flags that the commands on annotations share."""

import sys
from collections.abc import Callable

from absl import flags

from tfds_haa500 import program


def run(main: Callable[[str, list[str]], None], folders: str) -> None:
    """Runs a command that takes --manual_dir and --classes, which `main` is given, and no other arguments.

    Args:
      folders: what the folder must have, for the help.
    """
    shown = {"module_name": sys.argv[0]}  # as flags of the command, by --help
    flags.DEFINE_string("manual_dir", None, f"Folder with {folders}, or with haa500_v1_1/.", required=True, **shown)
    flags.DEFINE_list("classes", [], "Only these classes (default: all in raw/).", **shown)
    program.run_without_arguments(lambda: main(flags.FLAGS.manual_dir, flags.FLAGS.classes))
