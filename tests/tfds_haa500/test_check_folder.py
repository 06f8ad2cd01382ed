"""What `--check` of build_folder reports."""

import pathlib
import shutil

import pytest

from tests.conftest import write_video
from tfds_haa500 import check_folder
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig

pytestmark = pytest.mark.usefixtures("one_worker")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pathlib.Path:
    """Read only: two classes in two splits."""
    root = tmp_path_factory.mktemp("whole")
    for number, name in enumerate(("train/run/a", "train/run/b", "train/sit/a", "test/sit/c")):
        path = root / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, 5 + number)
    return root


@pytest.fixture
def folder(whole, tmp_path) -> pathlib.Path:
    return shutil.copytree(whole, tmp_path / "folder")


def check(folder: pathlib.Path, **config) -> None:
    check_folder.check(
        Builder, ClipFolderConfig(name="mine", folder=str(folder), **config), str(folder.parent / "data")
    )


def test_what_would_be_packaged(whole, capsys):
    check(whole, streams=("flow",))
    printed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in printed[:4]] == [
        ["class", "train", "test", "all"],
        ["run", "2", "0", "2"],
        ["sit", "1", "1", "2"],
        ["2", "classes", "3", "1", "4"],
    ]
    assert printed[4:7] == [
        "4 of 4 clips can be packaged",
        "frames a clip: 5 to 8, median 6.5",
        "seconds a clip: 0.50 to 0.80, median 0.65",
    ]
    assert printed[-1] == "Nothing is wrong, and nothing was written."
    assert not (whole.parent / "data").exists()


def test_the_size_is_that_of_the_build(whole, tmp_path):
    builder = Builder(config=ClipFolderConfig(name="mine", folder=str(whole), streams=("flow",)), data_dir=tmp_path)
    sizes, _ = check_folder._measured(builder.find_clips(None), builder.quick_encoder())
    builder.download_and_prepare()
    assert sum(size.stored for size in sizes) == pytest.approx(builder.info.dataset_size, rel=0.1)


def test_damaged_videos_are_named(folder, capsys):
    (folder / "train/run/b.mp4").write_bytes(b"no video")
    with pytest.raises(SystemExit, match="1 problem in .*; nothing was written:\n  train/run/b.mp4: cannot be decoded"):
        check(folder)
    assert "3 of 4 clips can be packaged" in capsys.readouterr().out
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_in_a_folder_out_of_order_damaged_videos_are_named_too(folder, capsys):
    (folder / "train/run/b.mp4").write_bytes(b"no video")
    (folder / "train/notes.txt").write_text("a note")
    with pytest.raises(SystemExit) as ended:
        check(folder)
    assert "2 problems" in ended.value.code
    assert "train/notes.txt: a file" in ended.value.code
    assert "train/run/b.mp4: cannot be decoded" in ended.value.code
    assert "only its videos were checked" in capsys.readouterr().out


def test_missing_files_of_streams_are_named(folder):
    (folder / "pose").mkdir()
    with pytest.raises(SystemExit, match="pose/train/run/a.json: no such file"):
        check(folder, streams=("pose",))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(SystemExit, match="no such folder"):
        check(tmp_path / "gone")
