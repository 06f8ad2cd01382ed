"""A dataset in a bucket is all there or none; see object_store.py for the bucket."""

import shutil

import pytest
import tensorflow_datasets as tfds
from etils import epath

from haa_jax.data import dataset
from tests.conftest import CLASSES
from tfds_haa500 import Builder, Haa500Config, records
from tfds_haa500.runtime import bucket as buckets


class Killed(BaseException):
    pass


def tiny(data_dir) -> Builder:
    return Builder(config=Haa500Config(name="tiny", classes=CLASSES), data_dir=str(data_dir))


PATH = type(epath.Path())


@pytest.fixture
def uploads(monkeypatch) -> list[str]:
    """The names of what is uploaded, in order."""
    names, copy = [], PATH.copy

    def recorded(self, target, **options):
        names.append(epath.Path(target).name)
        return copy(self, target, **options)

    monkeypatch.setattr(PATH, "copy", recorded)
    return names


def killed_at_the_last(self, target, **options):
    if epath.Path(target).name == buckets.LAST:
        raise Killed
    epath.Path(target).write_bytes(self.read_bytes())


def test_a_killed_upload_leaves_no_dataset_and_the_next_build_replaces_it(bucket, data_dir, monkeypatch, uploads):
    here = tfds.builder("haa500/tiny", data_dir=data_dir)
    monkeypatch.setattr(Builder, "_download_and_prepare", lambda self, **_: built_before(self, here))
    with monkeypatch.context() as patched:
        patched.setattr(PATH, "copy", killed_at_the_last)
        with pytest.raises(Killed):
            tiny(bucket).download_and_prepare()
    left = tiny(bucket)
    assert (left.data_path / records.INDEX_FILE).exists()
    assert not left.info.splits
    with pytest.raises(dataset.DatasetError, match="build it with"):
        dataset.open_builder("haa500/tiny", bucket)
    (left.data_path / "haa500-train.tfrecord-00000-of-00009").write_bytes(b"of another build")

    builder = tiny(bucket)
    builder.download_and_prepare()
    assert uploads[-1] == buckets.LAST
    assert {path.name for path in builder.data_path.iterdir()} == {path.name for path in here.data_path.iterdir()}
    for there in (builder, dataset.open_builder("haa500/tiny", bucket)):
        assert len(records.open_reader(there, "train")) == 64
    uploads.clear()
    builder.download_and_prepare()
    assert not uploads  # it is there


def built_before(builder, here) -> None:
    """In place of the build itself, whose tests are elsewhere."""
    shutil.copytree(here.data_path, builder.data_path, dirs_exist_ok=True)
    builder.info.read_from_directory(builder.data_path)
