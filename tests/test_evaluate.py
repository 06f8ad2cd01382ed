import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax import embed, evaluate, predictions, streams, train
from haa_jax.configs import i3d
from haa_jax.data import dataset, pipeline
from haa_jax.data.labels import Head
from haa_jax.data.views import ClipViews, empty_clips, row
from haa_jax.experiment import Experiment, create_experiment
from haa_jax.learning import objectives, steps
from haa_jax.runtime import mesh

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
        heads=(Head("atomic", "label", ("pushup", "play_erhu"), np.array([0, 1])),),
        objective=objectives.OBJECTIVES["atomic"],
    )


def test_the_predictions_file_holds_all_that_fusing_needs(experiment, tmp_path):
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
    table = (tmp_path / predictions.TABLE_FILE).read_text().splitlines()
    assert table[2].startswith("play_erhu_018,music,play_erhu,play_erhu,1,0.95")


def test_the_metrics_file_splits_the_accuracy_by_area(experiment, tmp_path):
    evaluate.write_results(tmp_path, experiment, SCORES, evaluate.score(experiment, SCORES, "test"))
    written = json.loads((tmp_path / evaluate.METRICS_FILE).read_text())
    assert (written["split"], written["evaluated_head"]) == ("test", "atomic")
    areas = written["heads"]["atomic"]["area"]
    assert {name: (figure["correct"], figure["count"]) for name, figure in areas.items()} == {
        "music": (1, 1),
        "sports": (1, 2),
    }


def test_each_head_has_its_own_labels_and_the_composite_one_is_validated(experiment, tmp_path, monkeypatch):
    logits = SCORES | {"composite": np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], np.float32)}
    experiment.splits["test"].labels = LABELS | {"composite": np.array([1, 1, 1], np.int32)}
    experiment.heads += (Head("composite", "composite", ("sport", "music"), np.array([0, 1])),)
    experiment.objective = objectives.OBJECTIVES["joint"]
    experiment.splits["validation"], experiment.validation_views = experiment.splits["test"], VIEWS
    results = evaluate.score(experiment, logits, "test")
    evaluate.write_results(tmp_path, experiment, logits, results)
    assert results["evaluated_head"] == "composite"
    assert {name: figures["top1"]["correct"] for name, figures in results["heads"].items()} == {
        "atomic": 2,
        "composite": 3,
    }
    with np.load(tmp_path / evaluate.PREDICTIONS_FILE) as arrays:
        for name, labels in experiment.splits["test"].labels.items():
            assert np.array_equal(arrays[f"{name}_labels"], labels)
            assert np.array_equal(arrays[f"{name}_logits"], logits[name])
        assert list(arrays["composite_classes"]) == ["sport", "music"]

    monkeypatch.setattr(evaluate, "predict", lambda *_: logits)
    plotted = {}
    writer = types.SimpleNamespace(write_scalars=lambda step, figures: plotted.update(figures))
    own_state, stop = types.SimpleNamespace(variables={}), types.SimpleNamespace(check=None)
    assert train._validate(experiment, own_state, writer, 1, stop) == 1.0
    assert plotted["validation/atomic_top1"] == pytest.approx(2 / 3)
    assert plotted["validation/composite_top1"] == 1.0
    assert plotted["validation/composite_loss"] == pytest.approx(np.log(1 + np.exp(-1)), rel=1e-6)


def test_a_file_that_could_not_be_written_leaves_the_one_before(experiment, tmp_path):
    results = evaluate.score(experiment, SCORES, "test")
    evaluate.write_results(tmp_path, experiment, SCORES, results)
    before = (tmp_path / evaluate.METRICS_FILE).read_bytes()
    with pytest.raises(TypeError):
        evaluate.write_results(tmp_path, experiment, SCORES, {**results, "heads": object()})
    assert (tmp_path / evaluate.METRICS_FILE).read_bytes() == before


# Views become predictions.

VIEWS = pipeline.Views(4, 3)


@pytest.fixture
def seen_often(tiny_config, shallow_i3d):
    """A config with several windows and crops, its experiment, and variables whose logits differ from clip to clip."""
    tiny_config.eval.windows, tiny_config.eval.crops = VIEWS
    exp = create_experiment(tiny_config)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda x: np.abs(rng.normal(scale=0.1, size=x.shape)).astype(x.dtype), exp.abstract_state.variables
    )
    return exp, variables


def clip_by_clip(exp, outputs, average, split="test"):
    """The outputs of all views at once, averaged, one clip after the other: (clips, size)."""
    rows = []
    for clip in range(len(exp.splits[split])):
        views = ClipViews(lambda clip=clip: exp.splits[split].reader[clip], exp.test_data, *VIEWS)
        all_views = empty_clips(exp.test_data, VIEWS.windows * VIEWS.crops)
        for view in range(VIEWS.windows * VIEWS.crops):
            views.write(view, row(all_views, view))
        rows.append(average(outputs(streams.preprocess(all_views, exp.test_data)), axis=0))
    return np.stack(rows)


@pytest.mark.parametrize("average", ["logits", "softmax"])
def test_predictions_are_those_of_all_views_at_once_one_clip_after_the_other(seen_often, average):
    exp, variables = seen_often
    exp.config.eval.average = average
    network = jax.jit(lambda x: exp.model.apply(variables, x, train=False)[0]["atomic"])
    expected = clip_by_clip(exp, network, steps.AVERAGES[average])
    scale = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 1e-2 * scale
    for batch_size in (1, 5):  # on each device: a clip is spread over batches, and a batch has several clips
        exp.config.eval.batch_size = batch_size
        found = evaluate.predict(exp, variables, "test")["atomic"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * scale)


def test_features_are_those_of_all_views_at_once_one_clip_after_the_other(seen_often):
    exp, variables = seen_often
    network = jax.jit(lambda x: exp.model.apply(variables, x, train=False, endpoints=("features",))[1]["features"])
    expected = clip_by_clip(exp, network, np.mean)
    found = embed.features(exp, variables, "test")
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_validation_has_views_of_its_own_and_the_same_compiled_step(seen_often):
    exp, variables = seen_often
    assert (exp.test_views, exp.validation_views) == ((4, 3), (1, 1))
    seen = []
    original, pipeline_batches = exp.eval_step, pipeline.eval_batches

    def watched(split, config, views, *rest):
        seen.append((len(split), views))
        return pipeline_batches(split, config, views, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "eval_batches", watched)
        writer = types.SimpleNamespace(write_scalars=lambda *_: None)
        own_state = types.SimpleNamespace(variables=variables)
        train._validate(exp, own_state, writer, 1, types.SimpleNamespace(check=None))
        evaluate.predict(exp, variables, "test")
        exp.config.eval.validation_windows, exp.config.eval.validation_crops = 2, 3
        train._validate(exp, own_state, writer, 2, types.SimpleNamespace(check=None))
    assert seen == [(4, (1, 1)), (12, (4, 3)), (4, (2, 3))]
    assert original._cache_size() == 1


def test_clips_are_prepared_in_the_sizes_of_the_test():
    config = i3d.get_config("pose")
    config.eval.crop = 16
    width_as_logit = types.SimpleNamespace(apply=lambda _, x, train: ({"atomic": jnp.full((len(x), 1), x.shape[-2])},))
    fields = {field.name: None for field in dataclasses.fields(Experiment)}
    exp = Experiment(**fields | {"config": config, "model": width_as_logit, "mesh": mesh.make_mesh()})
    logits = exp.eval_step({}, {"clips": {"pose": np.zeros((8, 2, 17, 3), np.float32)}})
    assert (logits["atomic"] == 16).all()


def test_the_progress_of_an_evaluation_is_its_rate_and_the_time_left(caplog):
    with caplog.at_level("INFO"):
        evaluate._log_progress("test", number=30, total=120, clips=1000, seconds=60.0)
    assert "test: 30 of 120 batches, 4.2 clips/s, 0:03:00 left" in caplog.text


def test_a_stop_leaves_an_evaluation_between_batches(seen_often):
    exp, variables = seen_often
    calls = []

    def stop():
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate.predict(exp, variables, "test", stop)
    assert len(calls) == 3


# The split of the last evaluation.


def test_the_last_evaluation_is_on_the_split_that_the_config_names(tiny_config, shallow_i3d, tmp_path):
    tiny_config.train.epochs, tiny_config.train.steps, tiny_config.eval.every_epochs = 0.0, 1, 0.0
    tiny_config.eval.split, tiny_config.eval.windows = "validation", 2
    assert set(create_experiment(tiny_config).splits) == {
        "train",
        "validation",
    }  # a dataset without a test split will do
    results = train.train_and_evaluate(tiny_config, tmp_path)
    assert results["split"] == json.loads((tmp_path / evaluate.METRICS_FILE).read_text())["split"] == "validation"
    assert results["heads"]["atomic"]["top1"]["count"] == 4
    assert evaluate.evaluate_workdir(tiny_config, tmp_path)["split"] == "validation"
    tiny_config.eval.split = "test"
    again = evaluate.evaluate_workdir(tiny_config, tmp_path)
    assert (again["split"], again["heads"]["atomic"]["top1"]["count"]) == ("test", 12)


def test_a_dataset_without_a_test_split_names_the_field(tiny_config, monkeypatch):
    opened = dataset.open_builder

    def without_test(*args):
        builder = opened(*args)
        builder.info.splits.pop("test")
        return builder

    monkeypatch.setattr(dataset, "open_builder", without_test)
    with pytest.raises(dataset.DatasetError, match="no test split, only .*: set config.eval.split=validation"):
        create_experiment(tiny_config)
    tiny_config.eval.split = "validation"
    assert len(create_experiment(tiny_config).splits["validation"]) == 4
