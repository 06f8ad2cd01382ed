"""Grad-CAM against what is known: CAM, a linear function, and that it depends on the weights (arXiv 1810.03292)."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from flax import linen as nn

from haa_jax import models
from haa_jax.explanation.grad_cam import ExplanationError, class_maps, grad_cam
from haa_jax.restore import TrainedNetwork
from tests.explanation import networks


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d, monkeypatch):
    networks.make_shallow(monkeypatch)


# Network -> endpoints whose mean over all positions the linear heads take, in the order of their channels.
POOLED = {
    "i3d": ("Mixed_5c",),
    "slowfast": ("slow_res5", "fast_res5"),
    "tsn": ("layer4",),
    "tpn": ("pyramid_fusion",),
    "stgcn": ("block1",),
}
FRAMES = {"i3d": 16, "tsn": 3, "stgcn": 12}


@pytest.mark.parametrize("name", [*list(POOLED)[:3], "stgcn", pytest.param("tpn", marks=pytest.mark.slow)])
def test_under_linear_heads_after_an_average_it_is_cam(name):
    """Also I3D's average, in which the first and the last step in time count half."""
    trained = networks.trained(name, FRAMES.get(name, 8), 64, variant="8x8" if name == "slowfast" else "")
    clips, endpoints = networks.clips(trained), POOLED[name]
    found = class_maps(trained, clips, endpoints, "atomic")
    call = jax.jit(lambda v, x: trained.network.apply(v, x, train=False, endpoints=endpoints))
    logits, values = call(trained.variables, trained.preprocess(clips))
    np.testing.assert_allclose(found.logits, logits["atomic"], rtol=1e-5, atol=1e-6)
    kernel, start = trained.variables["params"]["Logits"]["atomic"]["kernel"], 0
    for endpoint in endpoints:
        activations = np.asarray(values[endpoint])
        if name == "stgcn":
            activations = activations.reshape(2, 2, *activations.shape[1:])
        channels = activations.shape[-1]
        own = kernel[start : start + channels].T[found.classes]  # (batch, channels)
        cam = np.maximum(np.einsum("b...c,bc->b...", activations, own), 0)
        assert cam.any()
        positions = np.prod(cam.shape[1:])
        assert (found.maps[endpoint].shape, found.maps[endpoint].dtype) == (cam.shape, np.float32)
        np.testing.assert_allclose(found.maps[endpoint] * positions, cam, rtol=1e-5, atol=1e-5 * cam.max())
        start += channels
    assert start == len(kernel)


@pytest.mark.parametrize("name", POOLED)
def test_a_networks_default_endpoints_are_its_last_ones_with_positions(name):
    trained = networks.trained(name, frames=FRAMES.get(name, 8), variant="8x8" if name == "slowfast" else "")
    endpoints = models.MODELS[name].cam_endpoints(trained.config.model)
    assert endpoints == (POOLED[name] if name != "tpn" else ("layer4",))  # TPN's has one step in time
    if name == "tsn":
        trained.config.model.variant = "bninception"
        assert models.MODELS[name].cam_endpoints(trained.config.model) == ("inception_5b",)


class Spot(nn.Module):
    """Its logits are a linear function of one channel of "entry" at one place; "entry" is the clip itself, doubled."""

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        entry = 2 * clips
        slope = self.param("slope", nn.initializers.ones, (2,))
        known = {"entry": entry, "pooled": entry.mean((1, 2, 3))}
        return {"atomic": entry[:, 1, 2, 3, 1, None] * slope}, {name: known[name] for name in endpoints}


@pytest.fixture
def spot(monkeypatch):
    file = types.SimpleNamespace(build=lambda config, heads: Spot(), CHOICES={}, INPUT="clips", HEADS=(), STEM=())
    monkeypatch.setitem(models.MODELS, "spot", file)
    config = networks.CONFIGS["i3d"].get_config()
    config.model.name, config.data.frames, config.data.crop = "spot", 3, 6
    config.data.mean, config.data.std = (0.0,), (1.0,)
    return TrainedNetwork(Spot(), {"params": {"slope": np.array([3.0, -3.0], np.float32)}}, config, {"atomic": "pn"})


def test_a_logit_of_one_channel_at_one_place_has_its_map_there(spot):
    clips = np.zeros((1, 3, 6, 6, 3), np.uint8)
    clips[0, 1, 2, 3, 1] = 10
    clips[0, ..., 0], clips[0, ..., 2] = 200, 100  # channels that the logit does not use
    found = grad_cam(spot, {"rgb": clips}, 0, "entry")
    expected = np.zeros((1, 3, 6, 6))
    expected[0, 1, 2, 3] = 3 / (3 * 6 * 6) * 20  # the mean gradient times the activation
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not grad_cam(spot, {"rgb": clips}, 1, "entry").any()  # evidence against a class is not shown


def test_each_clip_has_its_own_class_and_the_best_one_by_default(spot):
    clips = {"rgb": np.full((2, 3, 6, 6, 3), 10, np.uint8)}
    both = grad_cam(spot, clips, np.array([1, 0]), "entry")
    assert (both[0].any(), both[1].any()) == (False, True)
    found = class_maps(spot, clips, ("entry",))
    assert (found.classes.tolist(), found.logits.tolist()) == ([0, 0], [[60, -60]] * 2)
    np.testing.assert_array_equal(found.maps["entry"], grad_cam(spot, clips, 0, "entry"))


def test_what_cannot_be_explained_is_named(spot):
    clips = {"rgb": np.zeros((1, 3, 6, 6, 3), np.uint8)}
    with pytest.raises(ExplanationError, match="'pooled' has no positions in time and space"):
        grad_cam(spot, clips, 0, "pooled")
    with pytest.raises(ExplanationError, match="no head 'area'; its heads: atomic"):
        grad_cam(spot, clips, 0, "entry", "area")
    with pytest.raises(ExplanationError, match="class 2 is not one of the 2 classes of the head 'atomic'"):
        grad_cam(spot, clips, 2, "entry")
    broken = dataclasses.replace(spot, variables={"params": {"slope": np.full(2, np.nan, np.float32)}})
    with pytest.raises(ExplanationError, match="the network's atomic logits are not finite"):
        grad_cam(broken, clips, 0, "entry")
    trained = networks.trained("i3d")
    with pytest.raises(ExplanationError, match="unknown endpoint 'Mixed_5d'; did you mean 'Mixed_5c'"):
        grad_cam(trained, networks.clips(trained), 0, "Mixed_5d")
    aside = networks.trained("tpn")
    with pytest.raises(ExplanationError, match="the atomic logits are not computed from endpoint aux_features"):
        gradient_of_a_side_branch(aside)


def gradient_of_a_side_branch(trained):
    class Side(nn.Module):
        @nn.compact
        def __call__(self, clips, *, train, endpoints=()):
            return {"atomic": clips.mean((1, 2, 3))}, {"aux_features": clips + 1}

    other = TrainedNetwork(Side(), {}, trained.config, {"atomic": ("a", "b", "c")})
    return grad_cam(other, networks.clips(trained), 0, "aux_features")


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of all positions."""
    ranks = [np.argsort(np.argsort(x.ravel())) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def test_the_map_changes_with_the_weights_from_the_last_layer_on():
    """Cascading randomization, as in Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018."""
    trained = networks.trained("i3d", frames=16, crop=64)
    clips, other = networks.clips(trained, batch=1), networks.trained("i3d", frames=16, crop=64, seed=1).variables
    original = grad_cam(trained, clips, 0, "Mixed_5c")
    assert rank_correlation(original, grad_cam(trained, clips, 0, "Mixed_5c")) == pytest.approx(1)
    variables = jax.tree.map(lambda x: x, trained.variables)
    for module in ("Logits", "Mixed_5c", "Conv3d_1a_7x7"):
        for kind in variables:
            variables[kind] = variables[kind] | {key: other[kind][key] for key in (module,) if key in other[kind]}
        changed = TrainedNetwork(trained.network, variables, trained.config, trained.classes)
        found = rank_correlation(original, grad_cam(changed, clips, 0, "Mixed_5c"))
        assert abs(found) < 0.7, module
