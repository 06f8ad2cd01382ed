import io

import numpy as np
import pytest
from PIL import Image

from haa_jax.explanation import drawing, skeletons
from haa_jax.models.skeleton import SKELETONS
from haa_jax.streams import joints
from tfds_haa500.streams import pose

GRAY = np.full((100, 200, 3), 100, np.uint8)


def test_a_map_is_drawn_where_the_network_saw_it():
    values = np.zeros((4, 4))
    values[3, 0] = 1  # the lower left
    drawn = drawing.overlay(GRAY, values, np.array([0.25, 0.0, 0.5, 1.0]))  # columns 50 to 150
    assert (drawn[:, :50] == 35).all()
    assert (drawn[:, 150:] == 35).all()
    assert (drawn[:50, 50:150] == 100).all()  # more than a cell away
    heat = np.abs(drawn[:, 50:150].astype(int) - 100).sum(-1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert row >= 75
    assert column < 25
    # Half-way to the next cell's middle, the map is half as high: rows 62.5 (middle of the cell above) and 87.5.
    np.testing.assert_allclose(heat[75, 5] / heat[90, 5], 0.5, atol=0.25)


def test_a_region_that_reaches_beyond_the_frame():
    values = np.zeros((2, 2))
    values[1, 1] = 1
    drawn = drawing.overlay(GRAY, values, np.array([-0.5, -0.5, 1.0, 1.0]))  # columns to 100, rows to 50
    assert (drawn[50:] == 35).all()
    assert (drawn[:, 100:] == 35).all()
    assert (drawn[45, 95] != 100).any()


def test_a_strip_shows_different_frames_from_the_first_to_the_last():
    assert drawing.chosen_steps(np.arange(100, 132)).tolist() == [0, 4, 9, 13, 18, 22, 27, 31]
    assert drawing.chosen_steps(np.array([0, 1, 2, 0, 1, 2])).tolist() == [0, 1, 2]
    assert drawing.chosen_steps(np.array([5])).tolist() == [0]


def test_the_files_are_pictures():
    strip, animation = io.BytesIO(), io.BytesIO()
    rows = {"frame": [GRAY] * 3, "Mixed_5c": [GRAY // 2] * 3}
    drawing.write_strip(strip, rows, ["frame 1", "2", "3"], "cost $5 and $6")
    width, height = Image.open(strip).size
    assert width > 3 * 1.5 * height / 2
    moving = [np.full((20, 30, 3), level, np.uint8) for level in (0, 90, 180)]
    drawing.write_animation(animation, moving, 0.08)
    found = Image.open(animation)
    assert (found.n_frames, found.size, found.info["duration"], found.info["loop"]) == (3, (30, 20), 80, 0)
    found.seek(2)
    assert np.asarray(found.convert("RGB")).mean() == pytest.approx(180, abs=2)


@pytest.mark.parametrize(("seconds", "shown"), [(0.001, 20), (4.0, 500)])
def test_an_animation_is_neither_too_fast_nor_too_slow(seconds, shown):
    file = io.BytesIO()
    drawing.write_animation(file, [GRAY, GRAY // 2], seconds)
    assert Image.open(file).info["duration"] == shown


def test_joints_have_the_names_that_the_dataset_stores():
    assert skeletons.NAMES["coco17"] == tuple(name.replace("_", " ") for name in pose.JOINTS)
    assert {name: len(names) for name, names in skeletons.NAMES.items()} == joints.NUM_JOINTS
    named = np.zeros((17, 3), np.float32)
    named[:, 2] = 1 + np.arange(17)  # a score by which each is found again
    mapped = joints.to_openpose(named)[:, 2] - 1
    expected = [name if name == "neck" else skeletons.NAMES["coco17"][int(score)]
                for name, score in zip(skeletons.NAMES["openpose18"], mapped, strict=True)]  # fmt: skip
    assert list(skeletons.NAMES["openpose18"]) == expected


def test_joints_are_colored_where_they_are():
    people = np.zeros((2, 17, 3), np.float32)
    people[0, 9], people[0, 0] = (0.25, 0.5, 1), (0.75, 0.5, 1)  # a wrist and the nose; nothing else was detected
    values = np.zeros((2, 17))
    values[0, 9] = values[1, 3] = 1
    drawn = skeletons.draw(np.full((240, 480, 3), 100, np.uint8), people, values, "coco17")
    assert drawn[120, 120].tolist() == drawing.colors(np.ones((1, 1)))[0, 0].tolist()
    assert drawn[120, 360].tolist() == drawing.colors(np.zeros((1, 1)))[0, 0].tolist()
    assert (drawn[:100] == 35).all()
    people[0, 7] = 0.5, 0.5, 1  # the elbow, with a bone to the wrist
    assert (9, 7) in SKELETONS["coco17"].bones
    assert drawn[120, 180].tolist() == [35] * 3
    drawn = skeletons.draw(np.full((240, 480, 3), 100, np.uint8), people, values, "coco17")
    assert drawn[120, 180].tolist() == list(skeletons.BONE)


def test_shares_of_joints_and_padding():
    values = np.zeros((2, 4, 17))
    values[0, 1, 9], values[1, 2, 9], values[0, 0, 0] = 2, 1, 1
    assert skeletons.strongest(values, "coco17", 2) == [("left wrist", 0.75), ("nose", 0.25)]
    poses = np.ones((2, 2, 17, 3), np.float32)
    people = skeletons.people_of({"pose": poses}, np.array([0, 1, 2]), "openpose18")
    assert people.shape == (2, 3, 18, 3)
    assert (people[:, :2] == 1).all()
    assert not people[:, 2].any()
