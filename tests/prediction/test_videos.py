import json
from fractions import Fraction

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from haa_jax.configs import i3d, stgcn
from haa_jax.prediction import videos
from tests.conftest import write_video
from tfds_haa500 import packaging, records, taxonomy
from tfds_haa500.sources import clips
from tfds_haa500.sources.clips import Clip
from tfds_haa500.sources.files import File
from tfds_haa500.streams import flow


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "a/c.MKV", "a/.hidden.mp4", "pose/a/c.json", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_folders_and_lists_are_found_once_and_in_order(folder):
    here = [str(folder / "a" / "c.MKV"), str(folder / "b.mp4")]
    assert videos.find(folder) == here
    assert videos.find(str(folder / "notes.md")) == [str(folder / "notes.md")]  # a file that is named is tried
    (folder / "some.txt").write_text("b.mp4\n\na\n")
    assert videos.find([folder / "some.txt", folder]) == here[::-1]


def test_what_cannot_be_found(folder):
    with pytest.raises(videos.VideoError, match=r"gone\.mp4: no such file or folder"):
        videos.find([folder, folder / "gone.mp4"])
    with pytest.raises(videos.VideoError, match=r"pose has no videos \(\.mp4, "):
        videos.find(folder / "pose")
    (folder / "empty.txt").write_text("\n")
    with pytest.raises(videos.VideoError, match=r"empty\.txt lists no videos"):
        videos.find(folder / "empty.txt")
    (folder / "lists.txt").write_text("empty.txt")
    with pytest.raises(videos.VideoError, match=r"lists empty\.txt, which is a list itself"):
        videos.find(folder / "lists.txt")


def test_an_example_is_what_the_builder_stores(archive_dir, data_dir):
    builder = tfds.builder("haa500/tiny", data_dir=data_dir)
    index = records.read_index(builder.data_path, "test")
    reader = records.ClipReader(builder.data_path, builder.info.features, index)
    stored, data = reader[4], i3d.get_config().data
    name = stored["clip_id"].decode()
    found = videos.read_example(archive_dir / "video" / name[:-4] / f"{name}.mp4", data)
    assert found.keys() == {"video", "fps"}
    assert found["video"] == list(stored["video"])
    assert found["fps"] == stored["fps"]


def test_fps_is_rounded_as_it_is_stored(tmp_path):
    write_video(tmp_path / "a.mp4", 3, fps=Fraction(30000, 1001))
    assert videos.read_example(tmp_path / "a.mp4", i3d.get_config().data)["fps"] == float(np.float32(30000 / 1001))


@pytest.fixture
def person(tmp_path):
    """A video in a folder tree, and where its poses may be."""
    path = tmp_path / "test" / "jump" / "a.mp4"
    path.parent.mkdir(parents=True)
    write_video(path, 4)
    entry = {"image_id": "2.jpg", "keypoints": [32, 12, 1] * 17, "score": 2.0}
    return path, json.dumps([entry])


@pytest.mark.parametrize("place", ["test/jump/pose/a.json", "test/pose/jump/a.json", "pose/test/jump/a.json"])
def test_poses_are_read_from_next_to_the_video(person, tmp_path, place):
    path, poses = person
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text(poses)
    pose = videos.read_example(path, stgcn.get_config().data)["pose"]
    assert (pose.shape, pose.dtype) == ((4, 2, 17, 3), np.float32)
    np.testing.assert_array_equal(pose[2, 0], [[0.5, 0.25, 1]] * 17)
    assert not pose[[0, 1, 3]].any()


def test_poses_in_the_layout_of_the_release(person, tmp_path):
    path, poses = person
    (tmp_path / "video" / "jump").mkdir(parents=True)
    (tmp_path / "pose" / "jump" / "a").mkdir(parents=True)
    moved = path.replace(tmp_path / "video" / "jump" / "a.mp4")
    (tmp_path / "pose" / "jump" / "a" / "alphapose-results.json").write_text(poses)
    assert videos.read_example(moved, stgcn.get_config().data)["pose"][2].any()


def test_poses_that_are_missing_or_wrong(person, tmp_path):
    path, poses = person
    data = stgcn.get_config().data
    with pytest.raises(videos.VideoError, match=r"a\.mp4: the network needs pose, and there is no .*jump/pose/a\.json"):
        videos.read_example(path, data)
    (path.parent / "pose").mkdir()
    (path.parent / "pose" / "a.json").write_text(poses.replace("2.jpg", "9.jpg"))
    with pytest.raises(videos.VideoError, match=r"pose/a\.json: has frames 9, but the clip's are 0 to 3"):
        videos.read_example(path, data)


def test_flow_is_computed_as_by_the_builder_or_read(tmp_path):
    data = i3d.get_config("flow").data
    write_video(tmp_path / "a.mp4", 3)
    found = videos.read_example(tmp_path / "a.mp4", data)
    clip = Clip("a", "test", "jump", File(str(tmp_path), "a.mp4"))
    table = taxonomy.Taxonomy(("jump",), ("all",), ("jump",), ("own",))
    stored = packaging.make_example(table, clips.encode, {"flow": (flow, "dis")}, clip)
    assert found == {name: stored[name] for name in ("video", "fps", "flow_x", "flow_y")}
    assert len(found["flow_x"]) == 2
    folder = tmp_path / "flow" / "a"
    folder.mkdir(parents=True)
    for axis in ("x", "y"):
        for number in range(2):
            cv2.imwrite(str(folder / f"flow_{axis}_{number + 1:05d}.png"), np.full((48, 64), 200, np.uint8))
    given = videos.read_example(tmp_path / "a.mp4", data, "images")
    assert cv2.imdecode(np.frombuffer(given["flow_y"][1], np.uint8), cv2.IMREAD_GRAYSCALE).min() >= 199


def test_a_video_that_cannot_be_used_is_named(tmp_path, archive_dir):
    data = i3d.get_config().data
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(videos.VideoError, match=r"empty\.mp4: the file is empty"):
        videos.read_example(tmp_path / "empty.mp4", data)
    with pytest.raises(videos.VideoError, match=r"gone\.mp4: No such file"):
        videos.read_example(tmp_path / "gone.mp4", data)
    whole = (archive_dir / "video" / "CPR" / "CPR_019.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(videos.VideoError, match=r"cut\.mp4: "):
        videos.read_example(tmp_path / "cut.mp4", data)
