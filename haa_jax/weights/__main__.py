"""Lists a weights file, and tells whether it fits a network.

    python -m haa_jax.weights rgb_imagenet.pt
    python -m haa_jax.weights rgb_imagenet.pt --config=configs/i3d.py
    python -m haa_jax.weights kinetics-400

Prints every tensor; with a config, also which tensors would fill that network, and which are missing, mismatched in
shape, not finite or not used: the verdict that `config.init_from` follows. The exit code is 1 if the file does not fit.
"""

import math
import sys

from absl import app

from haa_jax import config_flag, models, streams
from haa_jax.errors import user_errors
from haa_jax.models import parameters
from haa_jax.weights import importer, kinetics
from haa_jax.weights.readers import read

_CONFIG = config_flag.define("Network to compare with: FILE.py[:variants].")


def main(argv: list[str]) -> None:
    if len(argv) != 2:
        sys.exit(f"error: give one weights file, not {len(argv) - 1}; see --help")
    try:
        sys.exit(0 if report(argv[1], _CONFIG.value) else 1)
    except user_errors() as error:
        sys.exit(f"{type(error).__name__}: {error}")


def report(path: str, config=None) -> bool:
    """Prints the listing; returns whether the file fits (True without a config)."""
    contents = read(kinetics.locate(path))
    tensors = contents.tensors
    for name, tensor in tensors.items():
        print(f"{name:60} {tensor.dtype!s:9} {'x'.join(map(str, tensor.shape)) or 'scalar'}")
    print(f"{path}: {len(tensors)} tensors, {sum(math.prod(tensor.shape) for tensor in tensors.values()):,} values")
    if config is None:
        for note in contents.notes:
            print(note)
        return True
    fit = importer.judge(contents, config.model, abstract_variables(config))
    print(importer.describe(fit))
    verdict = "fits" if fit.fits else "does not fit"
    print(f"It {verdict} config.model.name={config.model.name!r} {config.model.variant!r}.")
    return fit.fits


def abstract_variables(config) -> dict:
    """Shapes of the network's variables; with one class per head, since heads are not compared."""
    model = models.build(config.model, {"atomic": 1})
    return parameters.abstract_variables(model, streams.network_shape(config.data))


if __name__ == "__main__":
    app.run(main)
