"""SlowFast, TSN, TPN and ST-GCN against the published networks: counts, cost, shapes, outputs and one training step.

The weights follow the formula of tests/golden.py and come in through the importer, as a published checkpoint would.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from ml_collections import ConfigDict

from haa_jax import models
from haa_jax.configs import base
from haa_jax.learning import losses
from haa_jax.models import slowfast
from haa_jax.models.cost import multiply_adds
from haa_jax.runtime.compiling import IS_0_10
from haa_jax.weights import importer, names
from haa_jax.weights.readers import Contents
from tests import golden
from tests.conftest import OPTIMIZED

TOLERANCE = 1e-5  # float32 against float64: the networks themselves reach 1e-7 to 6e-7
HEADS = {"atomic": 400}


def config(name: str, variant: str, **changes) -> ConfigDict:
    fields = base.get_config().model
    fields.update({"name": name, "variant": variant, "dropout": 0.0, "bn_momentum": 0.9} | changes)
    return fields


def shapes_of(module, shape) -> dict:
    clips = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.eval_shape(lambda key, x: module.init(key, x, train=False), jax.random.key(0), clips)


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


COUNTS = [  # model, variant, input, parameters at 400 classes, at 500, running statistics, 10^9 multiply-adds
    ("slowfast", "4x16", (32, 224, 224, 3), 34_480_216, 34_710_716, 60_688, 27.639),
    ("slowfast", "4x16", (32, 256, 256, 3), 34_480_216, 34_710_716, 60_688, 36.102),
    ("slowfast", "4x16", (32, 224, 224, 2), 34_475_120, 34_705_620, 60_688, 26.695),
    ("slowfast", "8x8", (32, 224, 224, 3), 34_566_488, 34_796_988, 60_688, 50.309),
    ("slowfast", "8x8", (32, 224, 224, 2), 34_561_392, 34_791_892, 60_688, 49.207),
    ("tsn", "resnet50", (1, 224, 224, 3), 24_327_632, 24_532_532, 53_120, 4.088),
    ("tsn", "resnet50", (1, 224, 224, 10), 24_349_584, 24_554_484, 53_120, 4.363),
    ("tsn", "bninception", (1, 224, 224, 3), 10_680_240, 10_782_740, 20_032, 2.032),
    ("tsn", "bninception", (1, 224, 224, 10), 10_702_192, 10_804_692, 20_032, 2.307),
    ("tsn", "tsm", (8, 224, 224, 3), 24_327_632, 24_532_532, 53_120, 32.704),
    ("tpn", "slowonly", (8, 224, 224, 3), 91_498_336, 91_908_136, 81_792, 50.276),
    ("tpn", "slowonly", (32, 224, 224, 3), 91_498_336, 91_908_136, 81_792, 198.155),
    ("tpn", "tsm", (8, 224, 224, 3), 83_371_872, 83_781_672, 81_792, 41.233),
    ("stgcn", "openpose18", (2, 300, 18, 3), 3_177_140, 3_202_840, 6_508, 11.685 + 0.448),
    ("stgcn", "coco17", (2, 300, 17, 3), 3_176_084, 3_201_784, 6_502, None),
    ("i3d", "", (64, 224, 224, 3), 12_689_984, 12_792_484, 14_560, 111.153),
    ("i3d", "", (32, 224, 224, 2), 12_668_032, 12_770_532, 14_560, 51.171),
]


FIRST = {(name, variant): shape for name, variant, shape, *_ in reversed(COUNTS)}
# Other sizes and modalities of a network are slow tests.
QUICK_OR_SLOW = [row if FIRST[row[:2]] == row[2] else pytest.param(*row, marks=pytest.mark.slow) for row in COUNTS]


@pytest.mark.parametrize(("name", "variant", "shape", "at_400", "at_500", "statistics", "cost"), QUICK_OR_SLOW)
def test_counts_and_cost(name, variant, shape, at_400, at_500, statistics, cost):
    module = models.build(config(name, variant), {"atomic": 500})
    variables, clips = {}, jax.ShapeDtypeStruct((1, *shape), jnp.float32)

    def apply(key, x):  # initialization has the same convolutions and products, so that the network is traced once
        outputs, initialized = module.init_with_output(key, x, train=False)
        variables.update(initialized)
        return outputs

    found = multiply_adds(apply, jax.random.key(0), clips)
    if name == "tpn":  # except for the auxiliary head, which only initialization and training run
        found = multiply_adds(lambda v, x: module.apply(v, x, train=False), variables, clips)
    if cost:
        assert found / 1e9 == pytest.approx(cost, rel=2e-4)
    assert count(variables["params"]) == at_500
    assert count(variables["batch_stats"]) == statistics
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    if FIRST[name, variant] == shape:  # how the classes count does not depend on the input
        assert count(shapes_of(models.build(config(name, variant), {"atomic": 400}), (1, *shape))["params"]) == at_400


def test_counts_without_the_auxiliary_head():
    module = models.build(config("tpn", "slowonly", aux_head=False), HEADS)
    assert count(shapes_of(module, (1, 8, 224, 224, 3))["params"]) == 71_800_272


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of the golden tables.

    Attributes:
      table, shape: names and shapes in golden/names.
      clips: batch size -> input, float64.
      stages: our endpoint -> row of golden/<case>.csv.
      positions: name of a running variance -> numbers that a batch of two averages for it.
    """

    name: str
    variant: str
    table: str
    shape: str
    clips: Callable[[int], np.ndarray]
    stages: dict[str, str]
    positions: dict[str, int]


CASES = {
    "slowfast_4x16": Case(
        *("slowfast", "4x16", "slowfast", "shape_4x16"),
        lambda batch: golden.clips(batch, 3, 32, 224, 224),
        {
            **{"slow_stem": "s1_fuse[0]", "fast_stem": "s1_fuse[1]"},
            **{f"slow_res{stage}": f"s{stage}_fuse[0]" for stage in (2, 3, 4)},
            **{f"fast_res{stage}": f"s{stage}_fuse[1]" for stage in (2, 3, 4)},
            **{"slow_res5": "s5[0]", "fast_res5": "s5[1]"},
        },
        {"s1.pathway0_stem.bn": 2 * 4 * 112 * 112, "s5.pathway1_res2.branch2.c_bn": 2 * 32 * 7 * 7},
    ),
    "tsn_resnet50": Case(
        *("tsn", "resnet50", "tsn_resnet50", "shape"),
        lambda batch: golden.segments(batch, 3, 3, 224, 224),
        {f"layer{stage}": f"layer{stage}" for stage in (1, 2, 3, 4)},
        {"base_model.bn1": 6 * 112 * 112, "base_model.layer4.2.bn3": 6 * 7 * 7},
    ),
    "tsn_bninception": Case(
        *("tsn", "bninception", "tsn_bninception", "shape"),
        lambda batch: golden.segments(batch, 3, 3, 224, 224),
        {name: name for name in ("pool1_3x3_s2", "pool2_3x3_s2")},
        {"base_model.conv1_7x7_s2_bn": 6 * 112 * 112, "base_model.inception_5b_pool_proj_bn": 6 * 7 * 7},
    ),
    "tpn_slowonly": Case(
        *("tpn", "slowonly", "tpn", "shape_slowonly"),
        lambda batch: golden.clips(batch, 3, 8, 224, 224),
        {
            **{"layer3": "backbone[0]", "layer4": "backbone[1]", "spatial_modulation_0": "spatial_modulation[0]"},
            **{f"temporal_modulation_{level}": f"temporal_modulation_ops.{level}" for level in (0, 1)},
            **{"top_down": "level_fusion_op2(topdown)", "bottom_up": "level_fusion_op(bottomup)"},
            "pyramid_fusion": "pyramid_fusion_op",
        },
        {"backbone.bn1": 2 * 8 * 112 * 112, "necks.aux_head.convs.bn": 2 * 8 * 7 * 7},
    ),
    "stgcn_openpose18": Case(
        *("stgcn", "openpose18", "stgcn", "shape"),
        lambda batch: golden.skeletons(batch, 2, 64, 18),
        {"data_bn": "data_bn", **{f"block{index}": f"st_gcn_networks.{index}[0]" for index in range(10)}},
        {"data_bn": 4 * 64, "st_gcn_networks.9.tcn.3": 4 * 16 * 18},
    ),
}


def loaded(case: Case):
    """The network with the formula's weights, through the importer: (module, variables in float32)."""
    fields = config(case.name, case.variant)
    module = models.build(fields, HEADS)
    shapes = shapes_of(module, case.clips(1).shape)
    published = Contents(golden.state_dict(case.table, case.shape))
    fit = importer.judge(published, fields, shapes, head="atomic")
    assert fit.fits
    assert not fit.unused
    return module, importer.convert(published.tensors, fit, shapes)


def as_published(x: np.ndarray, case: Case) -> np.ndarray:
    """An endpoint in the layout of the golden tables."""
    x = np.asarray(x)
    if x.shape[-1] == 3:  # ST-GCN's data_bn: (people, time, joints, coordinates)
        x = x.reshape(*x.shape[:2], -1)
    return np.moveaxis(x[0] if case.name == "tsn" else x, -1, 1)


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_published_ones(name):
    case, expected = CASES[name], golden.read(name)
    module, variables = loaded(case)
    endpoints = (*case.stages, *(["aux_features"] if name == "tpn_slowonly" else []))
    with jax.default_matmul_precision("highest"):
        logits, stages = jax.jit(lambda v, x: module.apply(v, x, train=False, endpoints=endpoints))(
            variables, np.float32(case.clips(1))
        )
    errors = {
        row: golden.relative_error(as_published(stages[ours], case), expected[row]) for ours, row in case.stages.items()
    }
    errors["logits"] = golden.relative_error(logits["atomic"], expected["logits"])
    if "aux_features" in stages:
        layer = variables["params"]["AuxLogits"]["atomic"]
        aux_logits = np.asarray(stages["aux_features"], np.float64) @ layer["kernel"] + layer["bias"]
        errors["aux logits"] = golden.relative_error(aux_logits, expected["aux logits"])
    assert max(errors.values()) < TOLERANCE, errors


def golden_step(case: Case, dtype=jnp.float32) -> dict:
    """One training step without dropout on two clips of labels 3 and 7: loss, gradients, statistics."""
    module, variables = loaded(case)
    module = module.clone(dtype=dtype)
    variables = jax.tree.map(lambda x: jnp.asarray(x, dtype), variables)
    clips = jnp.asarray(case.clips(2), dtype)

    def loss(params):
        (logits, _), updates = module.apply({**variables, "params": params}, clips, train=True, mutable=["batch_stats"])
        return losses.loss_fn(logits, {"atomic": jnp.array([3, 7])}), updates["batch_stats"]

    with jax.default_matmul_precision("highest"):
        # As for users, in float64, where the numbers are the same to nine digits.
        options = None if IS_0_10 and dtype == jnp.float32 else OPTIMIZED
        step = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=options)
        (value, new), grads = step(variables["params"])
    return {"loss": value, "grads": grads, "old": variables["batch_stats"], "new": new}


def step_errors(name: str, step: dict) -> dict[str, float]:
    """Relative errors of everything that the golden table has of the training step, by its row's name."""
    case, expected = CASES[name], golden.read(name)
    name_of = next(iter(names.SOURCES[case.name].values()))
    errors = {"TRAIN loss": abs(float(step["loss"]) / expected["TRAIN loss"].sum - 1)}
    norm = sum(np.square(x, dtype=np.float64).sum() for x in jax.tree.leaves(step["grads"])) ** 0.5
    errors["TRAIN global grad l2norm"] = abs(norm / expected["TRAIN global grad l2norm"].l2 - 1)
    for path, grad in traverse_util.flatten_dict(step["grads"]).items():
        if (row := f"TRAIN grad {name_of(path)}") in expected:
            grad = golden.to_torch(np.asarray(grad)) if path[-1] == "kernel" else grad
            errors[row] = golden.relative_error(grad, expected[row])
    old = traverse_util.flatten_dict(step["old"])
    for path, new in traverse_util.flatten_dict(step["new"]).items():
        if (row := f"TRAIN after 1 fwd {name_of(path)}") in expected:
            if path[-1] == "var":  # PyTorch keeps the unbiased variance
                count = case.positions[name_of(path).removesuffix(".running_var")]
                batch_part = np.asarray(new, np.float64) - 0.9 * np.asarray(old[path], np.float64)
                new = new + batch_part / (count - 1)
            errors[row] = golden.relative_error(new, expected[row])
    assert set(errors) == {row for row in expected if row.startswith("TRAIN")}
    return errors


# ReLUs and max pools near a tie flip with float32's rounding, and each flip moves a whole gradient (see test_i3d.py);
# the slow test shows in float64 that the gradients are the same.
FLIPPED_IN_FLOAT32 = {"TRAIN global grad l2norm": 2e-3, "TRAIN grad": 3e-2}


@pytest.mark.parametrize(
    "name", [*(pytest.param(n, marks=pytest.mark.slow) for n in ("slowfast_4x16", "tsn_resnet50")), "stgcn_openpose18"]
)
def test_training_step_is_the_published_one_in_float32(name):
    for row, error in step_errors(name, golden_step(CASES[name])).items():
        limit = next((limit for start, limit in FLIPPED_IN_FLOAT32.items() if row.startswith(start)), TOLERANCE)
        assert error < limit, row


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_training_step_is_the_published_one_in_float64(name):
    with jax.enable_x64(True):
        errors = step_errors(name, golden_step(CASES[name], jnp.float64))
    assert max(errors.values()) < 1e-9, errors


# Outputs (time, height, width, channels) of every stage at 224 pixels, from the published layer tables.
STAGE_SHAPES = {
    ("slowfast", "4x16", (32, 224, 224, 3)): {
        **{"slow_stem": (4, 56, 56, 80), "fast_stem": (32, 56, 56, 8)},
        **{"slow_res2": (4, 56, 56, 320), "fast_res2": (32, 56, 56, 32)},
        **{"slow_res3": (4, 28, 28, 640), "fast_res3": (32, 28, 28, 64)},
        **{"slow_res4": (4, 14, 14, 1280), "fast_res4": (32, 14, 14, 128)},
        **{"slow_res5": (4, 7, 7, 2048), "fast_res5": (32, 7, 7, 256), "features": (2304,)},
    },
    ("slowfast", "8x8", (32, 224, 224, 3)): {
        **{"slow_stem": (8, 56, 56, 80), "slow_res2": (8, 56, 56, 320), "slow_res3": (8, 28, 28, 640)},
        **{"slow_res4": (8, 14, 14, 1280), "slow_res5": (8, 7, 7, 2048), "fast_res5": (32, 7, 7, 256)},
    },
    ("tsn", "resnet50", (3, 224, 224, 3)): {
        **{"stem": (3, 56, 56, 64), "layer1": (3, 56, 56, 256), "layer2": (3, 28, 28, 512)},
        **{"layer3": (3, 14, 14, 1024), "layer4": (3, 7, 7, 2048), "features": (2048,)},
    },
    ("tsn", "bninception", (3, 224, 224, 3)): {
        **{"pool1_3x3_s2": (3, 56, 56, 64), "pool2_3x3_s2": (3, 28, 28, 192)},
        **{f"inception_3{block}": (3, 28, 28, width) for block, width in {"a": 256, "b": 320}.items()},
        "inception_3c": (3, 14, 14, 576),
        **{f"inception_4{b}": (3, 14, 14, width) for b, width in {"a": 576, "b": 576, "c": 608, "d": 608}.items()},
        **{f"inception_{b}": (3, 7, 7, width) for b, width in {"4e": 1056, "5a": 1024, "5b": 1024}.items()},
        "features": (1024,),
    },
    ("tpn", "slowonly", (8, 224, 224, 3)): {
        **{"stem": (8, 56, 56, 64), "layer1": (8, 56, 56, 256), "layer2": (8, 28, 28, 512)},
        **{"layer3": (8, 14, 14, 1024), "layer4": (8, 7, 7, 2048), "spatial_modulation_0": (8, 7, 7, 2048)},
        **{"temporal_modulation_0": (1, 7, 7, 1024), "temporal_modulation_1": (1, 7, 7, 1024)},
        **{"top_down": (1, 7, 7, 2048), "bottom_up": (1, 7, 7, 2048), "pyramid_fusion": (1, 7, 7, 2048)},
        **{"features": (2048,), "aux_features": (2048,)},
    },
    ("stgcn", "openpose18", (2, 300, 18, 3)): {
        "data_bn": (300, 18, 3),
        **{f"block{index}": (300, 18, 64) for index in range(4)},
        **{f"block{index}": (150, 18, 128) for index in range(4, 7)},
        **{f"block{index}": (75, 18, 256) for index in range(7, 10)},
        "features": (256,),
    },
}


@pytest.mark.parametrize(("name", "variant", "shape"), STAGE_SHAPES)
def test_stage_shapes(name, variant, shape):
    expected = STAGE_SHAPES[name, variant, shape]
    module = models.build(config(name, variant), HEADS)
    variables = shapes_of(module, (2, *shape))
    logits, stages = jax.eval_shape(
        lambda v, x: module.apply(v, x, train=False, endpoints=tuple(expected)),
        variables,
        jax.ShapeDtypeStruct((2, *shape), jnp.float32),
    )
    assert {stage: x.shape[1:] for stage, x in stages.items()} == expected
    assert logits["atomic"].shape == (2, 400)


def test_the_slow_pathways_frames():
    assert slowfast.slow_frames(32, 8).tolist() == [0, 10, 20, 31]
    assert slowfast.slow_frames(32, 4).tolist() == [0, 4, 8, 13, 17, 22, 26, 31]
    assert slowfast.slow_frames(8, 8).tolist() == [0]
