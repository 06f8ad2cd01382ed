import numpy as np
import pytest

from haa_jax import metrics


def test_accuracy_is_k_of_n_with_the_binomial_standard_error():
    figure = metrics.accuracy(np.arange(1500) < 503)  # the paper's I3D RGB
    assert (figure["correct"], figure["count"]) == (503, 1500)
    assert figure["value"] == pytest.approx(0.33533, abs=1e-5)
    assert figure["standard_error"] == pytest.approx(0.01219, abs=1e-5)


def test_top_k():
    logits = np.array([[4.0, 3, 2, 1], [1, 2, 3, 4], [1, 4, 3, 2]])
    labels = np.array([0, 0, 2])
    assert list(metrics.top_k(logits, labels, 1)) == [True, False, False]
    assert list(metrics.top_k(logits, labels, 2)) == [True, False, True]
    assert list(metrics.top_k(logits, labels, 4)) == [True, True, True]


def test_a_constant_prediction_is_never_right():
    assert not metrics.top_k(np.zeros((3, 8)), np.array([0, 3, 7]), 5).any()


def test_mean_class_accuracy_weighs_classes_equally():
    labels = np.array([0, 0, 0, 0, 1])
    figure = metrics.mean_class_accuracy(np.array([True, True, False, False, True]), labels)
    assert figure["value"] == pytest.approx((0.5 + 1.0) / 2)
    assert figure["standard_error"] == pytest.approx(0.25 / 2)
    assert figure["classes"] == 2


def test_areas_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    logits, labels, areas = rng.normal(size=(90, 6)), rng.integers(6, size=90), rng.integers(3, size=90)
    results = metrics.classification(logits, labels, areas, ["a", "b", "c", "never"])
    assert set(results["area"]) == {"a", "b", "c"}
    for key in ("correct", "count"):
        assert sum(figure[key] for figure in results["area"].values()) == results["top1"][key]
    text = metrics.describe(results)
    assert f"({results['top1']['correct']}/90)" in text
    assert "(6 classes)" in text
