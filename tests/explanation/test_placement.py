import numpy as np
import pytest

from haa_jax.configs import i3d, slowfast
from haa_jax.explanation import placement


def steps_to_frames(values, endpoint, model, frames):
    values = np.asarray(values, np.float32)
    return placement.over_frames(values[:, None, None], endpoint, model, frames, 0)[:, 0, 0].tolist()


def test_steps_are_in_the_middles_of_equal_parts_of_the_clip():
    model = i3d.get_config().model
    assert steps_to_frames([1, 3], "Mixed_5c", model, 4) == [1, 1.5, 2.5, 3]
    assert steps_to_frames([1, 2, 5], "Mixed_5c", model, 3) == [1, 2, 5]
    assert steps_to_frames([7], "Mixed_5c", model, 3) == [7, 7, 7]
    people = placement.over_frames(np.array([[[1.0], [3.0]]] * 2), "", model, 4, 1)  # (people, steps, joints)
    assert people[..., 0].tolist() == [[1, 1.5, 2.5, 3]] * 2


def test_slowfasts_steps_are_at_the_frames_of_each_pathway():
    model = slowfast.get_config("4x16").model  # the slow pathway has 4 of 32 frames
    slow = steps_to_frames([10, 20, 30, 41], "slow_res5", model, 32)
    assert [slow[frame] for frame in (0, 10, 20, 31)] == [10, 20, 30, 41]
    assert slow[5] == 15
    assert steps_to_frames(range(32), "fast_res5", model, 32) == list(range(32))


@pytest.mark.parametrize(
    ("mass", "frames", "expected"),
    [
        ([0, 1, 0, 0], [3, 4, 5, 6], (4, 4)),
        ([1, 1, 1, 1], [10, 12, 14, 16], (10, 12)),
        ([4, 1, 1, 3, 3], [0, 1, 2, 3, 4], (3, 4)),
        ([1, 0, 3, 1, 0, 3], [0, 1, 2, 0, 1, 2], (2, 2)),  # a looped video: 2, 0 and 6 of its three frames
    ],
)
def test_half_of_a_map_is_in_the_shortest_run(mass, frames, expected):
    assert placement.half_of(np.array(mass, float), np.array(frames)) == expected


def test_the_peak_is_a_place_in_the_frame():
    values = np.zeros((2, 2, 4))
    values[1, 1, 0] = 1
    regions = np.array([[0, 0, 1, 1], [0.25, 0.1, 0.5, 0.8]])
    step, x, y = placement.peak_of(values, regions)
    assert (step, x, y) == (1, pytest.approx(0.25 + 0.5 / 8), pytest.approx(0.1 + 0.8 * 3 / 4))
