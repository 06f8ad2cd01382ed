"""The command that makes clips from annotations and source videos."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import heed_interrupts
from tests.tfds_haa500.videos import brightness, write_encoded
from tfds_haa500 import cut_clips
from tfds_haa500.problems import BuildError
from tfds_haa500.streams import video

IDS = ("video-number0", "video-number1", "video-number2")
IDS = tuple(name[-11:] for name in IDS)
ROWS = [  # of two classes: source, start, end
    ("kite", 0, 0.5, 1.2),
    ("kite", 1, 0.0, 0.31),
    ("squat", 1, 2.0, 3.0),
    ("squat", 2, 1.45, 1.75),
]


pytestmark = pytest.mark.usefixtures("one_worker")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pathlib.Path:
    """Read only: annotations of four clips and their three videos of 4 seconds."""
    root = tmp_path_factory.mktemp("sources")
    (root / "raw").mkdir()
    (root / "youtube").mkdir()
    for number, name in enumerate(IDS):
        write_encoded(root / "youtube" / f"{name}.{('mp4', 'mkv', 'avi')[number]}", "mpeg4", 40, g=12)
    for name in ("kite", "squat"):
        rows = [f"https://youtu.be/{IDS[k]},{start},{end},0,1\n" for of, k, start, end in ROWS if of == name]
        (root / "raw" / f"{name}.txt").write_text("".join(rows))
    return root


@pytest.fixture
def folder(whole, tmp_path) -> pathlib.Path:
    return shutil.copytree(whole, tmp_path / "folder")


def files(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "video").rglob("*.*")}


def test_every_clip_has_the_frames_of_its_row(folder):
    result = cut_clips.cut_clips(folder)
    assert (result.cut, result.there, result.remarks, result.problems) == (4, 0, [], [])
    made = files(folder)
    assert sorted(made) == [f"video/{name}/{name}_{k:03d}.mp4" for name in ("kite", "squat") for k in (0, 1)]
    for (name, source, start, end), data in zip(ROWS, (made[name] for name in sorted(made)), strict=True):
        (path,) = (folder / "youtube").glob(f"{IDS[source]}.*")
        wanted = [t for t in range(40) if start <= t / 10 < end]
        whole = brightness(video.encode_clip(path.read_bytes()).frames)
        found = brightness(video.encode_clip(data).frames)
        np.testing.assert_allclose(found, whole[wanted], atol=1, err_msg=name)


def test_only_missing_clips_are_cut_and_none_is_overwritten(folder):
    cut_clips.cut_clips(folder)
    before = files(folder)
    (folder / "video/kite/kite_001.mp4").unlink()
    (folder / "video/squat/squat_000.mp4").write_bytes(b"the user's own")
    shutil.move(folder / "youtube" / f"{IDS[0]}.mp4", folder / "elsewhere.mp4")  # not needed anymore
    result = cut_clips.cut_clips(folder)
    assert (result.cut, result.there, result.problems) == (1, 3, [])
    assert files(folder) == before | {"video/squat/squat_000.mp4": b"the user's own"}


def test_what_cannot_be_cut_is_listed_and_the_others_are_cut(folder):
    (folder / "youtube" / f"{IDS[0]}.mp4").unlink()
    damaged = folder / "youtube" / f"{IDS[2]}.avi"
    damaged.write_bytes(b"not a video" * 99)
    result = cut_clips.cut_clips(folder)
    assert result.cut == 2
    assert result.problems == [
        f"kite_000: youtube/{IDS[0]}.mp4: no such file, nor one with .mkv, .webm, .avi, .mov",
        f"youtube/{IDS[2]}.avi (squat_001): cannot be decoded (Invalid data found when processing input)",
    ]


def test_a_video_that_ends_early_is_a_remark_or_a_problem(folder):
    """Formats of one video differ in length by a little; more is another video."""
    (folder / "raw/kite.txt").write_text(
        f"https://youtu.be/{IDS[0]},3.5,4.05,0,1\n"
        f"https://youtu.be/{IDS[0]},3.5,4.3,0,1\n"
        f"https://youtu.be/{IDS[0]},3.5,4.6,0,1\n"
    )
    result = cut_clips.cut_clips(folder, ["kite"])
    assert result.cut == 2
    assert result.remarks == [f"youtube/{IDS[0]}.mp4 (kite_001): the video ends at 4.00 s, and the row at 4.3 s"]
    assert result.problems == [f"youtube/{IDS[0]}.mp4 (kite_002): ends at 4.00 s, before the clip's end (3.5 to 4.6 s)"]
    assert len(video.encode_clip((folder / "video/kite/kite_001.mp4").read_bytes()).frames) == 5


def test_bad_rows_and_unknown_classes_stop_it_before_anything_is_cut(folder):
    with (folder / "raw/kite.txt").open("a") as rows:
        rows.write("https://youtu.be/x,2,1,0,1\nhttps://youtu.be/x,1,2,yes,1\n" + "https://youtu.be/x,1,2,0,1\n" * 17)
    with pytest.raises(BuildError) as error:
        cut_clips.cut_clips(folder, ["kite", "sqat"])
    assert error.value.problems == [
        "raw/sqat.txt: no such file; did you mean 'squat'?",
        "raw/kite.txt: has 21 rows, expected 20",
        "raw/kite.txt: row 2: end 1.0 is not after start 2.0",
        "raw/kite.txt: row 3: is_camera_moving is 'yes', must be 0 or 1",
    ]
    assert not (folder / "video").exists()


def test_raw_inside_a_zip_file_is_refused(folder):
    shutil.make_archive(folder.parent / "packed" / "haa500_v1_1", "zip", folder)
    with pytest.raises(BuildError, match="unpack it"):
        cut_clips.cut_clips(folder.parent / "packed")


def test_a_write_that_fails_leaves_nothing(folder, monkeypatch):
    path = folder / "video/kite/kite_000.mp4"

    def fail(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(type(cut_clips.epath.Path(path)), "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        cut_clips.cut_clips(folder)
    assert files(folder) == {}


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "tfds_haa500.cut_clips", *map(str, arguments)]


def test_command_line(folder):
    (folder / "youtube" / f"{IDS[0]}.mp4").unlink()
    done = subprocess.run(command(f"--manual_dir={folder}"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == "3 clips cut; 0 were there before\n"
    assert f"1 problem in {folder}; these clips were not cut:\n  kite_000: youtube/" in done.stderr
    assert "100%" in done.stderr
    done = subprocess.run(
        command(f"--manual_dir={folder}", "--classes=squat"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0 clips cut; 2 were there before\n")


def test_an_interrupt_ends_in_a_line_and_the_next_run_goes_on(folder):
    rows = "".join(f"https://youtu.be/{IDS[k % 3]},0.{k},3.{k},0,1\n" for k in range(10)) * 2
    for name in range(20):
        (folder / "raw" / f"kite{name}.txt").write_text(rows)
    run = subprocess.Popen(
        command(f"--manual_dir={folder}"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    deadline = time.time() + 120
    while not list(folder.glob("video/*/*_003.mp4")) and time.time() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (130, "")
    assert err.rstrip().splitlines()[-1].startswith("Interrupted. The clips that were cut are whole.")
    assert "Traceback" not in err
    made = files(folder)
    assert 0 < len(made) < 404
    for name, data in made.items():
        assert name.endswith(".mp4"), "a file that is half written"
        video.encode_clip(data)  # raises if it is not whole
    shutil.rmtree(folder / "raw")
    (folder / "raw").mkdir()
    (folder / "raw/kite.txt").write_text(rows)
    shutil.rmtree(folder / "video/squat", ignore_errors=True)
    result = cut_clips.cut_clips(folder)
    assert result.cut + result.there == 20
    assert result.there == len([name for name in made if name.startswith("video/kite/")])
