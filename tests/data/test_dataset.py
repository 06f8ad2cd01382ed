import types

import pytest
import tensorflow_datasets as tfds

from haa_jax.configs import base
from haa_jax.data import dataset
from tfds_haa500 import taxonomy


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset.open_builder("haa500/tiny", data_dir)


def test_an_error_without_a_message_is_named(monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(tfds, "builder", fails)
    with pytest.raises(
        dataset.DatasetError, match=r"not built \(MemoryError\); build it with\n  python -m tfds_haa500"
    ):
        dataset.open_builder("haa500/demo")


def test_data_dir_as_a_url_and_with_a_tilde(data_dir, monkeypatch):
    assert str(dataset.open_builder("haa500/tiny", f"file://{data_dir}").data_dir).startswith(data_dir)
    home, _, name = data_dir.rpartition("/")
    monkeypatch.setenv("HOME", home)
    assert str(dataset.open_builder("haa500/tiny", f"~/{name}").data_dir).startswith(data_dir)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("haa500/demo", "build it with\n.*--config=demo"),
        ("haa500/rgb", "--manual_dir=DIR"),
        ("nothing", "not a dataset"),
    ],
)
def test_a_missing_dataset(tmp_path, name, message):
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.open_builder(name, str(tmp_path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stream": "flow"}, "'flow' needs flow_x, flow_y, which haa500/tiny.* lacks; .*\n.*--streams=flow --name"),
        ({"stream": "pose"}, "'pose' needs pose, which .*\n.*--streams=pose"),
        ({"stream": "skeleton"}, "'skeleton' needs pose, which .*\n.*--streams=pose"),
        ({"stream": "rgb+objects"}, "'rgb.objects' needs objects, which .*\n.*--streams=objects"),
        ({"person_crop": 1.2}, "'rgb', config.data.person_crop=1.2 needs person_box, which .*\n.*--streams=boxes"),
    ],
)
def test_a_stream_that_the_dataset_lacks(builder, tiny_config, fields, message):
    dataset.check_stream(builder, tiny_config.data)
    tiny_config.data.update(fields)
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.check_stream(builder, tiny_config.data)


def test_fingerprint_is_that_of_the_contents(builder, data_dir):
    again = dataset.open_builder("haa500/tiny", data_dir)
    assert dataset.fingerprint(builder) == dataset.fingerprint(again)
    assert len(dataset.fingerprint(builder)) == 16


def test_a_dataset_of_another_builder_names_those_that_have_a_command(tmp_path, monkeypatch):
    with pytest.raises(dataset.DatasetError, match="of its builder; this project builds haa500, clip_folder"):
        dataset.open_builder("own/rgb", str(tmp_path))
    monkeypatch.setitem(dataset.BUILD_COMMANDS, "own", lambda config: f"make own CONFIG={config}")
    with pytest.raises(dataset.DatasetError, match=f"build it with\n  make own CONFIG=rgb --data_dir={tmp_path}"):
        dataset.open_builder("own/rgb", str(tmp_path))


def test_the_command_for_a_folder_of_clips_with_another_stream():
    own = types.SimpleNamespace(features={"video": None}, full_name="clip_folder/mine/1.0.0")
    data = base.get_config().data
    data.stream = "pose"
    message = "clip_folder/NAME:\n  python -m tfds_haa500.build_folder --dir=DIR --name=NAME --streams=pose$"
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.check_stream(types.SimpleNamespace(info=own, name="clip_folder"), data)


def test_classes_are_the_same_wherever_their_tables_have_them_from(monkeypatch):
    def table(areas, sources):
        info = types.SimpleNamespace(full_name="of a test")
        return types.SimpleNamespace(info=info, table=taxonomy.Taxonomy(("a", "b"), areas, ("c", "c"), sources))

    monkeypatch.setattr(dataset, "read_taxonomy", lambda builder: builder.table)
    one = table(("x", "x"), ("paper", "inferred"))
    dataset.check_same_classes(one, table(("x", "x"), ("paper 4.1", "own")))
    with pytest.raises(dataset.DatasetError, match="have different classes; .*: b/c/x, b/c/y"):
        dataset.check_same_classes(one, table(("x", "y"), ("paper", "inferred")))
