import cv2
import numpy as np
import pytest

from haa_jax.data import augment


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
    assert augment.resized_shape(*shape, short) == expected


def test_corners_at_test():
    assert augment.test_corners(256, 455, 224, 1) == [(16, 115)]
    assert augment.test_corners(256, 456, 224, 3) == [(16, 0), (16, 116), (16, 232)]
    assert augment.test_corners(456, 256, 224, 3) == [(0, 16), (116, 16), (232, 16)]
    assert augment.test_corners(224, 224, 224, 3) == [(0, 0)] * 3


def test_random_corners_reach_every_place():
    rng = np.random.default_rng(0)
    corners = {augment.random_corner(5, 6, 4, rng) for _ in range(200)}
    assert corners == {(top, left) for top in range(2) for left in range(3)}


def test_decode_gives_rgb_at_the_wanted_size():
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 2] = 255  # OpenCV's order is BGR
    jpeg = cv2.imencode(".jpg", red, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    frame = augment.decode(jpeg, 40)
    assert frame.shape == (40, 60, 3)
    assert frame.mean((0, 1)) == pytest.approx([254, 0, 0], abs=2)
    assert augment.decode(jpeg, 20).shape == (20, 30, 3)
    assert augment.decode(jpeg, 80).shape == (80, 120, 3)


def test_what_is_not_an_image_is_an_error():
    with pytest.raises(ValueError, match="not an image"):
        augment.decode(b"nonsense", 32)
