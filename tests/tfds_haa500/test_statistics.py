"""Figures and the picture of built data sets."""

import dataclasses
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tfds_haa500 import features, statistics, taxonomy
from tfds_haa500.browsing.picks import BrowseError


@pytest.fixture(scope="module")
def tiny(data_dir):
    return statistics.read("haa500/tiny", data_dir)


def test_the_facts_of_every_clip(tiny):
    name, facts = tiny
    assert name == "haa500/tiny/1.1.0"
    assert sorted(facts.frames) == sorted([5 + k for k in range(20)] * 4)
    assert set(facts.fps) == {10}
    assert {*zip(facts.width.tolist(), facts.height.tolist(), strict=True)} == {(64, 48)}
    assert dict(zip(*np.unique(facts.split, return_counts=True), strict=True)) == {
        "train": 64, "validation": 4, "test": 12,
    }  # fmt: skip
    assert set(facts.class_name) == {"CPR", "battle-rope_jumping-jack", "play_ otamatone", "play_erhu"}
    assert facts.camera_moving.sum() == 40


def test_the_table(tiny):
    lines = statistics.table(*tiny).splitlines()
    assert lines[0] == "haa500/tiny/1.1.0: 80 clips of 4 classes (64 train, 4 validation, 12 test)"
    assert lines[1] == "1,160 frames, 116 s"
    figures = {line[:20].strip(): line[20:].split() for line in lines[3:9]}
    assert figures == {
        "": ["least", "5", "%", "median", "mean", "95", "%", "most"],
        "clips a class": ["20"] * 6,
        "seconds a clip": ["0.5", "0.59", "1.45", "1.45", "2.3", "2.4"],
        "frames a clip": ["5", "5.95", "14.5", "14.5", "23.05", "24"],
        "frames a second": ["10"] * 6,
        "short side, pixels": ["48"] * 6,
    }
    counted = [" ".join(line.split()) for line in lines[9:]]
    assert counted[:5] == ["", "people 80 (100.00 %) 1", "", "camera 40 (50.00 %) still", "40 (50.00 %) moving"]
    assert "stored size 80 (100.00 %) 64x48" in counted


def test_what_is_not_annotated_and_values_of_many_kinds(tiny):
    _, facts = tiny
    clips = len(facts.frames)
    changed = dataclasses.replace(
        facts,
        people=np.array([0, 1, 2, 3, 7] * (clips // 5)),
        width=np.arange(clips) + 50,
        class_name=np.array(["many"] * (clips - 1) + ["one"]),
    )
    counted = statistics._counted(changed)
    assert counted["people"] == {"1": 16, "2": 16, "3 or more": 32, "not annotated": 16}
    assert counted["camera"]["not annotated"] == 16
    assert list(counted["stored size"].values()) == [1] * statistics.MOST + [clips - statistics.MOST]
    assert list(counted["stored size"])[-1] == f"{clips - statistics.MOST} others"
    assert statistics.table("x", changed).splitlines()[4].split()[:5] == ["clips", "a", "class", "1", "4.9"]


def test_clips_of_several_classes_count_for_each_of_them_and_have_no_area(tiny):
    table = taxonomy.Taxonomy(("run", "sit", "wave"), ("all",) * 3, ("run", "sit", "wave"), ("own",) * 3)
    known = features.example_features(table, features.ClipConfig(name="sets", multi_label=True), docs={})
    assert statistics._classes({"labels": np.array([0, 2])}, known) == (["run", "wave"], [])
    _, facts = tiny
    of_sets = dataclasses.replace(facts, class_name=np.array(["run", "wave", "wave"]), area=np.array([], str))
    lines = statistics.table("x", of_sets).splitlines()
    assert lines[0].startswith("x: 80 clips of 2 classes")
    assert lines[4].split()[3:] == ["1", "1.05", "1.5", "1.5", "1.95", "2"]
    assert not any(line.startswith("area") for line in lines)
    assert statistics.draw("x", of_sets).startswith(b"\x89PNG")


def test_the_picture_has_as_many_bars_as_values(tiny):
    picture = cv2.imdecode(np.frombuffer(statistics.draw(*tiny), np.uint8), cv2.IMREAD_COLOR)
    width, height = (round(inches * statistics.DPI) for inches in statistics.FIGURE_SIZE)
    assert picture.shape == (height, width, 3)
    color = np.array([int(statistics.COLOR[i : i + 2], 16) for i in (5, 3, 1)])
    drawn = (np.abs(picture.astype(int) - color).max(2) < 8).astype(np.uint8)
    assert cv2.connectedComponents(drawn)[0] - 1 >= 8  # at least a bar in each of the eight panels


def test_command_line(data_dir, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "tfds_haa500.statistics", f"--data_dir={data_dir}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("haa500/tiny", f"--out={tmp_path}/all.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("haa500/tiny/1.1.0: 80 clips")
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    done = run("haa500/gone")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: 'haa500/gone' is not")


@pytest.mark.parametrize(("name", "reason"), [("gone/all.png", "there is no folder"), ("all.pdf", "is a PNG file")])
def test_pictures_that_cannot_be_written(tmp_path, name, reason):
    with pytest.raises(BrowseError, match=reason):
        statistics._check_out(str(tmp_path / name))
