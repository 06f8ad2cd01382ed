import numpy as np
import pytest

from haa_jax import averaging
from haa_jax.averaging import ClipOutputs
from haa_jax.models.heads import average_sigmoid


def test_outputs_find_their_clip_and_view_in_any_order_and_padding_is_dropped():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 3, 2)).astype(np.float32)  # clips, views, size
    rows = rng.permutation([(clip, view, True) for clip in range(5) for view in range(3)] + [(0, 0, False)] * 3)
    weighted = lambda x, axis: (x * np.float32([[1], [10], [100]])).sum(axis)  # noqa: E731  order counts
    outputs = ClipOutputs(np.full(5, 3), weighted)
    for part in np.split(rows, 6):
        values_of_rows = np.where(part[:, 2:], values[part[:, 0], part[:, 1]], np.nan)
        outputs.add({"atomic": values_of_rows}, part[:, 0], part[:, 1], part[:, 2].astype(bool))
    np.testing.assert_allclose(
        outputs.averaged["atomic"], values.transpose(0, 2, 1) @ np.float32([1, 10, 100]), rtol=1e-6
    )


def test_clips_may_have_different_numbers_of_views():
    outputs = ClipOutputs(np.array([1, 3]), np.mean)
    values = np.float32([[5], [1], [2], [6]])
    outputs.add({"atomic": values}, np.array([0, 1, 1, 1]), np.array([0, 0, 1, 2]), np.ones(4, bool))
    assert outputs.averaged["atomic"].tolist() == [[5], [3]]


def test_a_clip_that_lacks_a_view_is_nan():
    outputs = ClipOutputs(np.full(2, 2), np.mean)
    outputs.add({"atomic": np.ones((3, 4), np.float32)}, np.array([0, 1, 1]), np.array([0, 0, 1]), np.ones(3, bool))
    assert np.isnan(outputs.averaged["atomic"][0]).all()
    assert (outputs.averaged["atomic"][1] == 1).all()


def test_sigmoids_are_probabilities_whose_mean_is_that_of_the_views():
    logits = np.float32([[-800, -1, 0, 2, 800], [1, 1, 1, 1, 1]])
    assert averaging.sigmoid(logits)[0].tolist() == pytest.approx([0, 0.26894142, 0.5, 0.88079708, 1])
    found = average_sigmoid(logits[:, 1:4], 0)
    assert averaging.sigmoid(found) == pytest.approx(averaging.sigmoid(logits[:, 1:4]).mean(0), rel=1e-5)
    assert average_sigmoid(logits[:1, 1:4], 0) == pytest.approx(logits[0, 1:4], abs=1e-6)
