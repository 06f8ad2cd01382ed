import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_haa500
from tests.conftest import CLASSES, REAL_CLASS, write_archive
from tfds_haa500 import archive, haa500_dataset_builder, records


class Haa500Test(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks of a builder."""

    DATASET_CLASS = haa500_dataset_builder.Builder
    SPLITS = {"train": 64, "validation": 4, "test": 12}  # noqa: RUF012
    BUILDER_CONFIG_NAMES_TO_TEST = [tfds_haa500.Haa500Config(name="four", classes=CLASSES)]  # noqa: RUF012
    SKIP_CHECKSUMS = True

    @classmethod
    def setUpClass(cls):
        import pathlib
        import tempfile

        cls._folder = tempfile.TemporaryDirectory()
        write_archive(pathlib.Path(cls._folder.name) / "haa500_v1_1")
        cls.EXAMPLE_DIR = cls._folder.name
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls._folder.cleanup()


@pytest.fixture(scope="module")
def builder(data_dir):
    return tfds.builder("haa500/tiny", data_dir=data_dir)


def build(config, manual_dir, data_dir, **options):
    builder = tfds_haa500.Builder(config=config, data_dir=str(data_dir))
    download = tfds.download.DownloadConfig(manual_dir=str(manual_dir))
    builder.download_and_prepare(download_config=download, **options)
    return builder


def test_features_of_an_example(builder):
    examples = {e["clip_id"].numpy().decode(): e for e in builder.as_dataset(split="train")}
    assert len(examples) == 64
    example = examples["play_ otamatone_007"]
    assert example["video"].shape == (12, 48, 64, 3)
    assert example["video"].dtype == np.uint8
    assert builder.info.features["label"].int2str(int(example["label"])) == "play_ otamatone"
    assert int(example["label"]) == 260  # of all 500, though only four were packaged
    assert builder.info.features["area"].int2str(int(example["area"])) == "games_hobbies"
    assert float(example["fps"]) == 10.0
    assert (float(example["start"]), float(example["end"])) == pytest.approx((7.5, 7.512))
    assert (bool(example["camera_moving"]), int(example["num_people"])) == (True, 1)
    assert example["youtube_url"].numpy() == b"https://www.youtube.com/watch?v=test7"


def test_splits_hold_the_right_clips(builder):
    for split, numbers in archive.SPLITS.items():
        ids = {e["clip_id"].numpy().decode() for e in builder.as_dataset(split=split)}
        assert ids == {f"{name}_{number:03d}" for name in CLASSES for number in numbers}


def test_bad_videos_of_all_splits_are_listed_and_nothing_is_left(tmp_path, archive_dir):
    root = shutil.copytree(archive_dir, tmp_path / "haa500_v1_1")
    good = (root / "video" / "CPR" / "CPR_003.mp4").read_bytes()
    (root / "video" / "CPR" / "CPR_003.mp4").write_bytes(good[: len(good) // 2])
    (root / "video" / "play_erhu" / "play_erhu_016.mp4").write_bytes(b"")
    (root / "video" / "play_erhu" / "play_erhu_019.mp4").write_bytes(b"nonsense" * 100)
    with pytest.raises(archive.ArchiveError) as error:
        build(tfds_haa500.Haa500Config(name="bad", classes=CLASSES), root, tmp_path / "data")
    assert [problem.split(":")[0] for problem in error.value.problems] == [
        "video/CPR/CPR_003.mp4",
        "video/play_erhu/play_erhu_016.mp4",
        "video/play_erhu/play_erhu_019.mp4",
    ]
    assert "the file is empty" in error.value.problems[1]
    assert not list((tmp_path / "data" / "haa500" / "bad").iterdir())


def test_without_tensorflow_from_array_records(tmp_path, archive_dir):
    pytest.importorskip("array_record")
    config = tfds_haa500.Haa500Config(name="random_access", classes=("CPR",))
    build(config, archive_dir, tmp_path, file_format="array_record")
    code = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
hidden = lambda cls, name, *rest: None if name.split(".")[0] == "tensorflow" else find(name, *rest)
PathFinder.find_spec = classmethod(hidden)
import numpy as np
import tensorflow_datasets as tfds
source = tfds.builder_from_directory({str(tmp_path / "haa500/random_access/1.1.0")!r}).as_data_source("test")
print(len(source), sorted(np.stack(example["video"]).shape for example in source))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "3 [(22, 48, 64, 3), (23, 48, 64, 3), (24, 48, 64, 3)]" in done.stdout, done.stderr


def test_the_data_half_imports_no_jax():
    code = "import sys, tfds_haa500, tfds_haa500.records; sys.exit(any(m in sys.modules for m in ('jax', 'flax')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


def test_command_line(tmp_path, archive_dir):
    def run(*arguments):
        command = [sys.executable, "-m", "tfds_haa500.build", f"--data_dir={tmp_path}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(f"--manual_dir={archive_dir}", "--classes=CPR", "--name=one")
    assert done.returncode == 0, done.stderr
    assert "haa500/one/1.1.0: 20 clips (16 train, 1 validation, 3 test)" in done.stdout
    assert "100%" in done.stderr
    done = run()
    assert done.returncode == 1
    assert "haa500_v1_1.zip" in done.stdout + done.stderr
    done = run(f"--manual_dir={tmp_path}")
    assert done.returncode == 1
    assert "no raw/ and video/ here" in done.stderr
    assert run("stray").returncode == 1


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real class is not on this machine")
def test_the_real_class_as_any_project_would_load_it(tmp_path):
    build(tfds_haa500.Haa500Config(name="pushup", classes=("pushup",)), REAL_CLASS, tmp_path)
    splits, info = tfds.load("haa500/pushup", data_dir=str(tmp_path), with_info=True)
    assert {name: info.splits[name].num_examples for name in splits} == {"train": 16, "validation": 1, "test": 3}
    lengths = {e["clip_id"].numpy().decode(): e["video"].shape[0] for e in splits["test"]}
    assert lengths == {"pushup_017": 85, "pushup_018": 34, "pushup_019": 44}
    assert {int(e["label"]) for e in splits["train"]} == {331}
