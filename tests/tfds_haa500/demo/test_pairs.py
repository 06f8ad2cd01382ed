"""Generated clips of two people who act at once."""

import csv
import dataclasses
import hashlib

import numpy as np
import pytest
from absl import app, flags

from tfds_haa500 import taxonomy
from tfds_haa500.demo import archive, motion, pairs
from tfds_haa500.demo import clip as demo_clip
from tfds_haa500.sources import clip_folder

COUNTS = {"train": 16, "val": 1, "test": 2}  # with seed 0, every class is in train
TABLE = pairs.classes()


def write(folder, seed: int = 0):
    pairs.write_folder(folder, seed, COUNTS, workers=1)
    return folder


def contents(folder) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_class_table_is_a_part_of_the_demos():
    whole = taxonomy.load(taxonomy.DEMO_CSV)
    assert TABLE.names == tuple(sorted(name for c in pairs.COMPOSITES for name in motion.MOTIONS[c].names))
    for i, name in enumerate(TABLE.names):
        assert TABLE.composites[i] == whole.composites[whole.names.index(name)]
        assert TABLE.areas[i] == whole.areas[whole.names.index(name)]


def test_the_folder_is_one_that_build_folder_takes(tmp_path):
    folder = write(tmp_path / "a")
    clips = clip_folder.scan(folder / "videos", folder / "lists", multi_label=True)
    assert {split: sum(clip.split == split for clip in clips) for split in ("train", "validation", "test")} == {
        "train": 16,
        "validation": 1,
        "test": 2,
    }
    for clip in clips:
        assert list(clip.labels) == pairs.draw_pair(int(clip.clip_id[-4:]), 0).labels
        assert set(clip.labels) <= set(TABLE.names)
    with (folder / "lists" / "test.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["pair_0017.mp4", "pair_0018.mp4"]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first, again, other = (contents(write(tmp_path / name, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert first == again
    assert first.keys() == other.keys()
    assert first != other
    with pytest.raises(FileExistsError):
        write(tmp_path / "a")


def test_people_have_a_half_each():
    """Another action on the right changes nothing on the left."""
    pair = pairs.draw_pair(1, 0)
    other = dataclasses.replace(pair, right=pairs.draw_pair(2, 0).right)
    other = dataclasses.replace(
        other, right=dataclasses.replace(other.right, frames=pair.left.frames, dark=pair.left.dark)
    )
    width = pairs.HALF[0]
    for frame, changed in zip(pairs.render(pair), pairs.render(other), strict=True):
        assert np.array_equal(frame[:, :width], changed[:, :width])
        assert not np.array_equal(frame[:, width:], changed[:, width:])


def reversed_class(clip: demo_clip.Clip) -> demo_clip.Clip:
    return dataclasses.replace(clip, name=clip.motion.names[1 - clip.motion.names.index(clip.name)])


def test_the_middle_frame_is_the_same_in_both_directions():
    pair = pairs.draw_pair(3, 0)
    turned = dataclasses.replace(pair, right=reversed_class(pair.right))
    first, other = pairs.render(pair), pairs.render(turned)
    middle, width = len(first) // 2, pairs.HALF[0]
    assert len(first) % 2 == 1
    assert np.array_equal(first[middle], other[middle])
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(first[0][:, width:], other[-1][:, width:])
    assert np.array_equal(first[0][:, :width], other[0][:, :width])


def test_the_classes_are_drawn_evenly_and_both_sides_independently():
    drawn = [pairs.draw_pair(number, 0) for number in range(400)]
    for side in ("left", "right"):
        counts = np.unique([getattr(pair, side).name for pair in drawn], return_counts=True)[1]
        assert len(counts) == 6
        assert counts.min() > 40  # 67 are expected
    alone = sum(len(pair.labels) == 1 for pair in drawn)
    assert 40 < alone < 95  # 67 are expected


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "write_folder", lambda out, seed: (tmp_path / "called").write_text(f"{out} {seed}"))
    values = flags.FlagValues()
    monkeypatch.setattr(archive, "flags", type("module", (), {"FLAGS": values}))
    for name, default in {"out": "x", "sheet": None}.items():
        flags.DEFINE_string(name, default, "", flag_values=values)
    flags.DEFINE_integer("seed", 3, "", flag_values=values)
    flags.DEFINE_bool("pairs", True, "", flag_values=values)
    for name in ("classes", "kinds"):
        flags.DEFINE_list(name, [], "", flag_values=values)
    values(["demo"])
    archive.main(["demo"])
    assert (tmp_path / "called").read_text() == "x 3"
    values(["demo", "--classes=squat_up"])
    with pytest.raises(app.UsageError, match="--pairs goes with --out and --seed only"):
        archive.main(["demo"])
