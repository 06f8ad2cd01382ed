import numpy as np
import pytest

from haa_jax.configs import base
from haa_jax.data import augment
from haa_jax.streams import flow, images, rgb


def settings(**fields):
    data = base.get_config().data
    data.update(fields)
    return data


def draw(shape, count=300, seed=0, scales=(1, 0.875, 0.75), **fields):
    rng, config = np.random.default_rng(seed), settings(**fields)
    return [augment.train_box(*shape, config, scales, rng) for _ in range(count)]


def assert_inside(boxes, height, width):
    for box in boxes:
        assert 0 <= box.top <= box.top + box.height <= height
        assert 0 <= box.left <= box.left + box.width <= width
        assert min(box.height, box.width) > 0


def test_the_short_side_is_drawn_from_a_range():
    rng = np.random.default_rng(0)
    assert {augment.train_short_side(settings(resize=8), rng) for _ in range(20)} == {8}
    assert {augment.train_short_side(settings(resize=8, resize_max=11), rng) for _ in range(200)} == {8, 9, 10, 11}


@pytest.mark.parametrize(
    ("shape", "crop", "crops", "expected"),
    [
        ((256, 455), 224, 1, [(16, 115)]),
        ((256, 456), 224, 3, [(16, 0), (16, 116), (16, 232)]),
        ((456, 256), 224, 3, [(0, 16), (116, 16), (232, 16)]),
        ((256, 341), 256, 3, [(0, 0), (0, 43), (0, 85)]),
        ((224, 224), 224, 3, [(0, 0)] * 3),
        ((256, 341), 224, 10, [(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)] * 2),
    ],
)
def test_boxes_at_test(shape, crop, crops, expected):
    boxes = augment.test_boxes(*shape, crop, crops)
    assert [(box.top, box.left) for box in boxes] == expected
    assert {(box.height, box.width) for box in boxes} == {(crop, crop)}
    assert [box.flip for box in boxes] == ([False] * 5 + [True] * 5 if crops == 10 else [False] * crops)


def test_random_crops_reach_every_place_and_half_are_mirrored():
    boxes = draw((5, 6), crop=4)
    assert {(box.top, box.left) for box in boxes} == {(top, left) for top in range(2) for left in range(3)}
    assert {(box.height, box.width) for box in boxes} == {(4, 4)}
    assert 110 < sum(box.flip for box in boxes) < 190
    assert not any(box.flip for box in draw((5, 6), crop=4, flip=False))


@pytest.mark.parametrize(("stream", "smallest"), [(rgb, 168), (flow, 192)])
def test_multi_scale_has_the_authors_sizes_and_places(stream, smallest):
    boxes = draw((256, 340), 4000, augment="multi_scale", scales=stream.SCALES)
    assert_inside(boxes, 256, 340)
    sizes = [size for size in (256, 224, 192, 168) if size >= smallest]
    found = {(box.height, box.width) for box in boxes}
    assert found == {(a, b) for a in sizes for b in sizes if abs(sizes.index(a) - sizes.index(b)) <= 1}
    # A crop of 224 by 224 can move by (32, 116).
    places = {(box.top, box.left) for box in boxes if (box.height, box.width) == (224, 224)}
    ends = {(top, left) for top in (0, 16, 32) for left in (0, 58, 116)}
    assert places == ends | {(top, left) for top in (8, 24) for left in (29, 87)}


@pytest.mark.parametrize("place", ["multi_scale", "resized_crop"])
@pytest.mark.parametrize("shape", [(37, 53), (53, 37), (41, 41), (36, 301), (301, 36)])
def test_boxes_stay_inside_frames_of_any_size(place, shape):
    assert_inside(draw(shape, augment=place, crop=32, resize=36), *shape)


def test_resized_crops_have_the_areas_and_ratios_of_googlenet():
    boxes = draw((256, 340), 3000, augment="resized_crop")
    areas = np.array([box.height * box.width / (256 * 340) for box in boxes])
    ratios = np.array([box.width / box.height for box in boxes])
    assert 0.078 < areas.min() < 0.1  # sides are whole pixels, so a little beyond 8 %
    assert 0.9 < areas.max() <= 1
    assert 0.74 < ratios.min() < 0.77
    assert 1.3 < ratios.max() < 1.35
    assert abs(np.median(np.log(ratios))) < 0.05
    assert {box.top for box in boxes if box.height == 200} - {0}  # and they move


def test_a_frame_that_no_resized_crop_fits_is_center_cropped():
    """8 % of a strip of 100 to 1 exceed its height at any ratio of 3:4 to 4:3."""
    assert draw((10, 1000), 1, augment="resized_crop", flip=False) == [images.Box(0, 495, 10, 10)]
