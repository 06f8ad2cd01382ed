import cv2
import numpy as np
import pytest

from haa_jax.streams import images


@pytest.mark.parametrize(
    ("shape", "short", "expected"),
    [
        ((256, 455), 256, (256, 455)),
        ((720, 1280), 256, (256, 455)),
        ((160, 112), 256, (366, 256)),
        ((64, 64), 32, (32, 32)),
    ],
)
def test_resized_shape(shape, short, expected):
    assert images.resized_shape(*shape, short) == expected


def test_cut_crops_scales_and_mirrors():
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 10), np.uint8)
    same = images.cut(picture, images.Box(3, 7, 32, 32), 32)
    assert np.array_equal(same, picture[3:35, 7:39])
    mirrored = images.cut(picture, images.Box(3, 7, 32, 32, flip=True), 32)
    assert np.array_equal(mirrored, same[:, ::-1])
    scaled = images.cut(picture, images.Box(3, 7, 24, 40), 32)
    assert scaled.shape == (32, 32, 10)  # all the channels of a stack of flow
    each = [cv2.resize(picture[3:27, 7:47, c], (32, 32), interpolation=cv2.INTER_LINEAR) for c in range(10)]
    assert np.array_equal(scaled, np.stack(each, axis=-1))


class FixedDraws:
    """Replaces a generator, with known factors."""

    def __init__(self, *factors):
        self.factors = np.array(factors)

    def uniform(self, low, high, size):
        assert (low, high, size) == (0.6, 1.4, 3)
        return self.factors


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ((1, 1, 1), [[200, 100, 50], [20, 40, 60]]),
        ((0.5, 1, 1), [[100, 50, 25], [10, 20, 30]]),
        ((1.4, 1, 1), [[255, 140, 70], [28, 56, 84]]),
        # The mean of the clip's gray levels, 124.2 and 36.3, is 80.25.
        ((1, 0.5, 1), [[140, 90, 65], [50, 60, 70]]),
        ((1, 0, 1), [[80, 80, 80], [80, 80, 80]]),
        ((1, 1, 0), [[124, 124, 124], [36, 36, 36]]),
    ],
)
def test_jitter_changes_brightness_then_contrast_then_saturation(factors, expected):
    clip = np.empty((2, 3, 3, 3), np.uint8)
    clip[0], clip[1] = (200, 100, 50), (20, 40, 60)
    images.jitter_colors(clip, FixedDraws(*factors))
    assert (clip[:, :1, :1] == clip).all()
    assert np.abs(clip[:, 0, 0].astype(int) - expected).max() <= 1


def test_jitter_is_a_function_of_the_generator():
    clips = np.full((3, 2, 4, 4, 3), (200, 100, 50), np.uint8)
    for clip, seed in zip(clips, (1, 1, 2), strict=True):
        images.jitter_colors(clip, np.random.default_rng(seed))
    assert np.array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])


def test_decode_returns_rgb_and_scale_sets_the_short_side():
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 2] = 255  # OpenCV's order is BGR
    jpeg = cv2.imencode(".jpg", red, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    frame = images.decode(jpeg)
    assert frame.shape == (40, 60, 3)
    assert frame.mean((0, 1)) == pytest.approx([254, 0, 0], abs=2)
    assert images.scale(frame, 40) is frame
    assert images.scale(frame, 20).shape == (20, 30, 3)
    assert images.scale(frame, 80).shape == (80, 120, 3)
    assert images.scale(images.decode(jpeg, gray=True), 20).shape == (20, 30)


def test_what_is_not_an_image_is_an_error():
    with pytest.raises(ValueError, match="not an image"):
        images.decode(b"nonsense")
