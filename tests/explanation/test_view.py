import numpy as np
import pytest

from haa_jax.data.pipeline import Views
from haa_jax.explanation.view import middle_view
from tests.streams import clips


@pytest.mark.parametrize(
    ("views", "expected"),
    [(Views(1, 1), 0), (Views(3, 1), 1), (Views(3, 3), 4), (Views(2, 10), 14)],
)
def test_it_is_a_view_of_the_test(views, expected):
    example, data = clips.textured_example(17), clips.settings(frames=4)
    every = clips.views_at_test(example, data, *views)
    found = middle_view(example, data, views)
    np.testing.assert_array_equal(found.clips["rgb"][0], every[expected])


def test_the_frames_are_those_that_the_network_saw():
    numbered = clips.numbered_example(20)
    found = middle_view(numbered, clips.settings(frames=4, stride=2), Views())
    assert found.frames.tolist() == clips.frames_of(found.clips["rgb"][0], "rgb") == [6, 8, 10, 12]
    covering = middle_view(numbered, clips.settings(frames=4), Views(0, 3))  # five windows
    assert covering.frames.tolist() == [8, 9, 10, 11]
    flow = middle_view(numbered, clips.settings("flow", frames=2, flow_stack=5, sampling="segments"), Views())
    starts = clips.frames_of(flow.clips["flow"][0], "flow")
    assert flow.frames.tolist() == [start + 2 for start in starts]
    short = middle_view(clips.numbered_example(2), clips.settings("flow", frames=2, flow_stack=5), Views())
    assert short.frames.tolist() == [1, 1]
    skeleton = middle_view(clips.numbered_example(2), clips.settings("skeleton", frames=3), Views())
    assert skeleton.frames.tolist() == [0, 1, 2]  # the last is past the end
    assert skeleton.regions.tolist() == [[0, 0, 1, 1]] * 3


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
@pytest.mark.parametrize("crops", [1, 3, 10])
@pytest.mark.parametrize("person_crop", [0.0, 1.25])
def test_a_place_in_the_crop_is_found_again_in_the_frame(size, crops, person_crop):
    example = clips.dotted_example(size)  # frame t has a dot at joint t
    boxes = np.tile(np.array([0.2, 0.1, 0.5, 0.7], np.float32), (17, 1))
    data = clips.settings(frames=17, resize=72, crop=64, person_crop=person_crop)
    found = middle_view(example | {"person_box": boxes}, data, Views(1, crops))
    compared = 0
    for t, (picture, (left, top, width, height)) in enumerate(zip(found.clips["rgb"][0], found.regions, strict=True)):
        center = clips.dot_center(picture.mean(-1))
        if center is not None:
            x, y = left + center[0] / 64 * width, top + center[1] / 64 * height
            np.testing.assert_allclose((x, y), example["pose"][t, 0, t, :2], atol=0.012)
            compared += 1
    assert compared > 4
