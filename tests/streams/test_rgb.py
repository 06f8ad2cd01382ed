import numpy as np
import pytest

from haa_jax import streams
from haa_jax.configs import i3d, tsn
from tests.streams.clips import numbered_example, settings, textured_example, train


def test_the_colors_of_a_clip_change_together():
    plain = train(textured_example(), settings(), 4)
    jittered = train(textured_example(), settings(color_jitter=True), 4)
    assert not np.array_equal(plain, jittered)
    gray = train(numbered_example(12), settings(color_jitter=True), 4)
    assert (gray == gray[:, :1, :1]).all()  # the same for every place


def test_a_frame_that_is_not_an_image_is_an_error():
    example = dict(numbered_example(3), video=[b"nonsense"] * 3)
    with pytest.raises(ValueError, match="not an image"):
        train(example, settings())


def test_the_ends_of_the_scale_are_exact_for_i3d():
    clips = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1, 1).repeat(3, -1)
    prepared = streams.preprocess({"rgb": clips}, i3d.get_config().data)
    assert np.asarray(prepared)[:, 0, 0, 0].tolist() == [[-1, -1, -1], [1, 1, 1]]


def test_caffe_networks_see_blue_green_red():
    red = np.zeros((1, 1, 1, 1, 3), np.uint8)
    red[..., 0] = 255
    (pixel,) = np.asarray(streams.preprocess({"rgb": red}, tsn.get_config("bninception").data)).reshape(1, 3)
    assert pixel.tolist() == [-104, -117, 255 - 128]
    (pixel,) = np.asarray(streams.preprocess({"rgb": red}, tsn.get_config("").data)).reshape(1, 3)
    assert pixel.argmax() == 0
