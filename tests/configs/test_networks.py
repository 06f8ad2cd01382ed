"""Every network from its config through the real input: a training step and an evaluation, on one device and on 8."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax import checks, experiment, models
from haa_jax.configs import i3d, slowfast, stgcn, tpn, tsn
from haa_jax.data import pipeline
from haa_jax.models import bninception, resnet
from haa_jax.runtime import mesh
from tests.conftest import use_devices

CLASSES = ("apple_to_bowl", "apple_to_mouth")
# Name -> config, variants, and fields that make the network and its clips small.
EVERY = {
    "i3d": (i3d, "demo", {}),
    "i3d pose": (i3d, "demo,pose", {}),
    "i3d rgb+pose": (i3d, "demo,rgb+pose,normalized", {}),
    "i3d rgb+objects": (i3d, "demo,rgb+objects,joint", {}),
    "slowfast 4x16": (slowfast, "demo,4x16,flow", {}),
    "slowfast 8x8": (slowfast, "demo,8x8", {"data.frames": 8}),
    "tsn resnet50": (tsn, "demo,flow", {"data.frames": 3}),
    "tsn bninception": (tsn, "demo,bninception", {"data.frames": 2, "data.resize": 64, "data.crop": 64}),
    "tsn tsm": (tsn, "demo,tsm", {"data.frames": 4}),
    "tpn slowonly": (tpn, "demo", {"data.frames": 4, "model.information_flow": "parallel"}),
    "tpn tsm": (tpn, "demo,tsm,joint", {"data.frames": 4}),
    "stgcn coco17": (stgcn, "demo", {}),
    "stgcn openpose18": (stgcn, "demo,openpose18", {}),
}
# Networks that are run on all devices too; what the others add does not depend on the number of devices.
COMPARED = ("i3d", "slowfast 8x8", "tsn tsm", "tpn tsm", "stgcn coco17")
# I3D trains and is tested in test_train.py, TPN has TSN's input; the others are variants.
QUICK = ("i3d rgb+objects", "slowfast 4x16", "tsn resnet50", "stgcn coco17")


@pytest.fixture(scope="module")
def mini_dir(tmp_path_factory) -> str:
    """Where `haa500/mini` has been built: two generated classes with all streams."""
    from tfds_haa500 import Builder, Haa500Config
    from tfds_haa500.streams import STREAMS

    folder = str(tmp_path_factory.mktemp("mini"))
    config = Haa500Config(name="mini", classes=CLASSES, streams=tuple(STREAMS), generated=True)
    Builder(config=config, data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def _shallow(monkeypatch):
    """One block a stage: compiling is most of the work here, and test_published.py has the full depth."""
    for module in (resnet, models.slowfast):
        monkeypatch.setattr(module, "DEPTHS", (1, 1, 1, 1))
    monkeypatch.setattr(models.stgcn, "BLOCKS", ((64, 1), (64, 1), (128, 2)))
    for module, table, kept in (
        (models.i3d, "TRUNK", ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Mixed_3b", "MaxPool3d_4a_3x3", "Mixed_5b")),
        (bninception, "BLOCKS", ("inception_3a", "inception_3c", "inception_5b")),
    ):
        blocks = getattr(module, table)
        monkeypatch.setattr(module, table, {block: blocks[block] for block in kept})


def test_every_demo_learns_by_one_recipe():
    expected = i3d.get_config("demo").optimizer
    assert not expected.nesterov
    for module, variants, _ in EVERY.values():
        assert module.get_config(variants).optimizer == expected


def test_a_demo_keeps_its_trainable_modules():
    assert i3d.get_config("demo,last_three").optimizer.trainable == ("Mixed_5b", "Mixed_5c", "Logits")


def small(name: str, mini_dir: str):
    module, variants, changes = EVERY[name]
    config = module.get_config(variants)
    config.data.dataset, config.data.data_dir = "haa500/mini", mini_dir
    config.data.resize, config.data.crop, config.data.threads = 36, 32, 2
    config.model.width = 0.0625
    config.train.batch_size, config.eval.batch_size = 8, 1
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 0.01
    config.update_from_flattened_dict(changes)
    return config


def one_step(config, devices: int, monkeypatch):
    """(loss and gradient norm, batch statistics, test logits) of a training step and an evaluation."""
    with monkeypatch.context() as patch:
        use_devices(patch, devices)
        exp = experiment.create_experiment(config)
    train_state = exp.fresh_state()
    batches = pipeline.train_batches(exp.splits["train"], config.data, 8, config.seed, 0, exp.shard)
    step = experiment.train_step(config, exp.model, exp.optimizer)
    after, metrics = jax.jit(step)(train_state, mesh.to_global(next(batches), exp.mesh))
    batches.close()
    test = next(pipeline.eval_batches(exp.splits["test"], exp.test_data, exp.test_views, 8, exp.shard))
    logits = exp.eval_step(train_state.variables, mesh.to_global({"clips": test["clips"]}, exp.mesh))
    return jax.device_get(({"loss": metrics["loss"], "grad_norm": metrics["grad_norm"]}, after.batch_stats, logits))


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EVERY]
)
def test_one_step_and_one_evaluation(name, mini_dir, monkeypatch):
    config = small(name, mini_dir)
    alone = metrics, _, logits = one_step(config, 1, monkeypatch)
    heads = {"atomic", "composite"} if "joint" in EVERY[name][1] else {"atomic"}
    assert set(logits) == heads
    assert all(values.shape[0] == 8 and np.isfinite(values).all() for values in logits.values())
    assert 0.3 < metrics["loss"] < 12
    if name not in COMPARED or jax.device_count() == 1:
        return
    together = one_step(config, jax.device_count(), monkeypatch)
    jax.tree.map(lambda many, one: np.testing.assert_allclose(many, one, rtol=2e-3, atol=2e-4), together, alone)


@pytest.mark.parametrize(
    "name",
    [
        *("i3d", "tsn bninception", "stgcn coco17"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("slowfast 4x16", "tpn slowonly")),
    ],
)
def test_bfloat16_stays_near_float32(name):
    config = small(name, "")
    shape = (2, *experiment.clip_shape(config))
    clips = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    variables = jax.jit(functools.partial(models.build(config.model, {"atomic": 5}).init, train=False))(
        jax.random.key(0), clips
    )
    results = {}
    for dtype in models.DTYPES:
        config.model.dtype = dtype
        model = models.build(config.model, {"atomic": 5})
        results[dtype] = jax.jit(functools.partial(model.apply, train=False))(variables, clips)[0]["atomic"]
    assert results["bfloat16"].dtype == jnp.float32
    error = np.abs(results["bfloat16"] - results["float32"]).max() / np.abs(results["float32"]).max()
    assert 0 < error < 0.1


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("slowfast 4x16", {"data.frames": 12}, r"at training.*needs a multiple of 8 frames, not 12"),
        ("slowfast 4x16", {"eval.frames": 25}, r"at test.*needs a multiple of 8 frames, not 25"),
        ("tsn bninception", {"data.crop": 40}, r"halves its frames at inception_3c, where they are 5x5"),
    ],
)
def test_clips_that_do_not_fit_stop_the_run(name, changes, message, mini_dir):
    config = small(name, mini_dir)
    config.update_from_flattened_dict(changes)
    with pytest.raises(checks.ConfigError, match=message):
        experiment.create_experiment(config)
