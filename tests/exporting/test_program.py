"""The exported program against the network that it was made of, and its form for each platform."""

import importlib
import re

import jax
import numpy as np
import pytest

from haa_jax.exporting import program
from tests.exporting.networks import random_clips, toy, trained

STREAMS = [
    ("rgb", {"bgr": True, "mean": (100.0, 110.0, 120.0), "std": (50.0, 55.0, 60.0)}),
    ("flow", {"flow_stack": 2}),
    ("pose", {}),
    ("skeleton", {"temporal_padding": "zero"}),
    ("rgb+pose", {}),
    ("rgb+objects", {}),
]


def reloaded(network) -> tuple:
    """The program after serialization, compiled, and its parameters."""
    serialized = program.export_network(network).serialize()
    return jax.jit(jax.export.deserialize(serialized).call), program.parameters(network)


def check_logits(network, batches=(1, 5)):
    call, parameters = reloaded(network)
    for batch in batches:
        clips = random_clips(network, batch)
        found, expected = call(parameters, clips), jax.jit(network.logits)(clips)
        assert found.keys() == network.classes.keys()
        for head, logits in expected.items():
            assert found[head].shape == (batch, len(network.classes[head]))
            assert found[head].dtype == np.float32
            scale = np.abs(logits).max()
            assert scale > 0.01
            np.testing.assert_allclose(found[head], logits, rtol=0, atol=1e-5 * max(1, scale))


@pytest.mark.parametrize(("stream", "fields"), STREAMS, ids=[stream for stream, _ in STREAMS])
def test_preprocessing_is_in_the_program_which_takes_any_batch(stream, fields):
    check_logits(toy(stream, **fields), (1, 5) if stream == "rgb+pose" else (5,))


def i3d(**fields):
    config = importlib.import_module("haa_jax.configs.i3d").get_config("demo")
    config.data.update({"frames": 4, "resize": 36, "crop": 32})
    config.model.update({"width": 0.05} | fields)
    return trained(config)


MAX_POOLS = re.compile(r"\"stablehlo\.reduce_window\".*?stablehlo\.maximum.*?stablehlo\.return", re.DOTALL)
KERNELS = re.compile(r"stablehlo\.convolution\(.*\) .*: \(tensor<[^>]*>, tensor<([^>]*)>\)")


def test_each_platform_gets_its_form_of_max_pools_and_of_the_stem(shallow_i3d):
    network, found = i3d(), {}
    for platform in program.PLATFORMS:
        text = program.export_network(network, (platform,)).mlir_module()
        found[platform] = {"max pools": len(MAX_POOLS.findall(text)), "stem": KERNELS.findall(text)[0]}
    assert found == {
        "cpu": {"max pools": 0, "stem": "7x7x6x12xf32"},
        "cuda": {"max pools": 3, "stem": "7x7x7x3x3xf32"},
        "tpu": {"max pools": 3, "stem": "7x7x21x3xf32"},
    }


def test_the_program_of_all_platforms_is_compiled_for_one(shallow_i3d):
    network = i3d()
    call, parameters = reloaded(network)
    compiled = call.lower(parameters, random_clips(network, 2)).compile().as_text()
    assert "reduce-window" not in compiled
    assert "conditional" not in compiled


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variants"),
    [
        *(("i3d", "demo"), ("i3d", "flow,demo"), ("slowfast", "demo"), ("slowfast", "8x8,demo"), ("stgcn", "demo")),
        *(("tsn", "demo"), ("tsn", "bninception,demo"), ("tsn", "tsm,demo"), ("tpn", "demo"), ("tpn", "tsm,demo")),
        ("stgcn", "openpose18,demo"),
    ],
)
def test_logits_of_every_network(name, variants):
    check_logits(trained(importlib.import_module(f"haa_jax.configs.{name}").get_config(variants)))


@pytest.mark.slow
def test_bfloat16():
    config = importlib.import_module("haa_jax.configs.stgcn").get_config("demo")
    config.data.frames, config.model.width, config.model.dtype = 8, 0.05, "bfloat16"
    network = trained(config)
    call, parameters = reloaded(network)
    clips = random_clips(network, 2)
    expected = jax.jit(network.logits)(clips)["atomic"]
    np.testing.assert_allclose(call(parameters, clips)["atomic"], expected, atol=1e-2 * np.abs(expected).max())
