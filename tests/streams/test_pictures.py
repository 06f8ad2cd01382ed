"""Crops and normalization of the streams of pictures."""

import numpy as np
import pytest

from haa_jax import streams
from haa_jax.configs import i3d, slowfast, tpn, tsn
from haa_jax.streams import images
from tests.streams.clips import settings, textured_example, train, views_at_test

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize("augment", ["crop", "multi_scale", "resized_crop"])
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_mirrored_clip_is_the_mirror_image_of_the_same_draws(stream, augment):
    """The flip is the last draw: with and without it, the place is the same."""
    data = settings(stream, augment=augment, flow_stack=2 if stream == "flow" else 1)
    mirrored = 0
    for seed in range(12):
        data.flip = True
        clip = train(textured_example(), data, seed)
        data.flip = False
        straight = train(textured_example(), data, seed)
        if np.array_equal(clip, straight):
            continue
        mirrored += 1
        expected = straight[:, :, ::-1].copy()
        if stream == "flow":
            expected[..., 0::2] = 255 - expected[..., 0::2]
        assert np.array_equal(clip, expected)
    assert 2 <= mirrored <= 10


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_ten_crops_are_five_and_their_mirror_images(stream):
    data = settings(stream, frames=1)
    views = views_at_test(textured_example(), data, 1, 10)
    mirror = views[:5, :, :, ::-1].copy()
    if stream == "flow":
        mirror[..., 0] = 255 - mirror[..., 0]
    assert np.array_equal(views[5:], mirror)
    assert len({view.tobytes() for view in views}) == 10
    data.resize, data.crop = 40, 40
    whole = views_at_test(textured_example(), data, 1, 3)  # as stored: three crops of the same pictures
    data.crop = 30
    corners = views_at_test(textured_example(), data, 1, 10)
    assert np.array_equal(corners[0], whole[0][:, :30, :30])
    assert np.array_equal(corners[3], whole[2][:, 8:38, 8:38])  # two pixels short of the corner
    assert np.array_equal(corners[4], whole[1][:, 4:34, 4:34])


def test_beyond_the_frame_the_level_is_constant():
    shown = images.show(np.full((10, 20, 3), 200, np.uint8), np.array([-0.5, 0.0, 1.0, 2.0]), 20, 0)
    assert (shown[:10, 10:] == 200).all()
    assert not shown[:, :9].any()
    assert not shown[11:].any()


def test_a_window_of_the_whole_picture_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert np.array_equal(images.show(picture, np.array([0.0, 0.0, 1.0, 1.0]), 16, 0), picture)


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
def test_levels_are_normalized_as_in_the_recipe(config, expected):
    channels = streams.clip_spec(config.data)[config.data.stream][0][-1]
    levels = np.array([0, 51, 128, 255], np.uint8)
    clips = np.broadcast_to(levels[:, None, None, None, None], (4, 2, 3, 3, channels))
    prepared = streams.preprocess({config.data.stream: clips}, config.data)
    assert prepared.shape == clips.shape
    assert prepared.dtype == np.float32
    for level, found in zip(levels, np.asarray(prepared), strict=True):
        np.testing.assert_allclose(found, np.broadcast_to(expected(level / 255), found.shape), rtol=1e-3, atol=1e-3)
