"""What a folder of videos may look like, and everything that can be wrong with it."""

import pathlib

import pytest

from tfds_haa500.problems import BuildError
from tfds_haa500.sources import clip_folder


def problems_of(*args, **kwargs) -> str:
    with pytest.raises(BuildError) as caught:
        clip_folder.scan(*args, **kwargs)
    return "\n".join(caught.value.problems)


def touch(root: pathlib.Path, *names: str) -> pathlib.Path:
    """Files that look like videos to one who does not open them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_everything_that_is_wrong_with_a_folder_is_listed_at_once(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "train/run/a.avi", "train/run/notes.txt", "train/run/more/b.mp4")
    touch(tmp_path, "train/stray.mp4", "valid/run/a.mp4", "test/runn/a.mp4", "test/run/a.mp4", "readme.md")
    (tmp_path / "train" / "empty").mkdir()
    text = problems_of(tmp_path)
    for expected in (
        "train/run/a.avi and train/run/a.mp4: have the same name",
        "train/run/notes.txt: not a video (.mp4, .avi,",
        "train/run/more: a folder, where only videos may be",
        "train/stray.mp4: a file, where only folders of classes may be",
        "valid: not a split (train, validation, test); did you mean 'val'?",
        "readme.md: not a split",
        "train/empty: no videos",
        "runn: is in test, but has no clips in train; did you mean 'run'?",
    ):
        assert expected in text, expected
    assert len(text.splitlines()) == 8


def test_folders_without_splits(tmp_path):
    assert "no such folder" in problems_of(tmp_path / "nowhere")
    assert "no folder train, validation (or val) or test here" in problems_of(tmp_path)
    touch(tmp_path, "run/a.mp4")
    assert "folders of classes need --split=0.8,0.1,0.1 or --split_list" in problems_of(tmp_path)
    touch(tmp_path, "trian/run/a.mp4")
    assert "but 'trian'; did you mean 'train'?" in problems_of(tmp_path)
    touch(tmp_path, "val/run/a.mp4", "validation/run/b.mp4")
    assert "val and validation: both are there" in problems_of(tmp_path)


def test_a_test_split_alone_is_enough(tmp_path):
    clips = clip_folder.scan(touch(tmp_path, "test/run/a.b.MP4", "test/Run/a.mov"))
    assert [clip.clip_id for clip in clips] == ["test/Run/a", "test/run/a.b"]
    assert clip_folder.class_names(clips) == ["Run", "run"]


def test_poses_that_do_not_pair_with_clips(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "train/run/b.mp4")
    assert "pose: no such folder" in problems_of(tmp_path, streams=["pose"])
    touch(tmp_path, "pose/train/run/a.json", "pose/train/run/c.json", "pose/run/a.json")
    assert problems_of(tmp_path, streams=["pose"]).splitlines() == [
        "pose/train/run/b.json: no such file",
        "pose/run/a.json: belongs to no clip",
        "pose/train/run/c.json: belongs to no clip",
    ]
    assert len(clip_folder.scan(tmp_path)) == 2  # not wanted, not looked at
