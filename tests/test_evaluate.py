import json
import types

import numpy as np
import pytest

from haa_jax import evaluate, objectives

CLIPS = ("pushup_017", "play_erhu_018", "pushup_019")
SCORES = {"atomic": np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]], np.float32)}
LABELS = {"atomic": np.array([0, 1, 0], np.int32)}


@pytest.fixture
def experiment():
    """What scoring and writing need of one: three clips of two areas, one head."""
    index = types.SimpleNamespace(clip_id=list(CLIPS), area=np.array([2, 0, 2], np.int32))
    return types.SimpleNamespace(
        splits={"test": types.SimpleNamespace(index=index, labels=LABELS)},
        taxonomy=types.SimpleNamespace(area_names=("music", "games", "sports")),
        heads=(objectives.Head("atomic", ("pushup", "play_erhu"), np.array([0, 1])),),
    )


def test_the_predictions_file_says_all_that_fusing_needs(experiment, tmp_path):
    results = evaluate.score(experiment, SCORES, "test")
    evaluate.write_results(tmp_path, experiment, SCORES, results)
    with np.load(tmp_path / evaluate.PREDICTIONS_FILE, allow_pickle=False) as file:
        arrays = dict(file)
    assert list(arrays["clip_ids"]) == list(CLIPS)
    assert list(arrays["areas"]) == ["sports", "music", "sports"]
    assert list(arrays["atomic_classes"]) == ["pushup", "play_erhu"]
    assert np.array_equal(arrays["atomic_labels"], LABELS["atomic"])
    assert np.array_equal(arrays["atomic_logits"], SCORES["atomic"])
    assert len(arrays) == 5


def test_the_metrics_file_splits_the_accuracy_by_area(experiment, tmp_path):
    evaluate.write_results(tmp_path, experiment, SCORES, evaluate.score(experiment, SCORES, "test"))
    written = json.loads((tmp_path / evaluate.METRICS_FILE).read_text())
    assert (written["split"], written["evaluated_head"]) == ("test", "atomic")
    areas = written["heads"]["atomic"]["area"]
    assert {name: (figure["correct"], figure["count"]) for name, figure in areas.items()} == {
        "music": (1, 1),
        "sports": (1, 2),
    }


def test_a_file_that_could_not_be_written_leaves_the_one_before(experiment, tmp_path):
    results = evaluate.score(experiment, SCORES, "test")
    evaluate.write_results(tmp_path, experiment, SCORES, results)
    before = (tmp_path / evaluate.METRICS_FILE).read_bytes()
    with pytest.raises(TypeError):
        evaluate.write_results(tmp_path, experiment, SCORES, {**results, "heads": object()})
    assert (tmp_path / evaluate.METRICS_FILE).read_bytes() == before
