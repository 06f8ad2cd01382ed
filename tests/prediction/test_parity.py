"""Predicting files gives the logits of evaluating their built dataset: generated clips in all streams, real clips."""

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds

from haa_jax import evaluate
from haa_jax.configs import i3d, stgcn
from haa_jax.experiment import create_experiment
from haa_jax.prediction import runner
from haa_jax.restore import TrainedNetwork
from tests.conftest import REAL_CLASS
from tfds_haa500 import Builder, Haa500Config
from tfds_haa500.demo import archive

pytestmark = pytest.mark.slow

CLASSES = ("squat_down", "squat_up")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The archive of two generated classes, and the folder where `haa500/demo_two` is built from the same drawings."""
    root = tmp_path_factory.mktemp("demo")
    archive.write_archive(root / "archive", classes=CLASSES)
    streams = ("flow", "pose", "boxes", "objects")
    config = Haa500Config(name="demo_two", classes=CLASSES, streams=streams, generated=True)
    Builder(config=config, data_dir=str(root / "data")).download_and_prepare()
    return root / "archive", str(root / "data")


def check(config, archive_root):
    """Compares the logits of the test split, and returns them."""
    exp = create_experiment(config)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda x: rng.normal(scale=0.1, size=x.shape).astype(x.dtype), exp.abstract_state.variables
    )
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])
    expected = evaluate.predict(exp, variables, "test")["atomic"]
    network = TrainedNetwork(exp.model, variables, config.copy_and_resolve_references().lock(), exp.classes)
    ids = exp.splits["test"].index.clip_id
    files = [str(archive_root / "video" / clip[:-4] / f"{clip}.mp4") for clip in ids]
    outcomes = list(runner.run(files, [network]))
    assert [outcome.error for outcome in outcomes] == [None] * len(files)
    found = np.concatenate([outcome.outputs[0]["atomic"] for outcome in outcomes])
    assert len(np.unique(expected, axis=0)) == len(files)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("variant", ["demo", "demo,flow", "demo,pose", "demo,rgb+objects", "demo,normalized", "stgcn"])
def test_generated_clips(demo, variant):
    root, data_dir = demo
    config = stgcn.get_config("demo") if variant == "stgcn" else i3d.get_config(variant)
    config.data.dataset, config.data.data_dir = "haa500/demo_two", data_dir
    config.eval.every_epochs = 0.0
    check(config, root)


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real class is not on this machine")
def test_real_clips(tmp_path):
    config = Haa500Config(name="pushup", classes=("pushup",))
    builder = Builder(config=config, data_dir=str(tmp_path))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(REAL_CLASS)))
    config = i3d.get_config()
    config.data.dataset, config.data.data_dir, config.model.width = "haa500/pushup", str(tmp_path), 0.25
    config.eval.every_epochs, config.eval.crops = 0.0, 3
    check(config, REAL_CLASS)
