import json

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


def test_a_constant_prediction_is_never_correct():
    assert not metrics.top_k(np.zeros((3, 8)), np.array([0, 3, 7]), 5).any()


def test_mean_class_accuracy_weighs_classes_equally():
    labels = np.array([0, 0, 0, 0, 1, 1])
    figure = metrics.mean_class_accuracy(np.array([True, True, False, False, True, True]), labels)
    assert figure["value"] == pytest.approx((0.5 + 1.0) / 2)
    assert figure["standard_error"] == pytest.approx(np.sqrt(0.25 / 3) / 2)
    assert figure["classes"] == 2


@pytest.mark.parametrize("clips", [2, 3, 10])
def test_the_standard_error_of_the_mean_class_accuracy_is_its_deviation_over_many_test_sets(clips):
    rng = np.random.default_rng(0)
    chances = rng.uniform(size=40)  # of each class to be right
    labels = np.repeat(np.arange(40), clips)
    figures = [metrics.mean_class_accuracy(rng.random(labels.size) < chances[labels], labels) for _ in range(3000)]
    deviation = np.std([figure["value"] for figure in figures])
    error = np.sqrt(np.mean([figure["standard_error"] ** 2 for figure in figures]))
    # A deviation of 3,000 draws is itself known to 1.3 %; p (1 - p) / n would be 29, 18 and 5 % too small.
    assert error == pytest.approx(deviation, rel=0.04)


def test_the_standard_error_is_not_known_if_a_class_has_one_clip():
    labels = np.array([0, 0, 0, 1])
    figure = metrics.mean_class_accuracy(np.array([True, False, True, True]), labels)
    assert figure["standard_error"] is None
    results = metrics.classification(np.eye(4)[labels], labels, np.zeros(4, int), ["a"])
    assert "100.00 % +- not known  (2 classes)" in metrics.describe(results)
    assert json.loads(json.dumps(results))["mean_class"]["standard_error"] is None


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (1, ["top1"]),
        (2, ["top1"]),
        (3, ["top1"]),
        (4, ["top1", "top3"]),
        (5, ["top1", "top3"]),
        (6, ["top1", "top3", "top5"]),
    ],
)
def test_a_figure_that_would_always_be_100_percent_is_left_out(classes, expected):
    logits, labels = np.random.default_rng(0).normal(size=(20, classes)), np.arange(20) % classes
    results = metrics.classification(logits, labels, np.zeros(20, int), ["a"])
    assert [key for key in results if key.startswith("top")] == expected
    assert len(metrics.describe(results).splitlines()) == len(expected) + 2


def test_each_figure_counts_as_many_classes_as_its_name_says():
    ranked = np.tile(np.arange(6.0)[::-1], (6, 1))  # class 0 first, class 5 last, for every clip
    results = metrics.classification(ranked, np.arange(6), np.zeros(6, int), ["a"])
    assert {name: results[name]["correct"] for name in ("top1", "top3", "top5")} == {"top1": 1, "top3": 3, "top5": 5}
    assert results["mean_class"]["value"] == pytest.approx(1 / 6)


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


SETS = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]], np.int8)


def test_intersection_over_union():
    """Of {0, 1} and {0}; of {1} and {0, 1, 2}; of {0, 2} and nothing."""
    logits = np.array([[2.0, -1, -1, -1], [1, 2, 0.1, -3], [-1, -1, 0, -1]])
    assert metrics.intersection_over_union(logits, SETS, 0.5).tolist() == pytest.approx([1 / 2, 1 / 3, 0])
    assert metrics.intersection_over_union(logits, SETS, 0.8).tolist() == pytest.approx([1 / 2, 1, 0])
    nothing = np.zeros((1, 4), np.int8)
    assert metrics.intersection_over_union(np.full((1, 4), -1.0), nothing, 0.5).tolist() == [1]
    assert metrics.intersection_over_union(np.array([[-1.0, 1, -1, -1]]), nothing, 0.5).tolist() == [0]


def test_the_figures_of_several_labels():
    """The third class is ranked last but one: its average precision is 1/2. Nothing has the fourth."""
    logits = np.array([[2.0, 3, -1, 0], [-1, 2, 0, 0], [1, -1, -0.5, 0]])
    figures = metrics.several_labels(logits, SETS, 0.5)
    iou, precision = figures["mean_iou"], figures["mean_average_precision"]
    assert (iou["count"], iou["threshold"]) == (3, 0.5)
    assert iou["value"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert iou["standard_error"] == pytest.approx(np.std([1, 1, 0.5], ddof=1) / np.sqrt(3))
    assert precision == {
        "value": pytest.approx((1 + 1 + 1 / 2) / 3),
        "classes": 3,
        "left_out": 1,
        "standard_error": None,
    }
    assert metrics.describe(figures).splitlines() == [
        "  mean_iou                83.33 % +- 16.67  (3 clips, sigmoid above 0.5)",
        "  mean_average_precision  83.33 % +- not known  (3 classes, 1 without clips left out)",
    ]
    assert metrics.several_labels(logits[:1], SETS[:1], 0.5)["mean_iou"]["standard_error"] is None
