"""Boxes of the person of interest from poses."""

import numpy as np
import pytest

from tfds_haa500.problems import ClipError
from tfds_haa500.streams import person_of_interest

SIZE = (200, 100)


def person(x: float, y: float, width: float, height: float, score: float = 0.9) -> np.ndarray:
    """(17, 3): joints in the corners and the middle of a box in pixels, as fractions of the frame."""
    corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    points = [*corners, *[(x + width / 2, y + height / 2)] * 13]
    return np.array([(px / SIZE[0], py / SIZE[1], score) for px, py in points])


NOBODY = np.zeros((17, 3))


@pytest.mark.parametrize(
    ("drawn", "expected"), [((50, 20, 20, 40), (46, 16, 28, 48)), ((0, 50, 20, 50), (0, 45, 25, 55))]
)
def test_a_margin_of_the_longer_side_is_added_inside_the_frame(drawn, expected):
    (box,) = person_of_interest.boxes(np.stack([[person(*drawn), NOBODY]]), SIZE, margin=0.1)
    assert box == pytest.approx(expected)


def test_joints_without_a_score_do_not_count():
    joints = person(50, 20, 20, 40)
    joints[0] = (5, 5, 0.1)
    (box,) = person_of_interest.boxes(joints[None, None], SIZE, margin=0)
    assert box == pytest.approx([50, 20, 20, 40])


def test_the_most_prominent_person_of_the_clip_is_followed_though_places_change():
    """The scores of the two change their order from frame to frame, as in stored poses."""
    large = [person(20 + 5 * t, 20, 30, 60) for t in range(8)]
    small = [person(150, 40, 10, 20) for _ in range(8)]
    poses = np.stack([[a, b] if t % 2 else [b, a] for t, (a, b) in enumerate(zip(large, small, strict=True))])
    found = person_of_interest.boxes(poses, SIZE, margin=0)
    assert found == pytest.approx(np.array([[20 + 5 * t, 20, 30, 60] for t in range(8)]), abs=1e-6)


def test_frames_without_the_person_are_interpolated_and_not_filled_by_another():
    other = person(170, 40, 20, 30)
    poses = np.stack(
        [[NOBODY, NOBODY], [person(20, 20, 30, 60), other], [other, NOBODY], [person(40, 20, 30, 60), other]]
    )
    found = person_of_interest.boxes(poses, SIZE, margin=0)
    assert found[:, 0] == pytest.approx([20, 20, 30, 40])
    assert found[:, 1:] == pytest.approx(np.array([[20, 30, 60]] * 4), abs=1e-6)


def test_a_clip_with_nobody_has_no_boxes():
    with pytest.raises(ClipError, match="has nobody, in any frame"):
        person_of_interest.boxes(np.stack([[NOBODY, person(10, 10, 30, 30, score=0.2)]]), SIZE)
