"""The release as a dataset: its features, splits and streams, and everything that can be wrong with its files."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_haa500
from tests.conftest import CLASSES, REAL_CLASS, numbered_frame, write_archive, write_video
from tfds_haa500 import haa500_dataset_builder, records
from tfds_haa500.problems import BuildError
from tfds_haa500.runtime import parallel
from tfds_haa500.sources import archive
from tfds_haa500.streams import flow


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
    assert builder.info.features["label"].num_classes == 500
    assert builder.info.features["area"].int2str(int(example["area"])) == "games_hobbies"
    assert float(example["fps"]) == 10.0
    assert (float(example["start"]), float(example["end"])) == pytest.approx((7.5, 7.512))
    assert (bool(example["camera_moving"]), int(example["num_people"])) == (True, 1)
    assert example["youtube_url"].numpy() == b"https://www.youtube.com/watch?v=test7"


def test_splits_hold_the_right_clips(builder):
    for split, numbers in archive.SPLITS.items():
        ids = {e["clip_id"].numpy().decode() for e in builder.as_dataset(split=split)}
        assert ids == {f"{name}_{number:03d}" for name in CLASSES for number in numbers}


def joint_values(k: int, t: int) -> list[float]:
    """51 numbers, different in every clip and frame; x goes through the frame's 64 pixels, y through its 48."""
    joint = np.arange(17)
    return [float(v) for v in np.stack([joint + 2 * t, joint + k, joint / 17], axis=1).ravel()]


@pytest.fixture(scope="module")
def with_poses(tmp_path_factory, archive_dir):
    """The archive with poses of CPR: one person in every frame but the first, a lesser one in the last."""
    root = shutil.copytree(archive_dir, tmp_path_factory.mktemp("poses") / "haa500_v1_1")
    (root / "pose" / "CPR").mkdir(parents=True)
    for k in range(20):
        last = 4 + k
        people = [{"image_id": f"{last}.jpg", "keypoints": [0.5] * 51, "score": 0.3}]
        people += [{"image_id": f"{t}.jpg", "keypoints": joint_values(k, t), "score": 2.9} for t in range(1, last + 1)]
        (root / "pose" / "CPR" / f"CPR_{k:03d}.json").write_text(json.dumps(people))
    return root


STREAMS_CONFIG = tfds_haa500.Haa500Config(name="streams", classes=("CPR",), streams=("flow", "pose"))


@pytest.fixture(scope="module")
def streams_builder(tmp_path_factory, with_poses):
    return build(STREAMS_CONFIG, with_poses, tmp_path_factory.mktemp("streams"))


def test_streams_are_stored_with_the_frames(streams_builder):
    for example in streams_builder.as_dataset(split="test"):
        k = int(example["clip_id"].numpy()[-3:])
        frames = 5 + k
        assert example["video"].shape == (frames, 48, 64, 3)
        assert example["pose"].shape == (frames, 2, 17, 3)
        assert example["flow_x"].shape == example["flow_y"].shape == (frames - 1, 48, 64, 1)
        assert example["flow_x"].dtype == np.uint8
        poses = example["pose"].numpy()
        assert not poses[0].any()
        assert not poses[1:-1, 1].any()
        for t in range(1, frames):
            expected = np.reshape(joint_values(k, t), (17, 3)) / (64, 48, 1)
            assert poses[t, 0] == pytest.approx(expected, abs=1e-6)
        assert poses[-1, 1] == pytest.approx(np.tile([0.5 / 64, 0.5 / 48, 0.5], (17, 1)))


def test_streams_without_decoding(streams_builder):
    index = records.read_index(streams_builder.data_path, "validation")
    example = records.ClipReader(streams_builder.data_path, streams_builder.info.features, index)[0]
    assert (len(example["video"]), len(example["flow_x"]), len(example["flow_y"])) == (21, 20, 20)
    assert all(jpeg.startswith(b"\xff\xd8") for key in ("video", "flow_x", "flow_y") for jpeg in example[key])
    assert example["pose"].shape == (21, 2, 17, 3)
    assert example["pose"].dtype == np.float32


def test_metadata_say_how_to_read_the_streams(streams_builder, builder):
    loaded = tfds.builder("haa500/streams", data_dir=streams_builder.data_path.parent.parent.parent)
    metadata = loaded.info.metadata
    assert metadata["streams"] == ["flow", "pose"]
    assert metadata["flow"] == {"method": "dis", "bound": 20.0, "decode": flow.DECODE}
    scope = {"level": np.arange(256)}
    exec(metadata["flow"]["decode"], scope)
    assert scope["pixels"] == pytest.approx(flow.to_pixels(np.arange(256)), abs=1e-5)
    assert metadata["pose"]["joints"][9] == "left_wrist"
    assert builder.info.metadata["streams"] == []
    assert not {"flow_x", "flow_y", "pose"} & set(builder.info.features)


def test_bad_poses_and_videos_of_all_splits_are_listed_and_nothing_is_left(tmp_path, with_poses):
    root = shutil.copytree(with_poses, tmp_path / "haa500_v1_1")
    (root / "pose" / "CPR" / "CPR_002.json").write_text("{")
    late = [{"image_id": t, "keypoints": [0.5] * n, "score": 1} for t, n in ((30, 51), (0, 54), (1, 54))]
    (root / "pose" / "CPR" / "CPR_016.json").write_text(json.dumps(late))
    (root / "video" / "CPR" / "CPR_019.mp4").write_bytes(b"")
    with pytest.raises(BuildError) as error:
        build(STREAMS_CONFIG, root, tmp_path / "data")
    expected = [
        "pose/CPR/CPR_002.json: is not JSON",
        "pose/CPR/CPR_016.json: entry 1 has 54 numbers as keypoints, must have 51 (x, y, score of the 17 COCO joints)"
        " (and 1 more entries)",
        "pose/CPR/CPR_016.json: has frames 30, but the clip's are 0 to 20",
        "video/CPR/CPR_019.mp4: the file is empty",
    ]
    for problem, start in zip(error.value.problems, expected, strict=True):
        assert problem.startswith(start)
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def with_everything(tmp_path_factory, archive_dir):
    """The archive with boxes, objects and the user's own flow of CPR, next to the release; clip 000 has no object."""
    manual = tmp_path_factory.mktemp("everything")
    shutil.copytree(archive_dir, manual / "haa500_v1_1")
    for k in range(20):
        folders = [manual / side / "CPR" for side in ("boxes", "objects", "flow")]
        for folder in (*folders, folders[2] / f"CPR_{k:03d}"):
            folder.mkdir(parents=True, exist_ok=True)
        rows = [f"{t},{t},6,{10 + k},24" for t in range(5 + k)]
        (folders[0] / f"CPR_{k:03d}.csv").write_text("\n".join(["frame,x,y,width,height", *rows]))
        found = [
            {"image_id": t, "category_id": (1, 44, 46, 47, 48)[t], "bbox": [0, 0, 32, 12], "score": 0.5}
            for t in range(5)
            if k
        ]
        (folders[1] / f"CPR_{k:03d}.json").write_text(json.dumps(found))
        for t in range(4 + k):
            for axis, level in (("x", 100 + t), ("y", 50 + k)):
                name = f"flow_{axis}_{t + 1:05d}.png"
                cv2.imwrite(str(folders[2] / f"CPR_{k:03d}" / name), np.full((48, 64), level, np.uint8))
    return manual


EVERYTHING = tfds_haa500.Haa500Config(
    name="everything", classes=("CPR",), streams=("flow", "boxes", "objects"), flow_method="images"
)


def test_boxes_objects_and_flow_of_ones_own(tmp_path, with_everything):
    built = build(EVERYTHING, with_everything, tmp_path)
    assert built.info.metadata["objects"]["groups"][4] == "cutlery"
    assert built.info.metadata["flow"]["method"] == "images"
    for split in ("train", "test"):
        for example in built.as_dataset(split=split):
            k = int(example["clip_id"].numpy()[-3:])
            boxes = [[t / 64, 6 / 48, (10 + k) / 64, 0.5] for t in range(5 + k)]
            np.testing.assert_allclose(example["person_box"].numpy(), boxes, atol=1e-6)
            objects = [[4.0, 4, 0, 0, 0.5, 0.25, 0.5]] if k else np.zeros((0, 7))  # only 48, the fork, is in a group
            np.testing.assert_allclose(example["objects"].numpy(), objects, atol=1e-6)
            levels = example["flow_x"].numpy()[..., 0].mean((1, 2))
            np.testing.assert_allclose(levels, 100 + np.arange(4 + k), atol=1)
            np.testing.assert_allclose(example["flow_y"].numpy().mean(), 50 + k, atol=1)


def test_every_problem_of_the_files_of_a_clip_is_listed(tmp_path, with_everything):
    manual = shutil.copytree(with_everything, tmp_path / "manual")
    (manual / "boxes" / "CPR" / "CPR_001.csv").write_text("frame,x,y,width,height\n0,0,0,80,10\n")
    (manual / "objects" / "CPR" / "CPR_001.json").write_text(
        '[{"image_id": 9, "category_id": 12, "bbox": 1, "score": 1}]'
    )
    (manual / "flow" / "CPR" / "CPR_002" / "flow_x_00006.png").unlink()
    cv2.imwrite(str(manual / "flow" / "CPR" / "CPR_017" / "flow_y_00003.png"), np.zeros((30, 64), np.uint8))
    with pytest.raises(BuildError) as error:
        build(EVERYTHING, manual, tmp_path / "data")
    expected = [
        "boxes/CPR/CPR_001.csv: line 2 has a box from (0, 0) to (80, 10), outside the frame of 64x48 pixels",
        "objects/CPR/CPR_001.json: entry 0 has category_id 12, which is none of COCO's 80",
        "objects/CPR/CPR_001.json: has frames 9, but the clip's are 0 to 5",
        "flow/CPR/CPR_002: flow_x lacks 6 (a clip of 7 frames has 6 fields)",
        "flow/CPR/CPR_017: flow_y_00003.png has 64x30 pixels, the clip's frames are stored with 64x48",
    ]
    for problem, start in zip(error.value.problems, expected, strict=True):
        assert problem.startswith(start)


def test_flow_of_ones_own_in_a_zip_file(tmp_path, with_everything):
    release = tmp_path / "haa500_v1_1"
    shutil.copytree(with_everything / "haa500_v1_1", release)
    shutil.copytree(with_everything / "flow", release / "flow")
    shutil.make_archive(str(release), "zip", tmp_path, "haa500_v1_1")
    shutil.rmtree(release)
    config = tfds_haa500.Haa500Config(name="zipped", classes=("CPR",), streams=("flow",), flow_method="images")
    (example,) = build(config, tmp_path, tmp_path / "data").as_dataset(split="validation")
    assert example["flow_x"].shape == (20, 48, 64, 1)


@pytest.fixture(scope="module")
def with_sources(tmp_path_factory, archive_dir):
    """raw/ of CPR alone, and a source of 40 numbered frames at 10 a second for every clip, each one second long."""
    manual = tmp_path_factory.mktemp("sources")
    (manual / "raw").mkdir()
    (manual / "youtube").mkdir()
    rows = []
    for k in range(20):
        rows.append(f"https://www.youtube.com/watch?v=source{k:05d},1.{k % 10},2.{k % 10},0,1\n")
        write_video(manual / "youtube" / f"source{k:05d}.mp4", 40)
    (manual / "raw" / "CPR.txt").write_text("".join(rows))
    return manual


def test_relaxed_clips_are_cut_out_of_their_sources(tmp_path, with_sources):
    config = tfds_haa500.Haa500Config(name="longer", classes=("CPR",), context_seconds=0.5)
    built = build(config, with_sources, tmp_path)
    assert built.info.metadata["context"]["seconds"] == 0.5
    for example in built.as_dataset(split="test"):
        tenth = int(example["clip_id"].numpy()[-1:])
        assert float(example["start"]) == pytest.approx(0.5 + tenth / 10)
        assert float(example["end"]) == pytest.approx(2.5 + tenth / 10)
        brightness = example["video"].numpy().mean((1, 2, 3))
        expected = [numbered_frame(t).mean() for t in range(5 + tenth, 25 + tenth)]
        np.testing.assert_allclose(brightness, expected, atol=1.9)  # frames are 4 levels apart


def test_sources_that_are_missing_or_too_short_are_listed(tmp_path, with_sources):
    manual = shutil.copytree(with_sources, tmp_path / "manual")
    (manual / "youtube" / "source00003.mp4").unlink()
    shutil.copy(manual / "youtube" / "source00001.mp4", manual / "youtube" / "source00001.mkv")
    config = tfds_haa500.Haa500Config(name="longer", classes=("CPR",), context_factor=2.0)
    with pytest.raises(BuildError) as error:
        build(config, manual, tmp_path / "data")
    assert [problem.split(":")[0] for problem in error.value.problems] == ["CPR_001", "CPR_003"]
    assert "youtube/source00003.mp4: no such file" in error.value.problems[1]
    for name in ("source00003.mp4", "source00001.mkv"):
        (manual / "youtube" / name).unlink(missing_ok=True)
    shutil.copy(with_sources / "youtube" / "source00003.mp4", manual / "youtube")
    write_video(manual / "youtube" / "source00017.mp4", 20)
    with pytest.raises(BuildError) as error:
        build(config, manual, tmp_path / "data")
    (problem,) = error.value.problems
    assert problem.startswith("youtube/source00017.mp4 (CPR_017): ends at 2.00 s, before the clip's end (1.7 to 2.7 s)")


def test_configs_that_cannot_be():
    with pytest.raises(ValueError, match="streams='flow,depth', must be any of flow, pose, boxes, objects, each"):
        tfds_haa500.Haa500Config(name="x", streams=("flow", "depth"))
    with pytest.raises(ValueError, match="each at most once"):
        tfds_haa500.Haa500Config(name="x", streams=("flow", "flow"))
    with pytest.raises(ValueError, match="streams='flow': clips that are cut longer have none"):
        tfds_haa500.Haa500Config(name="x", streams=("flow",), context_seconds=1.0)
    with pytest.raises(ValueError, match="context_factor=0.5, must be 1 or more"):
        tfds_haa500.Haa500Config(name="x", context_factor=0.5)
    for fields in ({}, {"generated": True, "streams": ("pose",)}, {"generated": True, "classes": ("squat_up",)}):
        with pytest.raises(ValueError, match="multi_label: only generated clips"):
            tfds_haa500.Haa500Config(name="x", multi_label=True, **fields)
    with pytest.raises(ValueError, match="flow_method='x'"):
        tfds_haa500.Haa500Config(name="x", flow_method="x")


def test_bad_videos_of_all_splits_are_listed_and_nothing_is_left(tmp_path, archive_dir, monkeypatch):
    bars, progress_bar = [], parallel.progress_bar
    monkeypatch.setattr(parallel, "progress_bar", lambda *args: bars.append(progress_bar(*args)) or bars[-1])
    root = shutil.copytree(archive_dir, tmp_path / "haa500_v1_1")
    good = (root / "video" / "CPR" / "CPR_003.mp4").read_bytes()
    (root / "video" / "CPR" / "CPR_003.mp4").write_bytes(good[: len(good) // 2])
    (root / "video" / "play_erhu" / "play_erhu_016.mp4").write_bytes(b"")
    (root / "video" / "play_erhu" / "play_erhu_019.mp4").write_bytes(b"nonsense" * 100)
    with pytest.raises(BuildError) as error:
        build(tfds_haa500.Haa500Config(name="bad", classes=CLASSES), root, tmp_path / "data")
    assert [problem.split(":")[0] for problem in error.value.problems] == [
        "video/CPR/CPR_003.mp4",
        "video/play_erhu/play_erhu_016.mp4",
        "video/play_erhu/play_erhu_019.mp4",
    ]
    assert "the file is empty" in error.value.problems[1]
    assert not (tmp_path / "data").exists()
    assert [(bar.n, bar.total) for bar in bars] == [(80, 80)]


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


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real class is not on this machine")
def test_the_real_class_as_any_project_would_load_it(tmp_path):
    build(tfds_haa500.Haa500Config(name="pushup", classes=("pushup",)), REAL_CLASS, tmp_path)
    splits, info = tfds.load("haa500/pushup", data_dir=str(tmp_path), with_info=True)
    assert {name: info.splits[name].num_examples for name in splits} == {"train": 16, "validation": 1, "test": 3}
    lengths = {e["clip_id"].numpy().decode(): e["video"].shape[0] for e in splits["test"]}
    assert lengths == {"pushup_017": 85, "pushup_018": 34, "pushup_019": 44}
    assert {int(e["label"]) for e in splits["train"]} == {331}
