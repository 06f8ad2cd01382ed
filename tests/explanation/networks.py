"""Small networks with random variables, for what is explained."""

import jax
import numpy as np

from haa_jax import models, streams
from haa_jax.configs import i3d, slowfast, stgcn, tpn, tsn
from haa_jax.models.parameters import abstract_variables
from haa_jax.restore import TrainedNetwork

CONFIGS = {"i3d": i3d, "slowfast": slowfast, "tsn": tsn, "tpn": tpn, "stgcn": stgcn}
CLASSES = {"atomic": ("a", "b", "c"), "composite": ("x", "y")}


def make_shallow(monkeypatch) -> None:
    """One block for each stage, and two blocks of ST-GCN; I3D needs the fixture `shallow_i3d`."""
    monkeypatch.setattr("haa_jax.models.resnet.DEPTHS", (1, 1, 1, 1))
    monkeypatch.setattr("haa_jax.models.slowfast.DEPTHS", (1, 1, 1, 1))
    monkeypatch.setattr("haa_jax.models.stgcn.BLOCKS", ((64, 1), (128, 2)))


def trained(name: str, frames: int = 8, crop: int = 32, seed: int = 0, variant: str = "") -> TrainedNetwork:
    """A narrow network on clips of `frames` frames, whose heads have weights of both signs."""
    config = CONFIGS[name].get_config(variant)
    config.data.frames, config.data.resize, config.data.crop, config.data.resize_max = frames, crop + 4, crop, 0
    config.data.fps = 0.0
    config.eval.frames, config.eval.crop, config.eval.resize = 0, 0, 0
    config.model.width = 0.0625
    network = models.build(config.model, {head: len(names) for head, names in CLASSES.items()})
    abstract = abstract_variables(network, streams.network_shape(config.data))
    return TrainedNetwork(network, random_variables(abstract, name, seed), config, CLASSES)


def random_variables(abstract: dict, name: str, seed: int) -> dict:
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        keys = [each.key for each in path]
        values = rng.normal(scale=0.1, size=leaf.shape).astype(leaf.dtype)
        if models.is_head(name, keys[1:]):
            return values + np.float32(0.1 * (name == "stgcn"))  # of its few channels, some then count for a class
        return np.abs(values) if keys[-1] in ("var", "scale") else values + np.float32(keys[-1] == "bias") * 0.1

    return jax.tree_util.tree_map_with_path(draw, abstract)


def clips(trained: TrainedNetwork, batch: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
    """Stored clips of noise."""
    rng = np.random.default_rng(seed)
    drawn = {}
    for name, (shape, dtype) in streams.clip_spec(trained.data).items():
        scale = 255 if dtype == np.uint8 else 1
        drawn[name] = (scale * rng.uniform(size=(batch, *shape))).astype(dtype)
    return drawn
