import functools

import jax
import numpy as np
import pytest

from haa_jax import streams
from haa_jax.configs import base
from haa_jax.streams import pose
from tests.streams.clips import (
    SIZE,
    dot_center,
    dotted_example,
    encode,
    numbered_example,
    settings,
    textured_example,
    train,
    views_at_test,
)

draw_joints = jax.jit(pose.draw_joints, static_argnames=("size", "sigma"))


@pytest.mark.parametrize(
    ("stream", "channel", "augment"),
    [
        ("rgb", 0, "crop"),
        ("rgb", 2, "resized_crop"),
        ("flow", 1, "crop"),
        ("flow", 1, "multi_scale"),  # RGB has a fourth scale: other draws
        ("flow", 1, "resized_crop"),
    ],
)
@pytest.mark.parametrize("size", [(80, 121), (121, 80)])
def test_joints_are_where_the_crop_of_the_same_draws_shows_them(stream, channel, augment, size):
    example = dotted_example(size)
    compared, flips = 0, set()
    for seed in range(8):
        fields = {"augment": augment, "frames": 17, "resize": 72, "resize_max": 90, "crop": 64}
        pictures = train(example, settings(stream, **fields), seed)[..., channel]
        pose = train(example, settings("pose", **fields), seed)
        flip = int(np.abs(pose[0, 1, 2] - example["pose"][0, 0, 1, 2]) > 0.01)  # the left eye has become the right one
        flips.add(flip)
        for joint, picture in enumerate(pictures):
            here = joint + flip * (1 if joint % 2 else -1) * (joint > 0)  # left joints are odd, the right joint is next
            assert pose[joint, here, 2] == example["pose"][0, 0, joint, 2]
            center = dot_center(picture)
            if center is not None:
                np.testing.assert_allclose(pose[joint, here, :2], center, atol=0.3)
                compared += 1
    assert flips == {0, 1}
    assert compared >= 20


def test_the_pose_is_that_of_the_most_prominent_person():
    example = dict(numbered_example(12), video=[encode(np.zeros((64, 64, 3), np.uint8))] * 12)
    pose = train(example, settings("pose", resize=64, crop=64, flip=False))
    np.testing.assert_allclose(pose[..., 1], 0.25 * 64)
    np.testing.assert_allclose(pose[..., 2], 0.5)


def test_joints_outside_the_crop_are_kept():
    data = settings("pose", resize=40, crop=20)
    (view,) = views_at_test(numbered_example(12), data)
    frames = np.arange(4, 8)
    np.testing.assert_allclose(view[:, 0, 0], frames / 64 * 60 - 20, rtol=1e-5)  # left of the crop: below 0
    assert (view[:, :, 0] < 0).all()


def test_training_clips_are_scaled_to_the_short_side_that_was_drawn():
    """The distance of nose and shoulder in pixels tells the scale."""
    example = dotted_example(SIZE)
    nose, shoulder = example["pose"][0, 0, [0, 5], 1]

    def short_sides(**fields):
        data = settings("pose", flip=False, **fields)
        clips = [train(example, data, seed) for seed in range(60)]
        return {round(float((clip[0, 5, 1] - clip[0, 0, 1]) / (shoulder - nose))) for clip in clips}

    assert short_sides(resize=36, resize_max=40) == {36, 37, 38, 39, 40}
    assert short_sides(resize=36) == {36}


def test_joints_of_ten_crops():
    views = views_at_test(textured_example(), settings("pose"), 1, 10)
    partner = [0, *(j + (1 if j % 2 else -1) for j in range(1, 17))]
    np.testing.assert_allclose(views[5:, ..., 0], 32 - views[:5, :, partner, 0], atol=1e-4)
    assert np.array_equal(views[5:, ..., 1:], views[:5][:, :, partner, 1:])


def seen(*found):
    """(17, 3): the joints (number, x, y, score), the others not detected."""
    joints = np.zeros((17, 3), np.float32)
    for number, *values in found:
        joints[number] = values
    return joints


@pytest.mark.parametrize(
    ("number", "channel"),
    [(0, 0), (4, 0), (5, 1), (10, 1), (11, 2), (16, 2)],  # nose, ear, shoulder, wrist, hip, ankle
)
def test_a_joint_peaks_with_its_score_in_its_pixel_and_channel(number, channel):
    heatmap = np.asarray(draw_joints(seen((number, 5.5, 9.5, 0.8)), 16, 2.0))
    assert heatmap.shape == (16, 16, 3)
    assert heatmap.dtype == np.float32
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (9, 5, channel)
    assert heatmap.max() == pytest.approx(0.8)
    assert not np.delete(heatmap, channel, axis=-1).any()


def test_a_joint_is_a_gaussian_of_the_given_standard_deviation():
    heatmap = np.asarray(draw_joints(seen((0, 10.0, 8.5, 1.0)), 16, 2.0))[..., 0]
    down, across = np.mgrid[:16, :16] + 0.5
    np.testing.assert_allclose(heatmap, np.exp(-((across - 10) ** 2 + (down - 8.5) ** 2) / 8), rtol=1e-5)


def test_undetected_joints_are_not_drawn():
    assert not np.asarray(draw_joints(seen((0, 4.0, 4.0, 0.0)), 16, 2.0)).any()


def test_the_higher_of_two_joints_counts_not_their_sum():
    one, other = (6, 6.5, 6.5, 0.9), (9, 8.5, 6.5, 0.5)
    apart = [np.asarray(draw_joints(seen(joint), 16, 2.0)) for joint in (one, other)]
    together = np.asarray(draw_joints(seen(one, other), 16, 2.0))
    np.testing.assert_allclose(together, np.maximum(*apart), rtol=1e-6)


def test_heatmaps_of_a_batch_of_views_under_jit():
    data = base.get_config().data
    data.stream, data.crop, data.pose_sigma = "pose", 12, 1.5
    clips = np.random.default_rng(0).uniform(0, 12, (2, 3, 4, 17, 3)).astype(np.float32)
    prepared = jax.jit(functools.partial(streams.preprocess, data=data))({"pose": clips})
    assert prepared.shape == (2, 3, 4, 12, 12, 3)
    one = draw_joints(clips[1, 2, 3], 12, 1.5)
    np.testing.assert_allclose(prepared[1, 2, 3], one, rtol=1e-5, atol=1e-6)
