import numpy as np
import pytest

from tfds_haa500.browsing import drawing
from tfds_haa500.streams import objects, pose


def test_colors_of_flow_are_the_usual_ones():
    directions = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]], float)
    right, down, left, up, still = drawing.flow_colors(directions, most=1.0).tolist()
    assert right == [255, 0, 0]
    assert still == [255, 255, 255]
    assert down[2] == 0  # yellow
    assert min(down[:2]) > 200
    assert left[0] == 0  # blue
    assert left[2] == 255
    assert up[2] == 255  # violet
    assert up[1] == 0


def test_slower_flow_is_paler_and_faster_flow_darker():
    half, more = drawing.flow_colors(np.array([[1.0, 0.0], [9.0, 0.0]]), most=2.0)
    assert half.tolist() == [255, 128, 128]
    assert more.tolist() == [191, 0, 0]


def test_full_color_is_that_of_the_fastest_motion_but_of_a_pixel_at_least():
    assert drawing.full_length(np.full((4, 4, 2), 0.1)) == 1
    assert drawing.full_length(np.full((4, 4, 2), (3.0, 4.0))) == pytest.approx(5)


def test_joints_are_drawn_where_they_are_and_undetected_ones_are_not():
    person = np.zeros((1, 17, 3))
    person[0, 0] = 20, 30, 1  # the nose
    person[0, 9] = 50, 10, 0  # a wrist that is not detected
    picture = np.zeros((60, 80, 3), np.uint8)
    drawing.draw_people(picture, person)
    assert picture[29:31, 19:21].max() == 255
    assert not picture[5:15, 45:55].any()
    assert not picture[:, 30:].any()


def test_a_bone_needs_both_of_its_joints():
    person = np.zeros((1, 17, 3))
    person[0, 5], person[0, 7] = (10, 10, 1), (50, 10, 1)
    picture = np.zeros((60, 80, 3), np.uint8)
    drawing.draw_people(picture, person)
    assert picture[10, 30].any()
    person[0, 7, 2] = 0
    picture[...] = 0
    drawing.draw_people(picture, person)
    assert not picture[10, 30].any()


def test_joints_far_outside_are_drawn_outside():
    person = np.full((1, 17, 3), (1e7, -1e7, 1.0))
    picture = np.zeros((60, 80, 3), np.uint8)
    drawing.draw_people(picture, person)
    assert not picture[10:, :70].any()


def test_a_box_is_an_outline():
    picture = np.zeros((60, 80, 3), np.uint8)
    drawing.draw_box(picture, np.array([0.25, 0.5, 0.5, 0.25]), (9, 8, 7))
    rows, columns = picture[..., 0].nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((30, 45, 20, 60), abs=1)
    assert not picture[34:40, 24:56].any()


def test_each_group_of_objects_has_its_color():
    seen = drawing.planes(np.eye(5, dtype=np.float32))
    assert [tuple(color) for color in seen.tolist()] == list(drawing.GROUP_COLORS)
    assert len(set(drawing.GROUP_COLORS)) == len(objects.GROUPS)
    assert drawing.planes(np.full(5, 0.5, np.float32))[0] == 120  # the brightest of all colors, half as bright


def test_bones_are_of_coco_joints():
    names = {frozenset(pose.JOINTS[joint] for joint in bone) for bone in drawing.COCO_BONES}
    assert frozenset(("left_elbow", "left_wrist")) in names
    assert len(names) == 18
    mirrored = {frozenset(pose.JOINTS[pose.MIRRORED[joint]] for joint in bone) for bone in drawing.COCO_BONES}
    assert mirrored == names
