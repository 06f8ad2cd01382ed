"""The tool that writes pose files: the builder reads them. (MediaPipe itself is not needed here.)"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import write_video
from tests.tfds_haa500.streams.test_video import write_with_foreign_metadata
from tfds_haa500.streams import pose

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "pose" / "estimate.py"
SIZE = (64, 48)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("estimate", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def landmarks(shift=0.0) -> np.ndarray:
    """(33, 3): landmark i at x = i / 50, y = i / 100, of visibility i / 33."""
    number = np.arange(33)
    return np.stack([number / 50 + shift, number / 100, number / 33], axis=1)


def test_entries_are_coco_joints_in_pixels_that_the_builder_reads(tool):
    entries = [tool.entry(frame, landmarks(), SIZE) for frame in (0, 2)]
    found = pose.parse(json.dumps(entries).encode(), 3, SIZE)
    marks = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]  # in MediaPipe's model card
    expected = landmarks()[marks]
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-3)
    np.testing.assert_allclose(found[2, 0], expected, atol=1e-3)
    assert not found[1].any()
    assert entries[0]["score"] == pytest.approx(expected[:, 2].mean() + expected[:, 2].max(), abs=1e-3)
    x, y, width, height = entries[0]["box"]
    assert (x, y) == pytest.approx((0, 0))
    assert (width, height) == pytest.approx((28 / 50 * 64, 28 / 100 * 48), abs=0.01)


def test_joints_far_outside_are_not_detected_and_the_file_is_still_read(tool):
    marks = landmarks()
    marks[28, :2] = 1.6, 0.5  # the right ankle
    (found,) = pose.parse(json.dumps([tool.entry(0, marks, SIZE)]).encode(), 1, SIZE)
    assert not found[0, 16].any()
    assert found[0, 15, 2] > 0.5


def test_clips_are_written_once_and_whole(tool, tmp_path):
    videos, out = tmp_path / "video", tmp_path / "pose"
    for name, frames in (("a_000", 3), ("a_001", 4)):
        (videos / "a").mkdir(parents=True, exist_ok=True)
        write_video(videos / "a" / f"{name}.mp4", frames)
    (videos / "a" / "a_002.mp4").write_bytes(b"nonsense" * 50)
    pairs = tool.missing(videos, out)
    assert [pair[1].relative_to(out).as_posix() for pair in pairs] == [f"a/a_{k:03d}.json" for k in range(3)]
    estimators = iter([lambda image: landmarks(), lambda image: None, lambda image: landmarks()])
    problems = [tool.write_clip(*pair, make_estimator=lambda: next(estimators)) for pair in pairs]
    assert problems[:2] == ["", ""]
    assert problems[2].startswith(str(videos / "a" / "a_002.mp4") + ": cannot be decoded")
    assert sorted(path.name for path in (out / "a").iterdir()) == ["a_000.json", "a_001.json"]
    assert len(json.loads((out / "a" / "a_000.json").read_text())) == 3
    assert json.loads((out / "a" / "a_001.json").read_text()) == []
    assert [pair[1].name for pair in tool.missing(videos, out)] == ["a_002.json"]


def test_frames_are_those_of_the_builder(tool, tmp_path):
    from tfds_haa500.streams import video

    write_video(tmp_path / "a.mp4", 7)
    frames = list(tool.read_frames(tmp_path / "a.mp4"))
    encoded = video.encode_clip((tmp_path / "a.mp4").read_bytes())
    assert len(frames) == len(encoded.frames) == 7
    assert frames[0].shape[1::-1] == encoded.size


def test_metadata_that_are_not_utf8(tool, tmp_path):
    write_with_foreign_metadata(tmp_path / "a.mp4", 3)
    assert len(list(tool.read_frames(tmp_path / "a.mp4"))) == 3


STARTS_WORKERS = """
import multiprocessing, pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import estimate
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2, estimate.end_with_parent) as pool:
        pool.map_async(time.sleep, [60, 60], chunksize=1)  # clips that take long
        time.sleep(2)
        print(*[worker.pid for worker in multiprocessing.active_children()], flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_the_process_that_was_killed(tmp_path):
    def alive():
        return [worker for worker in workers if pathlib.Path(f"/proc/{worker}").exists()]

    (tmp_path / "start.py").write_text(STARTS_WORKERS)
    line = [sys.executable, str(tmp_path / "start.py"), str(TOOL.parent)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        workers = process.stdout.readline().split()
        assert len(alive()) == 2
        process.kill()
    deadline = time.monotonic() + 20
    while alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive()
