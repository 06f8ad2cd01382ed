"""Missing, truncated and foreign files of a built dataset: reported before training, or when they are read."""

import contextlib
import re
import shutil

import jax
import pytest

from haa_jax.data import dataset
from haa_jax.experiment import create_experiment
from haa_jax.learning import objectives
from haa_jax.runtime import paths
from tfds_haa500 import records

NAME = "haa500/tiny"
VERSION, OLDER = '"version": "1.1.0"', '"version": "1.0.0"'


@pytest.fixture
def folder(data_dir, tmp_path, tiny_config, shallow_i3d):
    """The files of a copy of the dataset, which `tiny_config` names."""
    shutil.copytree(data_dir, tmp_path / "data")
    tiny_config.data.data_dir = str(tmp_path / "data")
    return tmp_path / "data" / NAME / "1.1.0"


def shard(folder, split="train"):
    (path,) = folder.glob(f"haa500-{split}.tfrecord*")
    return path


def edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def test_an_undamaged_dataset(folder, tiny_config):
    assert len(create_experiment(tiny_config).splits["train"]) == 64


@pytest.mark.parametrize("lost", [1, 100, 600_000])
def test_a_truncated_shard_is_named_before_anything_runs(folder, tiny_config, lost):
    shard(folder).write_bytes(shard(folder).read_bytes()[:-lost])
    with pytest.raises(records.RecordError, match=f"shard truncated: .*{shard(folder).name}"):
        create_experiment(tiny_config)


def test_a_shard_that_grew(folder, tiny_config):
    shard(folder).write_bytes(shard(folder).read_bytes() + b"x")
    with pytest.raises(records.RecordError, match=f"shard damaged: .*{shard(folder).name} has .* bytes, not"):
        create_experiment(tiny_config)


def test_a_shard_that_is_missing(folder, tiny_config):
    name = shard(folder).name
    shard(folder).unlink()
    with pytest.raises(records.RecordError, match=f"shard missing: .*{name}"):
        create_experiment(tiny_config)


@pytest.mark.parametrize(("remote", "process", "checks"), [(True, 0, True), (True, 1, False), (False, 1, True)])
def test_of_processes_that_share_a_bucket_one_looks_at_its_shards(
    folder, tiny_config, monkeypatch, remote, process, checks
):
    shard(folder).unlink()
    builder = dataset.open_builder(NAME, tiny_config.data.data_dir)
    heads = objectives.make_heads("atomic", dataset.read_taxonomy(builder), "")
    monkeypatch.setattr(paths, "is_local", lambda path: not remote)
    monkeypatch.setattr(jax, "process_index", lambda: process)
    with pytest.raises(records.RecordError, match="shard missing") if checks else contextlib.nullcontext():
        dataset.open_split(builder, "train", heads)


def test_a_shard_of_another_split(folder, tiny_config):
    shutil.copy(shard(folder, "test"), shard(folder, "validation"))
    with pytest.raises(records.RecordError, match="haa500-validation"):
        create_experiment(tiny_config)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_truncated_index_never_makes_an_epoch_shorter(folder, tiny_config, split):
    index = folder / records.INDEX_FILE
    rows = index.read_text().splitlines(keepends=True)
    rows.remove([row for row in rows if row.startswith(f"{split},")][-1])
    index.write_text("".join(rows))
    with pytest.raises(records.RecordError, match=f"{records.INDEX_FILE} has .* clips of split '{split}', not"):
        create_experiment(tiny_config)


def test_an_index_with_a_wrong_label_is_noticed_when_the_clip_is_read(folder, tiny_config):
    index = folder / records.INDEX_FILE
    row = next(row for row in index.read_text().splitlines() if ",CPR_003," in row)
    parts = row.split(",")
    parts[4] = str(int(parts[4]) + 1)
    edit(index, row, ",".join(parts))
    split = create_experiment(tiny_config).splits["train"]
    with pytest.raises(records.RecordError, match="holds .'CPR_003', .* do not belong together"):
        split.reader[split.index.clip_id.index("CPR_003")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: edit(f / "dataset_info.json", VERSION, OLDER), r"holds version 1.0.0, its folder says 1.1.0"),
        (lambda f: f.rename(f.parent / "1.0.0"), r"holds version .*, its folder says 1.0.0, and this is version 1.1.0"),
        (lambda f: (f / "dataset_info.json").unlink(), "Could not read dataset info"),
        (lambda f: edit(f / "dataset_info.json", '"splits"', '"spli'), "Failed to load JSON"),
        (lambda f: edit(f / "features.json", '"video"', '"vid'), "is not a dataset, or not built"),
        (lambda f: (f / "features.json").unlink(), "is not a dataset, or not built"),
    ],
)
def test_damaged_metadata_and_metadata_of_another_version(folder, tiny_config, change, message):
    change(folder)
    with pytest.raises(dataset.DatasetError, match=message) as raised:
        create_experiment(tiny_config)
    assert re.search("build it with\n.*tfds_haa500.build", str(raised.value))


def test_a_dataset_of_an_older_version(folder, tiny_config):
    edit(folder / "dataset_info.json", VERSION, OLDER)
    folder.rename(folder.parent / "1.0.0")
    with pytest.raises(dataset.DatasetError, match="holds version 1.0.0, .* this is version 1.1.0 of haa500"):
        create_experiment(tiny_config)


def test_missing_metadata(folder, tiny_config):
    (folder / "metadata.json").unlink()
    with pytest.raises(dataset.DatasetError, match="metadata.json"):
        create_experiment(tiny_config)
