"""The other published forms of each network: variants, streams, odd lengths and sizes above 224 pixels.

Logits for the formula's weights (tests/golden.py), against the published PyTorch definitions in double precision.
"""

import re

import jax
import numpy as np
import pytest

from haa_jax import models
from haa_jax.weights import importer
from tests import golden
from tests.models.test_published import HEADS, TOLERANCE, config, shapes_of


def rgb(frames: int, height: int = 224, width: int = 224) -> np.ndarray:
    return golden.clips(1, 3, frames, height, width)


# Row of golden/variants.csv -> model, variant, further fields, table and column of shapes, input.
VARIANTS = {
    "slowfast_8x8": ("slowfast", "8x8", {}, ("slowfast", "shape_8x8"), lambda: rgb(32)),
    "slowfast_4x16_flow": (
        *("slowfast", "4x16", {}, ("slowfast", "shape_4x16")),
        lambda: golden.clips(1, 2, 32, 224, 224),
    ),
    "tsn_resnet50_flow": (
        *("tsn", "resnet50", {}, ("tsn_resnet50", "shape")),
        lambda: golden.segments(1, 3, 10, 224, 224),
    ),
    "tsn_bninception_flow": (
        *("tsn", "bninception", {}, ("tsn_bninception", "shape")),
        lambda: golden.segments(1, 3, 10, 224, 224),
    ),
    "tsm": ("tsn", "tsm", {}, ("tsn_resnet50", "shape"), lambda: golden.segments(1, 8, 3, 224, 224)),
    "tpn_tsm_inplace": (
        *("tpn", "tsm", {"shift": "inplace"}, ("tpn", "shape_tsm")),
        lambda: golden.segments(1, 8, 3, 224, 224),
    ),
    "tpn_tsm_blockres": (
        *("tpn", "tsm", {"shift": "blockres"}, ("tpn", "shape_tsm")),
        lambda: golden.segments(1, 8, 3, 224, 224),
    ),
    "tpn_slowonly_parallel": (
        *("tpn", "slowonly", {"information_flow": "parallel"}, ("tpn", "shape_slowonly")),
        lambda: rgb(8),
    ),
    "tpn_slowonly_5_frames": ("tpn", "slowonly", {}, ("tpn", "shape_slowonly"), lambda: rgb(5)),
    "tpn_slowonly_256": ("tpn", "slowonly", {}, ("tpn", "shape_slowonly"), lambda: rgb(8, 256, 256)),
    "stgcn_openpose18_75_frames": (
        *("stgcn", "openpose18", {}, ("stgcn", "shape")),
        lambda: golden.skeletons(1, 1, 75, 18),
    ),
    "stgcn_coco17_75_frames": (
        *("stgcn", "coco17", {}, ("stgcn", "shape")),
        lambda: golden.skeletons(1, 2, 75, 17),
    ),
    "i3d_flow_79_frames": ("i3d", "", {}, ("i3d", "shape"), lambda: golden.clips(1, 2, 79, 224, 224)),
    "i3d_256x224": ("i3d", "", {}, ("i3d", "shape"), lambda: rgb(16, 256, 224)),
}
QUICK = ("tsm", "stgcn_openpose18_75_frames", "stgcn_coco17_75_frames")
PARAMETERS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]


def tensors_of(name: str, table: tuple[str, str], channels: int) -> dict[str, np.ndarray]:
    """The formula's checkpoint, with the names and shapes of the variant."""
    tensors = golden.state_dict(*table, channels)
    if name == "tsm":  # its first convolutions are wrapped
        wrapped = {re.sub(r"(layer\d\.\d\.conv1)\.", r"\1.net.", key): x.shape for key, x in tensors.items()}
        return {key: golden.weight(key, shape) for key, shape in wrapped.items()}
    if name.startswith("stgcn_coco17"):
        shapes = {key: tuple({18: 17, 54: 51}.get(n, n) for n in x.shape) for key, x in tensors.items()}
        return {key: golden.weight(key, shape) for key, shape in shapes.items()}
    return tensors


def logits_of(module, variables: dict, clips: np.ndarray) -> np.ndarray:
    with jax.default_matmul_precision("highest"):
        return jax.jit(lambda v, x: module.apply(v, x, train=False)[0]["atomic"])(variables, np.float32(clips))


@pytest.mark.parametrize("name", PARAMETERS)
def test_logits_are_the_published_ones(name, tmp_path):
    model, variant, changes, table, make_clips = VARIANTS[name]
    fields, clips = config(model, variant, **changes), make_clips()
    module = models.build(fields, HEADS)
    np.savez(tmp_path / "published.npz", **tensors_of(name, table, clips.shape[-1]))
    variables, _ = importer.load(tmp_path / "published.npz", fields, shapes_of(module, clips.shape), head="atomic")
    expected = golden.read("variants")[name]
    assert golden.relative_error(logits_of(module, variables, clips), expected) < TOLERANCE


@pytest.mark.slow
def test_slowfast_averages_softmaxes_over_the_positions_of_a_larger_frame(tmp_path):
    """The projection is scaled down, for the formula's own logits are so large that every softmax is 0 or 1."""
    fields = config("slowfast", "4x16")
    module = models.build(fields, HEADS)
    tensors = golden.state_dict("slowfast", "shape_4x16")
    for name in ("head.projection.weight", "head.projection.bias"):
        tensors[name] = tensors[name] * 2**-11
    np.savez(tmp_path / "published.npz", **tensors)
    clips = rgb(32, 256, 256)
    variables, _ = importer.load(tmp_path / "published.npz", fields, shapes_of(module, clips.shape), head="atomic")
    probabilities = jax.nn.softmax(logits_of(module, variables, clips))
    expected = golden.read("variants")["slowfast_4x16_256 (projection times 2**-11)"]
    assert golden.relative_error(probabilities, expected) < TOLERANCE
