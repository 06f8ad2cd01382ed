"""Random access to stored clips, and shards that are damaged."""

import shutil

import pytest
import tensorflow_datasets as tfds

from tfds_haa500 import records


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
