"""The exports' own sampling and cropping, in NumPy, against haa_jax's."""

import numpy as np
import pytest

from haa_jax.exporting import clips, description
from haa_jax.learning import steps
from haa_jax.streams import images
from tests.streams.clips import settings, textured_example, views_at_test


def preprocessing(data, windows=1, crops=1, average="logits") -> dict:
    fields = {name: data[name] for name in description.BY_THE_CALLER}
    return {**fields, "windows": windows, "crops": crops, "average": average}


def decoded(example: dict, stream: str) -> np.ndarray:
    if stream == "rgb":
        return np.stack([images.decode(frame) for frame in example["video"]])
    axes = [[images.decode(field, gray=True) for field in example[name]] for name in ("flow_x", "flow_y")]
    return np.moveaxis(np.array(axes), 0, -1)


CASES = [
    {"sampling": "window", "stride": 2},
    {"sampling": "spread", "stride": 1, "temporal_padding": "clamp"},
    {"sampling": "segments"},
    {"sampling": "window", "stride": 1, "fps": 12.5, "temporal_padding": "repeat"},
]


@pytest.mark.parametrize("size", [(40, 60), (60, 40)])
@pytest.mark.parametrize("crops", [1, 3, 10])
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_views_are_those_of_the_evaluation(stream, case, crops, size):
    data = settings(stream, resize=40, flow_stack=3 if stream == "flow" else 1, **case)
    example = {**textured_example(9, size), "fps": 25.0}
    found = clips.views(decoded(example, stream), 25.0, preprocessing(data, 2, crops))
    np.testing.assert_array_equal(found, views_at_test(example, data, 2, crops))


@pytest.mark.parametrize("resize", [36, 53])
def test_scaled_pictures_are_within_a_level_of_opencv(resize):
    data, example = settings("rgb", resize=resize), textured_example(9, (40, 60))
    found = clips.views(decoded(example, "rgb"), 25.0, preprocessing(data)).astype(int)
    difference = np.abs(found - views_at_test(example, data))
    assert difference.max() <= 1
    assert difference.mean() < 0.2


def test_a_short_video():
    data, example = settings("flow", resize=40, flow_stack=5), textured_example(3, (40, 60))
    found = clips.views(decoded(example, "flow"), 25.0, preprocessing(data))
    np.testing.assert_array_equal(found, views_at_test(example, data))


@pytest.mark.parametrize("average", steps.AVERAGES)
def test_views_are_averaged_as_in_the_evaluation(average):
    logits = np.random.default_rng(0).normal(scale=3, size=(6, 5)).astype(np.float32)
    found = clips.average(logits, {"average": average})
    np.testing.assert_allclose(found, steps.AVERAGES[average](logits, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("stream", "fields"), [("skeleton", {}), ("rgb", {"person_crop": 1.2}), ("rgb+pose", {})])
def test_other_clips_are_refused(stream, fields):
    with pytest.raises(ValueError, match="not plain crops of pictures"):
        clips.views(np.zeros((4, 40, 60, 3), np.uint8), 25.0, preprocessing(settings(stream, **fields)))
