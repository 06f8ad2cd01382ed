import functools

import jax
import numpy as np
import pytest

from haa_jax.configs import base, i3d, slowfast, tpn, tsn
from haa_jax.streams import device as modalities
from haa_jax.streams import views as streams

draw_joints = jax.jit(modalities.draw_joints, static_argnames=("size", "sigma"))
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("config", "expected"),  # of a level from 0 to 1
    [
        (i3d.get_config(), lambda level: 2 * level - 1),
        (i3d.get_config("flow"), lambda level: 2 * level - 1),
        (slowfast.get_config(), lambda level: (level - 0.45) / 0.225),
        (slowfast.get_config("8x8,flow"), lambda level: 2 * level - 1),
        (tsn.get_config(), lambda level: (level - IMAGENET_MEAN) / IMAGENET_STD),
        (tsn.get_config("tsm"), lambda level: (level - IMAGENET_MEAN) / IMAGENET_STD),
        (tsn.get_config("flow"), lambda level: (level - 0.5) / 0.226),
        (tsn.get_config("bninception"), lambda level: 255 * level - np.array([104, 117, 128])),
        (tsn.get_config("bninception,flow"), lambda level: 255 * level - 128),
        (tpn.get_config(), lambda level: (level - IMAGENET_MEAN) / IMAGENET_STD),
        (tpn.get_config("tsm"), lambda level: (level - IMAGENET_MEAN) / IMAGENET_STD),
    ],
)
def test_levels_become_what_the_recipe_says(config, expected):
    channels = streams.clip_spec(config.data)[config.data.stream][0][-1]
    levels = np.array([0, 51, 128, 255], np.uint8)
    clips = np.broadcast_to(levels[:, None, None, None, None], (4, 2, 3, 3, channels))
    prepared = modalities.preprocess({config.data.stream: clips}, config.data)
    assert prepared.shape == clips.shape
    assert prepared.dtype == np.float32
    for level, found in zip(levels, np.asarray(prepared), strict=True):
        np.testing.assert_allclose(found, np.broadcast_to(expected(level / 255), found.shape), rtol=1e-3, atol=1e-3)


def test_the_ends_of_the_scale_are_exact_for_i3d():
    clips = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1, 1).repeat(3, -1)
    prepared = modalities.preprocess({"rgb": clips}, i3d.get_config().data)
    assert np.asarray(prepared)[:, 0, 0, 0].tolist() == [[-1, -1, -1], [1, 1, 1]]


def test_caffe_networks_see_blue_green_red():
    red = np.zeros((1, 1, 1, 1, 3), np.uint8)
    red[..., 0] = 255
    (pixel,) = np.asarray(modalities.preprocess({"rgb": red}, tsn.get_config("bninception").data)).reshape(1, 3)
    assert pixel.tolist() == [-104, -117, 255 - 128]
    (pixel,) = np.asarray(modalities.preprocess({"rgb": red}, tsn.get_config("").data)).reshape(1, 3)
    assert pixel.argmax() == 0


def test_skeletons_pass_unchanged():
    data = base.get_config().data
    data.stream = "skeleton"
    clips = np.random.default_rng(0).normal(size=(2, 2, 5, 17, 3)).astype(np.float32)
    assert np.array_equal(modalities.preprocess({"skeleton": clips}, data), clips)


def seen(*found):
    """(17, 3) joints of which (number, x, y, score) are seen."""
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


def test_a_joint_is_a_gaussian_of_the_given_deviation():
    heatmap = np.asarray(draw_joints(seen((0, 10.0, 8.5, 1.0)), 16, 2.0))[..., 0]
    down, across = np.mgrid[:16, :16] + 0.5
    np.testing.assert_allclose(heatmap, np.exp(-((across - 10) ** 2 + (down - 8.5) ** 2) / 8), rtol=1e-5)


def test_joints_that_were_not_seen_leave_no_trace():
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
    prepared = jax.jit(functools.partial(modalities.preprocess, config=data))({"pose": clips})
    assert prepared.shape == (2, 3, 4, 12, 12, 3)
    one = draw_joints(clips[1, 2, 3], 12, 1.5)
    np.testing.assert_allclose(prepared[1, 2, 3], one, rtol=1e-5, atol=1e-6)
