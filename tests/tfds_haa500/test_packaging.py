"""Streams that somebody adds to STREAMS are found, computed, read, checked and stored by both builders."""

import shutil

import numpy as np
import pytest

import tfds_haa500
from tests.conftest import numbered_frame, write_video
from tests.tfds_haa500 import toy_streams
from tests.tfds_haa500.test_haa500_dataset_builder import build
from tfds_haa500 import streams
from tfds_haa500.problems import BuildError

TOYS = ("remark", "brightness")


@pytest.fixture
def _toys(monkeypatch):
    monkeypatch.setitem(streams.STREAMS, "brightness", toy_streams.BRIGHTNESS)
    monkeypatch.setitem(streams.STREAMS, "remark", toy_streams.REMARK)


def check(example, num_frames: int) -> None:
    expected = [numbered_frame(t).mean() for t in range(num_frames)]
    np.testing.assert_allclose(example["brightness"].numpy(), expected, atol=2)
    assert example["remark"].numpy().decode() == f"a remark of {num_frames} frames"


@pytest.mark.usefixtures("_toys")
def test_a_new_stream_of_the_release(tmp_path, archive_dir):
    root = shutil.copytree(archive_dir, tmp_path / "haa500_v1_1")
    (root / "remark" / "CPR").mkdir(parents=True)
    for k in range(20):
        (root / "remark" / "CPR" / f"CPR_{k:03d}.txt").write_text("a remark")
    config = tfds_haa500.Haa500Config(name="toy", classes=("CPR",), streams=TOYS)
    built = build(config, root, tmp_path / "data")
    assert built.info.metadata["brightness"] == {"method": "mean"}
    for example in built.as_dataset(split="test"):
        check(example, 5 + int(example["clip_id"].numpy()[-3:]))
    (root / "remark" / "CPR" / "CPR_018.txt").write_text("")
    (root / "video" / "CPR" / "CPR_002.mp4").write_bytes(b"")
    with pytest.raises(BuildError) as error:
        build(config, root, tmp_path / "other")
    assert error.value.problems == ["video/CPR/CPR_002.mp4: the file is empty", "remark/CPR/CPR_018.txt: is empty"]
    (root / "remark" / "CPR" / "CPR_003.txt").unlink()
    with pytest.raises(BuildError, match=r"remark/CPR/CPR_003.txt: no such file"):
        build(config, root, tmp_path / "other")


@pytest.mark.usefixtures("_toys")
def test_a_new_stream_of_a_folder(tmp_path):
    for folder in ("train/run", "remark/train/run"):
        (tmp_path / folder).mkdir(parents=True)
    write_video(tmp_path / "train" / "run" / "a.mp4", 6)
    (tmp_path / "remark" / "train" / "run" / "a.txt").write_text("a remark")
    config = tfds_haa500.ClipFolderConfig(name="toy", folder=str(tmp_path), streams=TOYS)
    builder = tfds_haa500.ClipFolderBuilder(config=config, data_dir=str(tmp_path / "data"))
    builder.download_and_prepare()
    (example,) = builder.as_dataset(split="train")
    check(example, 6)
