"""What the check of new annotations reports."""

import pathlib
import shutil
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest

from tests.conftest import REAL_CLASS
from tfds_haa500 import check_annotations
from tfds_haa500.problems import BuildError

FPS, SIDE = 10, 720


def write_clip(path: pathlib.Path, frames: int, seed: int, size=(72, 128)) -> None:
    """A scene of random blocks that gets brighter."""
    scene = np.random.default_rng(seed).integers(0, 180, (6, 8, 3), np.uint8)
    scene = cv2.resize(scene, size[::-1], interpolation=cv2.INTER_NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for t in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene + np.uint8(3 * t), format="rgb24")))
        container.mux(stream.encode())


def row(number: int, start: float = 1, seconds: float = 1, name: str = "w") -> str:
    return f"https://youtu.be/{name}-video-{number:03d},{start},{start + seconds},0,1\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pathlib.Path:
    """Read only: a class of 20 rows and clips of 8 to 12 frames."""
    root = tmp_path_factory.mktemp("annotated")
    (root / "raw").mkdir()
    (root / "raw/wave.txt").write_text("".join(row(k, seconds=0.8 + 0.1 * (k % 5)) for k in range(20)))
    for k in range(20):
        write_clip(root / f"video/wave/wave_{k:03d}.mp4", 8 + k % 5, seed=k)
    return root


@pytest.fixture
def folder(whole, tmp_path) -> pathlib.Path:
    return shutil.copytree(whole, tmp_path / "folder")


@pytest.fixture
def rows(tmp_path) -> pathlib.Path:
    """A folder with rows alone."""
    (tmp_path / "raw").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _low(one_worker, monkeypatch):
    """The clips here have 72 lines."""
    monkeypatch.setattr(check_annotations, "HIGH", 72)


NO_CLIPS = "video/{}: has no clips yet, so only its rows were checked"


def test_nothing_is_wrong(whole, capsys):
    found = check_annotations.check(whole)
    assert (found.problems, found.looks) == ([], [])
    assert capsys.readouterr().out == "1 class, 20 rows and 20 clips checked\n"


def test_rows_before_there_are_clips(rows):
    lines = [row(k) for k in range(19)]
    lines[3] = row(3, seconds=3.5)
    lines[4] = row(4, seconds=0.3)
    lines[5] = "https://vimeo.com/12345,1,2,0,1\n"
    lines[6] = "https://youtu.be/w-video-006,1,2,2,1\n"
    (rows / "raw/wave.txt").write_text("".join(lines))
    found = check_annotations.check(rows, ["wave"])
    assert found.problems == [
        "raw/wave.txt: has 19 rows, expected 20",
        "raw/wave.txt: row 6: is_camera_moving is '2', must be 0 or 1",
        "raw/wave.txt row 5: its url 'https://vimeo.com/12345' has no id of a video on YouTube "
        "(11 letters, digits, - and _)",
    ]
    assert found.looks == [
        "raw/wave.txt row 3: 3.50 s long; the class's median is 1.00 s",
        "raw/wave.txt row 4: 0.30 s long; the class's median is 1.00 s",
        NO_CLIPS.format("wave"),
    ]


def test_clips_of_one_video(rows):
    """Within a class never; in two classes only parts that do not overlap."""
    waves, bows = [row(k) for k in range(20)], [row(k, name="b") for k in range(20)]
    waves[7] = row(2, start=30)
    waves[8] = row(3, start=1.5)
    bows[1] = row(5, start=1.9)
    bows[2] = row(6, start=2)
    (rows / "raw/wave.txt").write_text("".join(waves))
    (rows / "raw/bow.txt").write_text("".join(bows))
    found = check_annotations.check(rows, ["wave"])
    assert sorted(found.problems) == [
        "raw/wave.txt row 5: is of the same video as raw/bow.txt row 1 (w-video-005), and both have 1.9 to 2 s of it",
        "raw/wave.txt row 7: is of the same video as raw/wave.txt row 2 (w-video-002); the clips of a class must be of "
        "different videos",
        "raw/wave.txt row 8: is of the same video as raw/wave.txt row 3 (w-video-003), and both have 1.5 to 2 s of it",
    ]
    assert found.looks == [
        "raw/wave.txt row 6: is of the same video as raw/bow.txt row 2 (w-video-006), of other parts of it",
        NO_CLIPS.format("wave"),
    ]


def test_faults_of_classes_that_are_not_asked_for_are_not_reported(rows):
    (rows / "raw/wave.txt").write_text("".join(row(k) for k in range(20)))
    (rows / "raw/bow.txt").write_text(row(1, name="b") * 3 + "no row\n")
    assert check_annotations.check(rows, ["wave"]).problems == []
    assert len(check_annotations.check(rows).problems) == 1 + 1 + 3


def test_a_clip_in_two_splits(folder):
    """Cut again a little later, in another size."""
    write_clip(folder / "video/wave/wave_018.mp4", 11, seed=4, size=(144, 256))
    (problem,) = check_annotations.check(folder).problems
    assert problem.startswith("video/wave/wave_018.mp4: looks like video/wave/wave_004.mp4 (likeness 0.99")
    assert problem.endswith("; they are in test and train")


def test_clips_that_are_missing_surplus_damaged_or_of_another_length(folder):
    (folder / "video/wave/wave_003.mp4").unlink()
    (folder / "video/wave/wave_020.mp4").write_bytes(b"")
    damaged = folder / "video/wave/wave_005.mp4"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    write_clip(folder / "video/wave/wave_006.mp4", 20, seed=6)
    found = check_annotations.check(folder)
    assert found.problems[:2] == [
        "video/wave/wave_003.mp4: no such file",
        "video/wave/wave_020.mp4: not one of the 20 clips of the class",
    ]
    assert found.problems[2].startswith("video/wave/wave_005.mp4: ")
    assert len(found.problems) == 3
    assert found.looks == ["video/wave/wave_006.mp4: has 20 frames at 10 a second, 2.00 s, and its row 0.90 s"]


def test_low_resolution_is_told_of_the_class(folder, monkeypatch):
    monkeypatch.setattr(check_annotations, "HIGH", 73)
    assert check_annotations.check(folder).looks == ["video/wave: 0 of 20 clips have a short side of 73 pixels or more"]


def test_an_unknown_class(rows):
    (rows / "raw/wave.txt").write_text(row(0))
    with pytest.raises(BuildError, match="raw/wafe.txt: no such file; did you mean 'wave'"):
        check_annotations.check(rows, ["wafe"])


def test_command_line(folder):
    def run(*arguments):
        command = [sys.executable, "-m", "tfds_haa500.check_annotations", f"--manual_dir={folder}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 class, 20 rows and 20 clips checked",
        "To be looked at:",
        "  video/wave: 0 of 20 clips have a short side of 720 pixels or more",
        "Nothing is wrong.",
    ]
    with (folder / "raw/wave.txt").open("a") as file:
        file.write("no row\n")
    done = run("--classes=wave")
    assert done.returncode == 1
    assert f"error: 2 problems in {folder}" in done.stderr
    assert "row 20: needs 5 comma-separated fields" in done.stderr
    assert "Nothing is wrong" not in done.stdout


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real class is not on this machine")
def test_a_real_class():
    """17 of its urls are unknown here. Row 1 is of a video of 24 frames a second, and its clip is stored at 30."""
    found = check_annotations.check(REAL_CLASS)
    assert len(found.problems) == 17
    assert all("has no id of a video" in problem for problem in found.problems)
    assert found.looks == [
        "video/pushup/pushup_001.mp4: has 58 frames at 30 a second, 1.93 s, and its row 2.40 s",
    ]
