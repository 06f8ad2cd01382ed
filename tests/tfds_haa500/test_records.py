"""Random access to stored clips, from several processes too, and shards that are damaged."""

import io
import json
import multiprocessing
import pickle
import shutil
import urllib.request

import pytest
import tensorflow_datasets as tfds
from etils import epath

from tfds_haa500 import records
from tfds_haa500.runtime.bucket import upload


@pytest.fixture(scope="module")
def builder(data_dir):
    return tfds.builder("haa500/tiny", data_dir=data_dir)


def test_index_says_where_every_clip_is(builder):
    for split, count in {"train": 64, "validation": 4, "test": 12}.items():
        index = records.read_index(builder.data_path, split)
        reader = records.ClipReader(builder.data_path, builder.info.features, index)
        assert len(reader) == count
        for i in (0, count // 2, count - 1):
            example = reader[i]
            assert example["clip_id"].decode() == index.clip_id[i]
            assert (example["label"], example["area"]) == (index.label[i], index.area[i])
            assert len(example["video"]) == index.num_frames[i] == 5 + int(index.clip_id[i][-3:])


def test_damaged_shards_are_named(tmp_path, builder):
    data_path = shutil.copytree(builder.data_path, tmp_path / "copy")
    index = records.read_index(data_path, "train")
    reader = records.ClipReader(data_path, builder.info.features, index)
    shard = data_path / index.shard[0]
    whole = shard.read_bytes()

    flipped = bytearray(whole)
    flipped[int(index.offset[5]) + 500] ^= 1
    shard.write_bytes(flipped)
    assert reader[4]
    with pytest.raises(records.RecordError, match=f"damaged: .*{shard.name} at byte {index.offset[5]}"):
        reader[5]
    shard.write_bytes(whole[: int(index.offset[63]) + 100])
    with pytest.raises(records.RecordError, match=f"truncated: .*{shard.name}"):
        reader[63]
    shard.unlink()
    with pytest.raises(records.RecordError, match=f"missing: .*{shard.name}"):
        reader[0]


def test_a_clip_in_a_bucket_is_read_by_two_requests_and_damage_is_named(builder, bucket, object_store):
    upload(builder.data_path, f"{bucket}/haa500/tiny/1.1.0")
    there = tfds.builder("haa500/tiny", data_dir=bucket)
    here, reader = records.open_reader(builder, "train"), records.open_reader(there, "train")
    before = requests_of(object_store)
    for i in (63, 0, 5):
        assert list(reader[i]["video"]) == list(here[i]["video"])
    assert requests_of(object_store) == before + 6

    shard = epath.Path(there.data_path) / reader.index.shard[0]
    whole = shard.read_bytes()
    for keep in (int(reader.index.offset[63]) + 100, int(reader.index.offset[63]) - 1):
        shard.write_bytes(whole[:keep])
        with pytest.raises(records.RecordError, match=f"truncated: gs://.*{shard.name}"):
            reader[63]
        with pytest.raises(records.RecordError, match=f"truncated: gs://.*{shard.name}"):
            records.checked_index(there, "train")
    shard.unlink()
    with pytest.raises(records.RecordError, match=f"missing: gs://.*{shard.name}"):
        reader[0]


def requests_of(object_store: str) -> int:
    with urllib.request.urlopen(f"{object_store}/control") as answer:
        return json.load(answer).get("requests", 0)


def read_all(reader, expected: list[bytes], rounds: int) -> None:
    """Reads clips again and again; what differs ends the process with an error."""
    for i in list(range(len(expected))) * rounds:
        assert reader[i]["clip_id"] == expected[i]


def test_a_reader_opened_before_a_fork_is_safe_in_all_processes(builder):
    # As a PyTorch DataLoader does by default: no position in a file may be shared.
    reader = records.open_reader(builder, "test")
    expected = [reader[i]["clip_id"] for i in range(len(reader))]
    processes = [
        multiprocessing.get_context("fork").Process(target=read_all, args=(reader, expected, 20)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    read_all(reader, expected, 20)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_a_reader_can_be_pickled(builder):
    # For processes that are started by spawn, and for grain's.
    reader = records.open_reader(builder, "validation")
    assert pickle.loads(pickle.dumps(reader))[3]["clip_id"] == reader[3]["clip_id"]


def test_a_reader_is_a_source_of_grain(builder):
    grain = pytest.importorskip("grain", reason="grain is not installed: pip install .[grain]")
    reader = records.open_reader(builder, "train")
    clips = grain.MapDataset.source(reader).seed(0).shuffle().map(lambda clip: clip["clip_id"].decode()).batch(16)
    shown = [clip_id for batch in clips for clip_id in batch]
    assert len(clips) == 4
    assert shown != reader.index.clip_id
    assert sorted(shown) == sorted(reader.index.clip_id)


def test_the_size_of_a_file_whose_seek_returns_nothing_as_in_a_bucket():
    class Object(io.BytesIO):
        def seek(self, *arguments):
            super().seek(*arguments)

    assert records._size(Object(b"12345")) == 5
