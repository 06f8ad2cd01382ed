import pytest
import tensorflow_datasets as tfds

from haa_jax.data import dataset


def test_an_error_that_says_nothing_is_named(monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(tfds, "builder", fails)
    with pytest.raises(
        dataset.DatasetError, match=r"not built \(MemoryError\); build it with\n  python -m tfds_haa500"
    ):
        dataset.open_builder("haa500/demo")


def test_data_dir_as_people_type_it(data_dir, monkeypatch):
    assert str(dataset.open_builder("haa500/tiny", f"file://{data_dir}").data_dir).startswith(data_dir)
    home, _, name = data_dir.rpartition("/")
    monkeypatch.setenv("HOME", home)
    assert str(dataset.open_builder("haa500/tiny", f"~/{name}").data_dir).startswith(data_dir)
