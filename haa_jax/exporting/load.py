"""Runs the exported network of this folder. Needs jax, numpy and flatbuffers (which jax.export reads files with).

    import sys

    sys.path.insert(0, "FOLDER")  # this folder
    import load

    logits = load.network()(clips)  # {head: float32 (batch, classes)}
    names = load.description()["classes"]  # {head: [name, ...]}

`clips` is a dictionary of arrays with the shapes and dtypes of "inputs" in export.json; the batch may have any size.
Each new batch size is compiled once. clips.py makes these arrays from the frames of a video.
"""

import functools
import json
import pathlib

import jax
import jax.export
import numpy as np

FOLDER = pathlib.Path(__file__).parent


def description(folder: pathlib.Path = FOLDER) -> dict:
    return json.loads((folder / "export.json").read_text(encoding="utf-8"))


def network(folder: pathlib.Path = FOLDER):
    """The network as a function of clips, compiled for the default device."""
    program = jax.export.deserialize(bytearray((folder / "program.jax_export").read_bytes()))
    with np.load(folder / "parameters.npz") as file:
        parameters = jax.device_put(dict(file))
    return functools.partial(jax.jit(program.call), parameters)
