"""Boxes made from poses, compared with those that the demo draws."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.tfds_haa500.sources.test_clip_folder import touch
from tfds_haa500 import boxes_from_poses
from tfds_haa500.demo import archive
from tfds_haa500.problems import BuildError, Failure
from tfds_haa500.streams import boxes, person_of_interest, video


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (T, 4)."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, :2] + one[:, 2:], other[:, :2] + other[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared / (one[:, 2:].prod(axis=1) + other[:, 2:].prod(axis=1) - shared)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Clips with bystanders and frames in which nobody is found, without their boxes; and these."""
    root = tmp_path_factory.mktemp("demo") / "release"
    archive.write_archive(root, clips_per_class=2, kinds=["video", "pose", "boxes"])
    drawn = root.parent / "drawn"
    (root / "boxes").rename(drawn)
    return root, drawn


def test_they_are_those_of_the_demo(demo):
    """As near as joints tell: what the demo draws of a person has hair, hands and feet too, and hides some joints."""
    root, drawn = demo
    jobs, without = boxes_from_poses.find(root / "video", root / "pose", root / "boxes")
    assert (len(jobs), without) == (32, 0)
    boxes_from_poses.make_all(jobs)
    overlaps = []
    for job in jobs:
        made = pathlib.Path(job.out)
        with open(job.video, "rb") as file:
            frames, size = video.measure(file)
        truth = drawn / made.relative_to(root / "boxes")
        overlaps.append(overlap(*(boxes.parse(path.read_bytes(), frames, size) for path in (made, truth))).mean())
    assert np.mean(overlaps) > 0.9
    assert min(overlaps) > 0.8
    with pytest.raises(BuildError, match="is there already"):
        boxes_from_poses.find(root / "video", root / "pose", root / "boxes")


def test_faults_are_reported_at_once(tmp_path):
    videos = touch(tmp_path / "video", "run/a.mp4", "run/b.mp4", "run/b.avi", "run/c.mp4", "pose/run/x.mp4")
    poses = touch(tmp_path / "pose", "run/a.json", "run/a/alphapose-results.json", "run/d.json", "run/c.json")
    touch(tmp_path / "boxes", "run/c.csv")
    with pytest.raises(BuildError) as caught:
        boxes_from_poses.find(videos, poses, tmp_path / "boxes")
    assert caught.value.problems == [
        "run/b.mp4: run/b.avi has the same name",
        "run/a.json and run/a/alphapose-results.json: are poses of the same video; keep one of them",
        f"{tmp_path}/boxes/run/c.csv: is there already",
        "run/d.json: belongs to no video",
    ]
    failed = boxes_from_poses.make(person_of_interest.MARGIN, boxes_from_poses.Job(str(videos / "run/a.mp4"), "", ""))
    assert isinstance(failed, Failure)
    with pytest.raises(BuildError, match="no such folder"):
        boxes_from_poses.find(videos, tmp_path / "poses", tmp_path / "boxes")


def test_the_command(demo, tmp_path):
    """One clip whose poses are damaged: nothing is written. Videos without poses are counted."""
    root, _ = demo
    videos, poses = tmp_path / "videos", tmp_path / "poses"
    for folder, kind, name in ((videos, "video", "squat_up_000.mp4"), (poses, "pose", "squat_up_000.json")):
        (folder / "squat").mkdir(parents=True)
        (folder / "squat" / name).write_bytes((root / kind / "squat_up" / name).read_bytes())
    (videos / "squat" / "other.mp4").write_bytes(b"")

    def call():
        flags = [f"--videos={videos}", f"--poses={poses}", f"--out={tmp_path / 'boxes'}"]
        command = [sys.executable, "-m", "tfds_haa500.boxes_from_poses", *flags]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = call()
    assert done.returncode == 0, done.stderr
    assert "boxes of 1 videos; 1 videos have no poses" in done.stdout
    assert (tmp_path / "boxes" / "squat" / "squat_up_000.csv").is_file()
    (poses / "squat" / "squat_up_000.json").write_text("[{}]")
    (tmp_path / "boxes" / "squat" / "squat_up_000.csv").unlink()
    failed = call()
    assert failed.returncode == 1
    assert "nothing was written" in failed.stderr
    assert "entry 0 has no image_id" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list((tmp_path / "boxes").rglob("*.csv"))
