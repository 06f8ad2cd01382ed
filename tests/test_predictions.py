import csv

import numpy as np
import pytest

from haa_jax import metrics, predictions

LOGITS = np.array([[0, 2, 1, 0], [5, 5, 1, 0], [1, 2, 3, 4], [0, 0, 0, 0]], np.float32)
LABELS = np.array([1, 0, 0, 3], np.int32)


@pytest.fixture
def run():
    return {
        "clip_ids": np.array(["a", 'b, "quoted"', "c", "d"]),
        "areas": np.array(["x", "x", "y", "y"]),
        "atomic_logits": LOGITS,
        "atomic_labels": LABELS,
        "atomic_classes": np.array(["jump", "play_ erhu", "ñandú", "=sit"]),
    }


def read_csv(path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_names_classes_and_agrees_with_the_accuracies(run, tmp_path):
    results = predictions.score(run, "test", "atomic")
    predictions.write(tmp_path, run, results)
    rows = read_csv(tmp_path / predictions.TABLE_FILE)
    assert list(rows[0]) == [
        *("clip_id", "area", "atomic_label", "atomic_predicted"),
        *("atomic_correct", "atomic_score", "atomic_label_score", "atomic_rank"),
    ]
    assert [row["clip_id"] for row in rows] == run["clip_ids"].tolist()
    assert [row["atomic_label"] for row in rows] == ["play_ erhu", "jump", "jump", "=sit"]
    assert [row["atomic_predicted"] for row in rows] == ["play_ erhu", "play_ erhu", "=sit", "jump"]
    assert [row["atomic_rank"] for row in rows] == ["1", "2", "4", "4"]
    assert float(rows[0]["atomic_score"]) == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1) + 2), abs=1e-4)
    assert float(rows[2]["atomic_label_score"]) == pytest.approx(1 / (1 + np.e + np.e**2 + np.e**3), abs=1e-4)
    figures = results["heads"]["atomic"]
    assert sum(int(row["atomic_correct"]) for row in rows) == figures["top1"]["correct"] == 1
    assert sum(int(row["atomic_rank"]) <= 3 for row in rows) == figures["top3"]["correct"] == 2


def test_a_tie_counts_against_the_label_as_in_the_accuracies():
    rng = np.random.default_rng(0)
    logits, labels = rng.integers(0, 3, (200, 6)).astype(np.float32), rng.integers(0, 6, 200)
    order = predictions.ranked(logits, labels)
    assert (np.sort(order, axis=1) == np.arange(6)).all()
    assert (np.diff(np.take_along_axis(logits, order, axis=1), axis=1) <= 0).all()
    for k in (1, 3, 5):
        in_first = (order[:, :k] == labels[:, None]).any(axis=1)
        assert np.array_equal(in_first, metrics.top_k(logits, labels, k))


def test_a_table_that_could_not_be_written_leaves_the_one_before(run, tmp_path):
    predictions.write(tmp_path, run, {})
    before = (tmp_path / predictions.TABLE_FILE).read_bytes()
    with pytest.raises(IndexError):
        predictions.write(tmp_path, run | {"atomic_labels": np.array([9, 0, 0, 0])}, {})
    assert (tmp_path / predictions.TABLE_FILE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "predictions.csv", "predictions.npz"]


@pytest.fixture
def sets():
    return {
        "clip_ids": np.array(["a", "b"]),
        "atomic_logits": np.array([[0, 2, 1, -1], [-5, -5, -1, -2]], np.float32),
        "atomic_labels": np.array([[1, 1, 0, 0], [0, 0, 0, 1]], np.int8),
        "atomic_classes": np.array(["jump", "play_ erhu", "ñandú", "=sit"]),
        "atomic_threshold": np.array(0.5),
    }


def test_predictions_of_several_classes_are_written_and_read(sets, tmp_path):
    results = predictions.score(sets, "test", "atomic")
    predictions.write(tmp_path, sets, results)
    assert read_csv(tmp_path / predictions.TABLE_FILE) == [
        {
            "clip_id": "a",
            "atomic_labels": "jump; play_ erhu",
            "atomic_predicted": "play_ erhu; ñandú",
            "atomic_scores": "0.8808; 0.7311",
            "atomic_iou": "0.3333",
        },
        {"clip_id": "b", "atomic_labels": "=sit", "atomic_predicted": "", "atomic_scores": "", "atomic_iou": "0.0000"},
    ]
    read = predictions.read(tmp_path / predictions.PREDICTIONS_FILE)
    assert read.keys() == sets.keys()
    assert predictions.score(read, "test", "atomic") == results
    assert predictions.best_figure(results)[0] == "mean_average_precision"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("atomic_labels", np.array([[1, 2, 0, 0], [0, 0, 0, 1]]), "atomic_labels are not 0 or 1 for a"),
        ("atomic_labels", np.array([[1, 1, 0, 0], [0, 0, 0, 0]]), "atomic_labels have no class for b"),
        ("atomic_labels", np.array([[1, 1, 0], [0, 0, 1]]), "clip_ids, atomic_labels and atomic_logits have shapes"),
        ("atomic_threshold", np.array(1.5), "atomic_threshold is 1.5"),
        ("areas", np.array(["x", "y"]), "it holds"),
    ],
)
def test_predictions_of_several_classes_are_checked(sets, tmp_path, key, value, problem):
    np.savez(tmp_path / "predictions.npz", **sets | {key: value})
    with pytest.raises(predictions.EvaluationError, match=problem):
        predictions.read(tmp_path / "predictions.npz")


def test_sets_in_another_order_are_aligned_and_differences_named(sets):
    swapped = {key: value if key.endswith(("_classes", "_threshold")) else value[::-1] for key, value in sets.items()}
    aligned = predictions.align(sets, swapped, "x")
    assert all(np.array_equal(aligned[key], sets[key]) for key in sets)
    other = sets | {"atomic_labels": np.array([[1, 1, 0, 0], [1, 0, 0, 1]], np.int8), "atomic_threshold": np.array(0.3)}
    with pytest.raises(predictions.EvaluationError) as error:
        predictions.align(sets, other, "x")
    assert str(error.value).splitlines() == [
        "x: atomic_labels differ for b",
        "x: atomic_threshold is 0.3 here, 0.5 in the first file",
    ]


def test_one_class_and_several_cannot_be_compared(sets):
    one = {key: value for key, value in sets.items() if not key.endswith("_threshold")}
    one |= {"areas": np.array(["x", "x"]), "atomic_labels": np.array([0, 3], np.int32)}
    with pytest.raises(predictions.EvaluationError, match="of one class a clip in one file, and of several in the"):
        predictions.align(sets, one, "x")
