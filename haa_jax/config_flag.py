"""`--config=FILE.py[:variants]` and `--config.field=value`; a mistake is reported in one line before any work is done.

FILE.py is a path, or the name of one of the files in `haa_jax/configs`, which are part of an installed package:
`--config=configs/i3d.py:flow` and `--config=i3d.py:flow` work in any folder. What follows the colon is passed to the
file's `get_config`.
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
    """Defines the flag `--config`; its value is a locked ConfigDict, or None if it is not given."""
    holder = config_flags.DEFINE_config_file("config", None, help_string, flag_values, lock_config=True)
    flag_values["config"].parser = _Parser()
    return holder


def parse(argv: Sequence[str], default: str = "", flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Parses a command line for `absl.app.run(main, flags_parser=...)`; after a mistake, exits with one line.

    Args:
      default: of `--config`, if it is not given.

    Returns:
      The program and the arguments that are not flags.
    """
    argv = list(argv)
    if default and not any(re.match(r"--?config(=|$)", argument) for argument in argv):
        argv.insert(1, f"--config={default}")
    try:
        return flag_values(argv)
    except flags.Error as error:
        sys.exit(f"error: {_wrong_type(str(error), flag_values) or error}")


def require(*names: str, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Exits with an error if one of these flags was not given."""
    missing = [f"--{name}" for name in names if flag_values[name].value is None]
    if missing:
        sys.exit(f"error: {' and '.join(missing)} must be given; see --help")


def _wrong_type(message: str, flag_values: flags.FlagValues) -> str:
    """A message of what a field takes, if `message` is absl's for a value that cannot be converted; "" otherwise."""
    found = re.match(r"flag --(config\.[^=]*)=(.*?): ", message, re.DOTALL)
    if not found:
        return ""
    return f"--{found[1]}={found[2]}: expected {_EXPECTED[flag_values[found[1]].parser.flag_type()]}"


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list such as \"('a','b')\" or 1,2",
}


def no_arguments(rest: Sequence[str], hint: str = "options are given as --name=value") -> None:
    """Exits with an error if a command line, program first, has arguments that are not flags."""
    if len(rest) > 1:
        sys.exit(f"error: unexpected argument {rest[1]!r}; {hint}")


def find(path: str) -> pathlib.Path:
    """The file that `--config=path` names.

    Raises:
      ValueError: there is none; suggests the most similar name.
    """
    given = pathlib.Path(paths.expand(path))
    if given.is_file():
        return given
    if str(given.parent) in (".", "configs") and (PACKAGED / given.name).is_file():
        return PACKAGED / given.name
    siblings = given.parent.glob("*.py") if given.parent.is_dir() else ()
    known = {file.stem: file.name for file in [*PACKAGED.glob("*.py"), *siblings] if file.stem not in _NO_CONFIGS}
    close = difflib.get_close_matches(given.stem, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[close[0]]}?" if close else f"there are {', '.join(sorted(known.values()))}"
    raise ValueError(f"there is no file {given}; {hint}")


_NO_CONFIGS = ("__init__", "base")


def load(path_and_variants: str) -> ConfigDict:
    """The config of a file, as `--config` takes it, locked.

    Raises:
      ValueError: there is no such file, it raises an exception, or it does not know the variants.
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
    except Exception as error:  # the file is the user's and may raise anything
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
    """Raises ValueError, suggesting a field, for the first `--config.field` of a command line that is not a field."""
    fields = flat(config)
    for argument in argv:
        found = re.match(r"--?(?:no)?config\.([^=]*)", argument)
        if found and found[1] not in fields:
            raise ValueError(f"config.{found[1]} {_suggestion(found[1], fields)}")


def flat(config: ConfigDict) -> tuple[str, ...]:
    """The names of all fields, with their sections: "data.frames"."""
    names = []
    for key, value in config.items():
        names += [f"{key}.{inner}" for inner in flat(value)] if isinstance(value, ConfigDict) else [key]
    return tuple(names)


def _suggestion(wrong: str, fields: Sequence[str]) -> str:
    within = [field.removeprefix(f"{wrong}.") for field in fields if field.startswith(f"{wrong}.")]
    if within:
        return f"is a section; its fields are {', '.join(within)}"
    last = {}
    for field in fields:
        last.setdefault(field.rpartition(".")[2], []).append(field)
    name = wrong.rpartition(".")[2]
    similar = difflib.get_close_matches(wrong, fields, n=1, cutoff=0.75)
    similar_name = difflib.get_close_matches(name, last, n=1)
    close = last.get(name) or similar or (last[similar_name[0]] if similar_name else [])
    hint = " or ".join(f"config.{field}" for field in close)
    return "is not a field; " + (f"did you mean {hint}?" if hint else f"all fields are in {PACKAGED / 'base.py'}")


class _Parser(flags.ArgumentParser):
    """Loads the config that the value of `--config` names."""

    def parse(self, argument: str) -> ConfigDict:
        config = load(argument)
        # ml_collections, too, takes the overrides from sys.argv.
        check_fields(config, flags.FLAGS.read_flags_from_files(sys.argv, force_gnu=False))
        return config

    def flag_type(self) -> str:
        return "FILE.py[:variants]"


def _line(error: Exception, file: os.PathLike) -> str:
    """ ", line N": the line of a file that raised an error."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""
