"""A trained network as a folder that runs without haa_jax: StableHLO, parameters, class names, a loader, a model card.

    python -m haa_jax.export runs/i3d --out=i3d_export
    python -m haa_jax.export --weights=kinetics-400 --out=kinetics_export

The program takes uint8 clips (for joints, float32) of any batch size and gives the logits of every head, on CPUs, CUDA
GPUs and TPUs. Loading it needs jax, numpy and flatbuffers. An export in DIR is replaced; any other folder is not. See
docs/export.md.
"""

import pathlib
import sys
from collections.abc import Sequence

import jax
import numpy as np
from absl import app, flags

from haa_jax import config_flag, streams
from haa_jax.errors import UserError
from haa_jax.exporting import card, description, folder, load, program
from haa_jax.exporting.folder import ExportError
from haa_jax.prediction import network_flags
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime import paths
from haa_jax.runtime.logs import set_up_logging

# Of the largest logit. Accelerators may choose another algorithm for the same layer, bfloat16 rounds coarsely; a wrong
# program differs by more.
TOLERANCE = 1e-2


def main(argv: Sequence[str]) -> None:
    set_up_logging()
    try:
        print(run(argv[1:], flags.FLAGS))
    except UserError as error:
        sys.exit(f"error: {error}")


def run(arguments: Sequence[str], options: flags.FlagValues) -> str:
    """Exports the network that the command line names; returns what `export` does.

    Raises:
      ExportError: not one workdir, or as `export`.
      Those of `network_flags.load`, `folder.check_out` and `description.of_run`.
    """
    if len(arguments) > 1 or (arguments and options.workdir):
        raise ExportError(
            f"one workdir is exported at a time, not {', '.join(filter(None, [*arguments, options.workdir]))}"
        )
    if options.out is None:
        raise ExportError("--out=FOLDER must be given; see --help")
    if arguments:
        options.workdir = arguments[0]
    out = folder.check_out(paths.expand(options.out))  # before the seconds that loading takes
    trained = network_flags.load(options)
    if options.weights:
        origin = {"published_weights": pathlib.PurePath(options.weights).name}
    else:
        origin = description.of_run(trained, options.workdir)
    return export(trained, out, origin)


def export(trained: TrainedNetwork, out: pathlib.Path, origin: dict) -> str:
    """Writes the folder `out` atomically, after its own loader has given the network's logits for a random clip.

    Args:
      origin: where the network comes from, as `description.describe` takes it.

    Returns:
      What was written, as lines of text.

    Raises:
      ExportError: the folder cannot be written, or the export gives other logits.
    """
    exported = program.export_network(trained)
    serialized = bytes(exported.serialize())
    described = description.describe(trained, exported, len(serialized), origin)
    files = {
        "program.jax_export": serialized,
        "parameters.npz": folder.parameters_file(program.parameters(trained)),
        "export.json": folder.json_file(described),
        **folder.copied_files(),
    }
    sizes = {name: len(content) for name, content in files.items()}
    files["README.md"] = card.card(described, sizes).encode()
    with folder.temporary(out) as written:
        folder.write(written, files)
        difference, largest = compare(trained, written)
        if not difference <= TOLERANCE * largest:
            raise ExportError(f"the export's logits differ from the network's by {difference:.3g}, of {largest:.3g}")
        folder.publish(written, out)
    lines = [f"  {name:20}{len(content):>12,} bytes" for name, content in sorted(files.items())]
    checked = f"logits of a random clip differ by at most {difference:.2g} (the largest is {largest:.3g})"
    return "\n".join([f"{out}:", *lines, f"Loaded again: {checked}.", f"To use it: {out / 'README.md'}"])


def compare(trained: TrainedNetwork, written: pathlib.Path) -> tuple[float, float]:
    """How far the logits of an export are from its network's for a random clip, and the largest logit."""
    rng = np.random.default_rng(0)
    clips = {
        name: (rng.integers(0, 256, (1, *shape)) if dtype == np.uint8 else rng.random((1, *shape))).astype(dtype)
        for name, (shape, dtype) in streams.clip_spec(trained.data).items()
    }
    found, expected = jax.device_get((load.network(written)(clips), jax.jit(trained.logits)(clips)))
    differences = [np.abs(found[head] - expected[head]).max() for head in expected]
    return float(max(differences)), float(max(np.abs(logits).max() for logits in expected.values()))


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Not at import: other commands define flags of the same names."""
    network_flags.define(flag_values)
    help_string = "Folder to write; made if missing, replaced if it is an export."
    flags.DEFINE_string("out", None, help_string, flag_values=flag_values)


if __name__ == "__main__":
    define()
    app.run(main, flags_parser=config_flag.parse)
