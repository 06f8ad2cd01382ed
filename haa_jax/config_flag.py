"""`--config=FILE.py[:variants]` and `--config.field=value`, with mistakes said in a line before any work is done.

FILE.py is a path, or the name of one of the files in `haa_jax/configs`, which an installed package brings along:
`--config=configs/i3d.py:flow` and `--config=i3d.py:flow` name it from any folder. What comes after the colon goes to
the file's `get_config`.
"""

import difflib
import importlib.util
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, config_flags

import haa_jax.configs
from haa_jax.runtime import paths

PACKAGED = pathlib.Path(haa_jax.configs.__file__).parent
HELP = "The experiment: FILE.py[:variants]; any of its fields as --config.field=value."


def define(help_string: str = HELP, flag_values: flags.FlagValues = flags.FLAGS) -> flags.FlagHolder[ConfigDict]:
    """The flag `--config`; its value is a locked ConfigDict, None where it is not given."""
    holder = config_flags.DEFINE_config_file("config", None, help_string, flag_values, lock_config=True)
    flag_values["config"].parser = _Parser()
    return holder


def parse(argv: Sequence[str], default: str = "", flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Parses a command line for `absl.app.run(main, flags_parser=...)`; a mistake ends the process with one line.

    Args:
      default: of `--config`, where it is not given.

    Returns:
      The program and the arguments that are no flags.
    """
    argv = list(argv)
    if default and not any(re.match(r"--?config(=|$)", argument) for argument in argv):
        argv.insert(1, f"--config={default}")
    try:
        return flag_values(argv)
    except flags.Error as error:
        sys.exit(f"error: {_wrong_type(str(error), flag_values) or error}")


def require(*names: str, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Ends the process where one of these flags was not given."""
    missing = [f"--{name}" for name in names if flag_values[name].value is None]
    if missing:
        sys.exit(f"error: {' and '.join(missing)} must be given; --help says what it is")


def _wrong_type(message: str, flag_values: flags.FlagValues) -> str:
    """What a field takes, where absl's message is Python's own about a value that it cannot convert."""
    found = re.match(r"flag --(config\.[^=]*)=(.*?): ", message, re.DOTALL)
    if not found:
        return ""
    return f"--{found[1]}={found[2]}: {_WANTED[flag_values[found[1]].parser.flag_type()]} is wanted"


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list such as \"('a','b')\" or 1,2",
}


def no_arguments(rest: Sequence[str], hint: str = "settings are given as --config.field=value") -> None:
    """Ends the process if the command line has anything but flags."""
    if len(rest) > 1:
        sys.exit(f"error: unexpected argument {rest[1]!r}; {hint}")


def find(path: str) -> pathlib.Path:
    """The file that `--config=path` names.

    Raises:
      ValueError: there is none; names the nearest one that there is.
    """
    given = pathlib.Path(paths.expand(path))
    if given.is_file():
        return given
    if str(given.parent) in (".", "configs") and (PACKAGED / given.name).is_file():
        return PACKAGED / given.name
    beside = given.parent.glob("*.py") if given.parent.is_dir() else ()
    known = {file.stem: file.name for file in [*PACKAGED.glob("*.py"), *beside] if file.stem not in _NO_CONFIGS}
    close = difflib.get_close_matches(given.stem, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[close[0]]}?" if close else f"there are {', '.join(sorted(known.values()))}"
    raise ValueError(f"there is no file {given}; {hint}")


_NO_CONFIGS = ("__init__", "base")


def load(path_and_variants: str) -> ConfigDict:
    """The config of a file, as `--config` names it.

    Raises:
      ValueError: there is no such file, it cannot be run, or it does not know the variants.
    """
    path, variants = re.fullmatch(r"((?:file://)?[^:]*)(?::(.*))?", path_and_variants, re.DOTALL).groups()
    file = find(path)
    spec = importlib.util.spec_from_file_location("haa_jax_config", file)
    if spec is None:
        raise ValueError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        get_config = module.get_config
    except Exception as error:  # the file is the user's: anything may be wrong with it
        raise ValueError(f"{file}{_line(error, file)}: {type(error).__name__}: {error}") from error
    try:
        config = get_config(*([] if variants is None else [variants]))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{file}{_line(error, file)}: {type(error).__name__}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise ValueError(f"{file}: get_config() gives {type(config).__name__}, not a ConfigDict")
    return config.lock()


def check_fields(config: ConfigDict, argv: Sequence[str]) -> None:
    """Raises ValueError for the first `--config.field` of a command line that is not a field, and names the nearest."""
    fields = flat(config)
    for argument in argv:
        found = re.match(r"--?(?:no)?config\.([^=]*)", argument)
        if found and found[1] not in fields:
            raise ValueError(f"config.{found[1]} {_what_else(found[1], fields)}")


def flat(config: ConfigDict) -> tuple[str, ...]:
    """Every field with its sections: "data.frames"."""
    names = []
    for key, value in config.items():
        names += [f"{key}.{inner}" for inner in flat(value)] if isinstance(value, ConfigDict) else [key]
    return tuple(names)


def _what_else(wrong: str, fields: Sequence[str]) -> str:
    within = [field.removeprefix(f"{wrong}.") for field in fields if field.startswith(f"{wrong}.")]
    if within:
        return f"is a section; its fields are {', '.join(within)}"
    last = {}
    for field in fields:
        last.setdefault(field.rpartition(".")[2], []).append(field)
    name = wrong.rpartition(".")[2]
    whole, part = difflib.get_close_matches(wrong, fields, n=1, cutoff=0.75), difflib.get_close_matches(name, last, n=1)
    close = last.get(name) or whole or (last[part[0]] if part else [])
    hint = " or ".join(f"config.{field}" for field in close)
    return "is not a field; " + (f"did you mean {hint}?" if hint else f"{PACKAGED / 'base.py'} has them all")


class _Parser(flags.ArgumentParser):
    """From the value of `--config` to the config that it names."""

    def parse(self, argument: str) -> ConfigDict:
        config = load(argument)
        # The overrides are found in sys.argv by ml_collections too.
        check_fields(config, flags.FLAGS.read_flags_from_files(sys.argv, force_gnu=False))
        return config

    def flag_type(self) -> str:
        return "FILE.py[:variants]"


def _line(error: Exception, file: os.PathLike) -> str:
    """ ", line N": where in a file an error came from."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""
