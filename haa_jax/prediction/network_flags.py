"""The flags by which commands choose a trained network: a run's workdir, or published weights."""

from absl import flags

from haa_jax import config_flag, restore
from haa_jax.errors import UserError
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime import checkpoint_reader, paths
from haa_jax.weights import class_names, kinetics


class NetworkFlagsError(UserError, ValueError):
    """Flags that do not name one network."""


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines --workdir, --checkpoint, --weights, --config and --classes."""
    values = {"flag_values": flag_values}
    flags.DEFINE_string("workdir", None, "Folder of the run whose network is used; give this or --weights.", **values)
    flags.DEFINE_enum(
        "checkpoint",
        None,
        ["last", "best"],
        "--workdir only: which of its checkpoints (default: the run's config.eval.checkpoint).",
        **values,
    )
    flags.DEFINE_string(
        "weights", None, f"{kinetics.NAME} or a file of published weights; this or --workdir.", **values
    )
    config_flag.define("--weights=FILE only: the file's network and preprocessing, FILE.py[:variants].", flag_values)
    flags.DEFINE_string(
        "classes", None, "--weights=FILE only: text file of its class names, one a line, in its order.", **values
    )


def load(flag_values: flags.FlagValues = flags.FLAGS) -> TrainedNetwork:
    """The network that the flags of `define` name.

    Raises:
      NetworkFlagsError: not exactly one of --workdir and --weights, or flags that do not go with it.
      Those of `restore.load_run`, `restore.load_published` and `class_names.read`.
    """
    given = [name for name in ("workdir", "weights") if flag_values[name].value]
    if len(given) != 1:
        both = ", not both" if given else ""
        raise NetworkFlagsError(f"give --workdir=RUN or --weights={kinetics.NAME}|FILE{both}")
    if given == ["workdir"]:
        _refuse(flag_values, "--workdir, which has its own", "config", "classes")
        return _load_run(flag_values.workdir, flag_values.checkpoint)
    _refuse(flag_values, "--weights, which is one file", "checkpoint")
    if flag_values.weights == kinetics.NAME:
        _refuse(flag_values, f"--weights={kinetics.NAME}, which has its own", "config", "classes")
        return restore.load_published(flag_values.weights)
    missing = [f"--{name}" for name in ("config", "classes") if flag_values[name].value is None]
    if missing:
        raise NetworkFlagsError(f"--weights={flag_values.weights} needs {' and '.join(missing)}; see --help")
    names = class_names.read(flag_values.classes)
    return restore.load_published(flag_values.weights, flag_values.config, names)


def _load_run(workdir: str, which: str | None) -> TrainedNetwork:
    if which is None:
        meta = checkpoint_reader.read_meta(paths.folder(workdir))
        which = restore.config_of(meta).eval.checkpoint
    return restore.load_run(workdir, which)


def _refuse(flag_values: flags.FlagValues, with_what: str, *names: str) -> None:
    """Raises NetworkFlagsError if one of these flags was given."""
    given = [f"--{name}" for name in names if flag_values[name].value is not None]
    if given:
        raise NetworkFlagsError(f"{' and '.join(given)} cannot be given with {with_what}")
