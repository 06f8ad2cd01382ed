"""Trained networks with random variables, and random clips for them."""

import jax
import numpy as np
from flax import linen as nn

from haa_jax import models, streams
from haa_jax.configs import base
from haa_jax.data import pipeline
from haa_jax.models.heads import LinearHeads
from haa_jax.models.parameters import abstract_variables
from haa_jax.restore import TrainedNetwork

CLASSES = {"atomic": ("a", "b", "c"), "composite": ("x", "y")}


class Toy(nn.Module):
    """A linear layer on a clip's mean over time, whatever its axes are."""

    heads: dict

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        x = clips.mean(1).reshape(clips.shape[0], -1)
        return LinearHeads(self.heads, 0.0, nn.initializers.normal(0.1), name="Logits")(x, train=train), {}


def trained(config, network=None, classes=CLASSES, **fields) -> TrainedNetwork:
    """The network of a config, or another one, with variables whose statistics and biases are not all alike."""
    heads = {head: len(names) for head, names in classes.items()}
    network = network or models.build(config.model, heads)
    shape = streams.network_shape(pipeline.at_test(config.data, config.eval))
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        scale = np.sqrt(2 / np.prod(leaf.shape[:-1])) if len(leaf.shape) > 1 else 0.2  # keeps activations of one size
        values = rng.normal(scale=scale, size=leaf.shape) + (path[-1].key in ("scale", "var", "edge_importance"))
        return (np.abs(values) if path[-1].key == "var" else values).astype(leaf.dtype)

    variables = jax.tree_util.tree_map_with_path(draw, abstract_variables(network, shape))
    return TrainedNetwork(network, variables, config.lock(), classes, **fields)


def toy(stream: str, **fields) -> TrainedNetwork:
    config = base.get_config()
    config.data.update({"frames": 3, "resize": 12, "crop": 10, "stream": stream} | fields)
    return trained(config, Toy({head: len(names) for head, names in CLASSES.items()}))


def random_clips(network: TrainedNetwork, batch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        name: (rng.integers(0, 256, (batch, *shape)) if dtype == np.uint8 else rng.random((batch, *shape))).astype(
            dtype
        )
        for name, (shape, dtype) in streams.clip_spec(network.data).items()
    }
