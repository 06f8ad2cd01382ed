import types

import numpy as np
import pytest

from haa_jax import streams
from haa_jax.browsing import inputs
from haa_jax.data import views
from tests.streams.clips import numbered_example, settings, textured_example
from tfds_haa500.browsing import drawing

BOXES = {"objects": np.array([[t, 3, 0, 0, 1, 1, 0.5] for t in range(6)], np.float32)}


def at_test(data, example=None) -> views.Clip:
    clips = views.empty_clips(data, 1)
    views.ClipViews(lambda: example or textured_example() | BOXES, data, 1, 1).write(0, views.row(clips, 0))
    return views.row(clips, 0)


@pytest.mark.parametrize(
    "fields", [{}, {"bgr": True, "mean": (104.0, 117.0, 128.0), "std": (1.0,)}, {"mean": (110.0,), "std": (57.0,)}]
)
def test_frames_are_those_that_were_normalized(fields):
    data = settings(**fields)
    clip = at_test(data)
    ((caption, seen),) = inputs.pictures(clip, data)
    assert caption.startswith("rgb")
    np.testing.assert_array_equal(seen, clip["rgb"])


def test_flow_is_drawn_by_direction_after_its_normalization_is_undone():
    data = settings("flow", flow_stack=2, frames=2)
    clip = {"flow": np.full((2, 32, 32, 4), 128, np.uint8)}
    clip["flow"][..., 0] = 255  # 20 pixels to the right in the first of two fields
    ((caption, seen),) = inputs.pictures(clip, data)
    assert caption == "flow, first of 2 fields, full color at 20.0 px"
    np.testing.assert_allclose(seen, np.broadcast_to((255, 0, 0), seen.shape), atol=2)


def test_fused_streams_are_drawn_apart():
    data = settings("rgb+pose")
    (_, frames), (caption, pose) = inputs.pictures(at_test(data), data)
    assert frames.shape == pose.shape == (4, 32, 32, 3)
    assert caption == "pose"
    heatmaps = np.asarray(streams.preprocess({n: x[None] for n, x in at_test(data).items()}, data))[0, ..., 3:]
    np.testing.assert_allclose(pose, 255 * heatmaps, atol=0.51)


def test_objects_have_the_colors_of_their_groups():
    data = settings("rgb+objects")
    _, (caption, planes) = inputs.pictures(at_test(data), data)
    assert caption == "objects"
    half = np.array(drawing.GROUP_COLORS[3]) * (128 / 255)
    np.testing.assert_allclose(planes, np.broadcast_to(half, planes.shape), atol=0.51)


@pytest.mark.parametrize("skeleton", ["coco17", "openpose18"])
def test_skeletons_are_drawn_in_the_frames_that_have_them(skeleton):
    data = settings("skeleton", frames=8, skeleton=skeleton)
    ((caption, seen),) = inputs.pictures(at_test(data, numbered_example(5)), data)
    assert caption == f"skeleton, {skeleton}"
    assert seen.any((1, 2, 3)).tolist() == [True] * 5 + [False] * 3
    # Person 0 is at a quarter of the height, person 1 at three quarters; x is t / 64.
    rows, columns, _ = seen[4].nonzero()
    side = inputs.SKELETON_SIDE
    assert {round(row / side * 4) for row in rows.tolist()} == {1, 3}
    assert abs(columns / side - 4 / 64).max() < 0.04


def test_a_stream_that_is_added_is_drawn_by_its_levels(monkeypatch):
    added = types.SimpleNamespace(preprocess=lambda clips, data: clips.astype("float32") / 128 - 1)
    monkeypatch.setitem(streams.STREAMS, "differences", added)
    levels = np.arange(2 * 4 * 4 * 1, dtype=np.uint8).reshape(2, 4, 4, 1)
    ((caption, seen),) = inputs.pictures({"differences": levels}, types.SimpleNamespace(stream="differences"))
    assert caption == "differences"
    assert (seen.shape, seen.min(), seen.max()) == ((2, 4, 4, 3), 0, 255)


def test_the_legend_is_of_the_streams_that_are_drawn():
    assert [entry.label for entry in inputs.legend(settings("rgb+pose"))] == ["head", "upper body", "lower body"]
    assert inputs.legend(settings()) == []
