"""Runs that start from the weights of another (HAA500 Table 8), or are tested on another dataset (Table 12)."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from haa_jax import train
from haa_jax.data.dataset import DatasetError
from haa_jax.experiment import create_experiment
from haa_jax.learning import freeze
from haa_jax.models import i3d
from haa_jax.runtime import checkpoint_reader
from haa_jax.runtime.checkpoint_reader import CheckpointError
from haa_jax.weights import __main__ as listing
from haa_jax.weights import importer
from haa_jax.weights.readers import WeightsError, read_tensors
from tests.conftest import use_devices
from tfds_haa500 import Builder, Haa500Config, taxonomy

LAST = ("Mixed_5b", "Mixed_5c", "Logits")


@pytest.fixture(scope="module")
def other_dir(data_dir, archive_dir):
    """`haa500/two` beside `haa500/tiny`: other clips, the same class table."""
    config = Haa500Config(name="two", classes=("CPR", "play_erhu"))
    manual = tfds.download.DownloadConfig(manual_dir=str(archive_dir))
    Builder(config=config, data_dir=data_dir).download_and_prepare(download_config=manual)
    return data_dir


@pytest.fixture
def short_config(tiny_config, shallow_i3d, monkeypatch):
    use_devices(monkeypatch, 1)
    block = i3d.TRUNK["Mixed_5c"]
    monkeypatch.setattr(i3d, "TRUNK", i3d.TRUNK | {"Mixed_5c": block, "Mixed_5b": block, "Mixed_4b": block})
    tiny_config.train.epochs, tiny_config.train.steps = 0.0, 2
    tiny_config.eval.every_epochs = tiny_config.checkpoint.every_epochs = 0.0
    tiny_config.data.frames, tiny_config.eval.batch_size = 2, 1
    return tiny_config


def test_the_last_three_layers_learn_on_what_another_run_learned(short_config, other_dir, tmp_path, capsys):
    train.train_and_evaluate(short_config, tmp_path / "first")
    assert listing.report(str(tmp_path / "first"), short_config)
    assert "names as in haa_jax: 76 tensors taken, 0 missing" in capsys.readouterr().out

    short_config.data.dataset, short_config.objective = "haa500/two", "composite"
    short_config.init_from, short_config.optimizer.trainable = str(tmp_path / "first"), LAST
    train.train_and_evaluate(short_config, tmp_path / "second")
    before, after = read_tensors(tmp_path / "first"), read_tensors(tmp_path / "second")
    frozen = [name for name in after if not freeze.is_trainable(name.split("/"), LAST)]
    assert len(frozen) > 20
    assert any(name.endswith("batch_norm/mean") for name in frozen)
    assert all(np.array_equal(before[name], after[name]) for name in frozen)
    changed = [name for name in after if name not in frozen and not np.array_equal(before.get(name), after[name])]
    assert len(changed) == len(after) - len(frozen)
    assert after["Logits/composite/kernel"].shape[-1] != before["Logits/atomic/kernel"].shape[-1]

    short_config.model.width = 0.0625  # a wider network does not fit
    wider = create_experiment(short_config).abstract_state
    shapes = {name: tensor.shape for name, tensor in before.items()}
    fit = importer.match(shapes, "i3d", {"params": wider.params, "batch_stats": wider.batch_stats})
    assert ("Conv3d_1a_7x7/conv_3d/kernel", (7, 7, 7, 3, 3), (7, 7, 7, 3, 4)) in fit.mismatched


def test_a_workdir_without_checkpoints_is_no_start(tmp_path):
    (tmp_path / "empty" / checkpoint_reader.FOLDER).mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"empty: .*checkpoints holds no checkpoint"):
        read_tensors(tmp_path / "empty")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint_reader.read_variables(tmp_path / "empty")


def test_another_dataset_is_validated_and_tested_on(short_config, other_dir, tmp_path):
    short_config.eval.dataset, short_config.eval.every_epochs = "haa500/two", 1.0
    experiment = create_experiment(short_config)
    assert {name: len(split) for name, split in experiment.splits.items()} == {"train": 64, "validation": 2, "test": 6}
    results = train.train_and_evaluate(short_config, tmp_path)
    assert results["heads"]["atomic"]["top1"]["count"] == 6
    assert experiment.meta["eval_dataset"] == "haa500/two/1.1.0"


def test_a_dataset_of_other_classes_is_refused(short_config, archive_dir, data_dir, tmp_path):
    lines = taxonomy.HAA500_CSV.read_text()
    (tmp_path / "table.csv").write_text(lines.replace("CPR,daily_actions", "CPR,games_hobbies", 1))
    config = Haa500Config(name="regrouped", classes=("CPR",), class_table=str(tmp_path / "table.csv"))
    manual = tfds.download.DownloadConfig(manual_dir=str(archive_dir))
    Builder(config=config, data_dir=data_dir).download_and_prepare(download_config=manual)
    short_config.eval.dataset = "haa500/regrouped"
    with pytest.raises(DatasetError, match=r"regrouped/1.1.0 and haa500/tiny/1.1.0 have .*CPR/.*games_hobbies"):
        create_experiment(short_config)
