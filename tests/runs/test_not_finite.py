"""A NaN in the data: the run stops, reports where it came from, and keeps the last good checkpoint."""

import json
import pathlib

import jax
import numpy as np
import pytest
import tensorflow as tf

from haa_jax import not_finite, train
from haa_jax.configs import stgcn
from haa_jax.data import sampling
from haa_jax.experiment import create_experiment
from haa_jax.models import stgcn as network
from haa_jax.runtime.checkpoint import Checkpoints
from tfds_haa500 import Builder, Haa500Config

BATCH = 8


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "BLOCKS", ((64, 1), (128, 2)))
    own = Haa500Config(name="poses", classes=("apple_to_bowl", "apple_to_mouth"), streams=("pose",), generated=True)
    Builder(config=own, data_dir=str(tmp_path / "data")).download_and_prepare()
    config = stgcn.get_config("demo")
    config.data.dataset, config.data.data_dir = "haa500/poses", str(tmp_path / "data")
    config.seed = 3  # of the order of the clips too
    config.model.width, config.train.batch_size, config.eval.batch_size = 0.0625, BATCH, 1
    config.eval.every_epochs, config.checkpoint.every_epochs = 0.0, BATCH / 32  # a checkpoint at every step
    return config


def poison(data_dir: str, split, clip: int) -> str:
    """Makes all coordinates of a clip NaN, with checksums that are right; returns its name."""
    name = split.index.clip_id[clip]
    for shard in pathlib.Path(data_dir).rglob("*-train.tfrecord*"):
        examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(shard))]
        with tf.io.TFRecordWriter(str(shard)) as writer:
            for example in examples:
                if example.features.feature["clip_id"].bytes_list.value[0].decode() == name:
                    values = example.features.feature["pose"].float_list.value
                    values[:] = [float("nan")] * len(values)
                writer.write(example.SerializeToString())
    return name


def test_a_clip_that_is_not_finite_stops_the_run_at_its_step_and_is_named(config, tmp_path):
    split = create_experiment(config).splits["train"]
    batches = [set(sampling.batch_clips(config.seed, step, BATCH, len(split))[0].tolist()) for step in range(4)]
    name = poison(config.data.data_dir, split, min(batches[2]))  # which comes in the third step of the first epoch

    with pytest.raises(not_finite.NonFiniteError, match=r"^step 3: .*nan.*; checkpoint 2 is kept, and "):
        train.train_and_evaluate(config, tmp_path / "run")
    report = json.loads((tmp_path / "run" / not_finite.NOT_FINITE_FILE).read_text())
    assert (report["step"], report["checkpoint"]) == (3, 2)
    assert name in report["clip_ids"]
    assert {split.index.clip_id.index(clip) for clip in report["clip_ids"]} == batches[2]

    checkpoints = Checkpoints(tmp_path / "run", keep=3)
    kept = checkpoints.restore_latest(create_experiment(config).abstract_state)
    checkpoints.close()
    assert kept.step == 2
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept.state))

    config.checkpoint.every_epochs = 0.0
    with pytest.raises(not_finite.NonFiniteError, match=r"^step 3: .*nan.*; there is no earlier checkpoint, and "):
        train.train_and_evaluate(config, tmp_path / "unsaved")
    assert json.loads((tmp_path / "unsaved" / not_finite.NOT_FINITE_FILE).read_text())["checkpoint"] is None
