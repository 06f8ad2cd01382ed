import base64

import cv2
import numpy as np
import pytest

from tfds_haa500.browsing import film


def test_pictures_stand_side_by_side():
    pictures = [np.full((48, 64, 3), (200, 10 * t, 30), np.uint8) for t in range(5)]
    made = film.make("five", pictures, 2.0)
    assert (made.frames, made.size, made.seconds) == (5, (64, 48), 2.0)
    encoded = base64.b64decode(made.uri.removeprefix("data:image/webp;base64,"))
    strip = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert strip.shape == (48, 320, 3)
    middles = strip[24, 32::64].astype(int)
    np.testing.assert_allclose(middles, [(200, 10 * t, 30) for t in range(5)], atol=4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((256, 341), (96, 128)), ((40, 60), (40, 60)), ((256, 2000), (31, 240)), ((700, 256), (240, 88))],
)
def test_thumbnails_are_small_and_never_enlarged(size, expected):
    assert film.shrunk(np.zeros((*size, 3), np.uint8)).shape[:2] == expected


def test_the_largest_film_fits_into_an_image():
    made = film.make("wide", [np.zeros((96, 240, 3), np.uint8)] * film.FRAMES, 1.0)
    assert made.strip[:4] == b"RIFF"


def test_pictures_are_chosen_evenly():
    assert film.chosen(5, most=16).tolist() == [0, 1, 2, 3, 4]
    assert film.chosen(64, most=4).tolist() == [0, 16, 32, 48]
    assert film.chosen(1).tolist() == [0]
