"""The program of an export: a trained network with its preprocessing, from stored clips to logits, as StableHLO."""

import jax
import numpy as np
from flax import traverse_util
from jax import export

from haa_jax import streams
from haa_jax.restore import TrainedNetwork

PLATFORMS = ("cpu", "cuda", "tpu")


def parameters(trained: TrainedNetwork) -> dict[str, np.ndarray]:
    """Parameters and running statistics by path, such as "params/Logits/atomic/kernel"."""
    return traverse_util.flatten_dict(trained.variables, sep="/")


def export_network(trained: TrainedNetwork, platforms: tuple[str, ...] = PLATFORMS) -> export.Exported:
    """The program (parameters, clips) -> {head: float32 (batch, classes)}, for any batch size.

    The clips are those of `streams.clip_spec(trained.data)` with a batch axis, normalized within the program. Where the
    fastest form of a layer depends on the platform, the program has each form, and the platform that it is compiled for
    decides.
    """
    (batch,) = export.symbolic_shape("batch")
    spec = streams.clip_spec(trained.data)
    clips = {name: jax.ShapeDtypeStruct((batch, *shape), dtype) for name, (shape, dtype) in spec.items()}
    arrays = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in parameters(trained).items()}

    def logits(arrays, clips):
        variables = traverse_util.unflatten_dict(arrays, sep="/")
        return trained.network.apply(variables, trained.preprocess(clips), train=False)[0]

    return export.export(jax.jit(logits), platforms=platforms)(arrays, clips)
