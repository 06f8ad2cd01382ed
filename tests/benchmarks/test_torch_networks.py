"""The PyTorch networks of benchmarks/against_torch.py against ours: parameters, and outputs of equal weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from benchmarks import against_torch
from haa_jax import models
from haa_jax.experiment import clip_shape
from haa_jax.models.parameters import abstract_variables

torch = pytest.importorskip("torch", reason=f"torch is not installed: {against_torch.INSTALL}")
from benchmarks.torch_networks import passes  # noqa: E402  needs torch

LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
# Network -> fields that make it small; the sizes of I3D include odd ones, at which SAME pads differently.
SMALL = {
    "i3d": {"data.frames": 9, "data.crop": 50, "model.width": 0.1},
    "slowfast": {"data.frames": 16, "data.crop": 40, "model.width": 0.125},
    "tsn": {"data.crop": 40, "model.width": 0.1},
    "tpn": {"data.frames": 4, "data.crop": 40, "model.width": 0.125},
    "stgcn": {"data.frames": 20, "model.width": 0.1},
}
COMPILED_LONG = [name for name in SMALL if name != "stgcn"]


@pytest.mark.parametrize("name", against_torch.SETTINGS)
def test_both_networks_have_equally_many_parameters(name):
    config, classes = against_torch.config_of(name), against_torch.SETTINGS[name].classes
    model = models.build(config.model, {"atomic": classes})
    params = abstract_variables(model, clip_shape(config))["params"]
    with torch.device("meta"):
        network = passes.build(config.model, classes, "contiguous")
    assert passes.parameters(network) == sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("name", [*(pytest.param(name, marks=pytest.mark.slow) for name in COMPILED_LONG), "stgcn"])
def test_with_equal_weights_the_outputs_are_equal_in_inference_and_training(name):
    config = against_torch.config_of(name)
    config.update_from_flattened_dict({**SMALL[name], "model.dropout": 0.0})
    model = models.build(config.model, {"atomic": 7})
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(2, *clip_shape(config))).astype(np.float32)
    variables = random_variables(abstract_variables(model, clip_shape(config)), rng)
    inference, training = our_outputs(model, variables, clips)
    for memory_format in passes.FORMATS:
        network = passes.build(config.model, 7, memory_format)
        copy_weights(variables, network)
        theirs = passes.forward_pass(config.model, network, clips, memory_format)()
        np.testing.assert_allclose(theirs, inference, rtol=1e-3, atol=1e-3)
        network.train()
        theirs = [each.detach() for each in network(passes.inputs(config.model, clips, memory_format))]
        np.testing.assert_allclose(np.stack(theirs), training, rtol=1e-3, atol=1e-3)


def our_outputs(model, variables: dict, clips) -> tuple[np.ndarray, np.ndarray]:
    """Logits (batch, classes) in inference, and in training (heads, batch, classes), the auxiliary one last."""

    @jax.jit
    def both(variables, clips):
        (training, _), _ = model.apply(variables, clips, train=True, mutable=["batch_stats"])
        return model.apply(variables, clips, train=False)[0]["atomic"], training

    inference, training = both(variables, clips)
    return inference, np.stack([training[head] for head in ("atomic", "aux_atomic") if head in training])


def random_variables(shapes: dict, rng) -> dict:
    """Kernels of the scale that keeps activations' scale, everything else around 1 or 0."""
    flat = {}
    for path, leaf in traverse_util.flatten_dict(shapes).items():
        noise = rng.normal(size=leaf.shape)
        if path[-1] == "kernel":
            values = noise * (2 / np.prod(leaf.shape[:-1])) ** 0.5
        else:
            values = 0.1 * noise + (path[-1] in ("scale", "edge_importance", "var"))
        flat[path] = jnp.asarray(values, jnp.float32)
    return traverse_util.unflatten_dict(flat)


def copy_weights(variables: dict, network) -> None:
    """Copies every array of ours to the one of the same name; none of theirs may be left."""
    state = network.state_dict()
    left = {name for name in state if not name.endswith(("num_batches_tracked", "adjacency", "batch_norm.weight"))}
    for path, values in traverse_util.flatten_dict(variables).items():
        name = ".".join((*path[1:-1], LEAVES.get(path[-1], path[-1])))
        values = np.moveaxis(values, (-1, -2), (0, 1)) if path[-1] == "kernel" else np.asarray(values)
        state[name].copy_(torch.tensor(values).reshape(state[name].shape))
        left.remove(name)
    assert not left
