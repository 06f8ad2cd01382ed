"""Whole runs of a very narrow I3D on a small built dataset, in this process."""

import json
import logging
import math
import re
import subprocess
import sys
import threading

import jax
import numpy as np
import optax
import pytest
from tensorboard.backend.event_processing import event_file_loader
from tensorboard.util import tensor_util

from haa_jax import evaluate, not_finite, overview, restore, start, train
from haa_jax.data import sampling
from haa_jax.experiment import create_experiment
from haa_jax.learning import steps
from haa_jax.metrics import top_k
from haa_jax.runtime.checkpoint import CheckpointError, Checkpoints
from haa_jax.runtime.lock import LOCK_FILE, WorkdirInUse, locked
from haa_jax.runtime.paths import PathError
from haa_jax.runtime.signals import Interrupted, StopSignals


@pytest.fixture(autouse=True)
def _spoken(caplog, shallow_i3d):
    caplog.set_level(logging.INFO, logger="haa_jax")


def final_state(config, workdir):
    checkpoints = Checkpoints(workdir, keep=3)
    restored = checkpoints.restore_latest(create_experiment(config).abstract_state)
    checkpoints.close()
    return restored


def best_step(config, workdir):
    checkpoints = Checkpoints(workdir, keep=3)
    checkpoints.restore_latest(create_experiment(config).abstract_state)
    step = checkpoints.best_step()
    checkpoints.close()
    return step


def assert_bitwise_equal(left, right):
    leaves, others = jax.tree.leaves_with_path(left), jax.tree.leaves(right)
    assert len(leaves) == len(others) > 25
    different = [
        jax.tree_util.keystr(path)
        for (path, a), b in zip(leaves, others, strict=True)
        if np.asarray(a).tobytes() != np.asarray(b).tobytes()
    ]
    assert not different


def scalars(workdir) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: name -> step -> value."""
    found = {}
    for file in sorted(workdir.glob("events.out.tfevents.*")):
        for event in event_file_loader.EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.HasField("tensor") and not value.tensor.tensor_shape.dim:
                    found.setdefault(value.tag, {})[event.step] = float(tensor_util.make_ndarray(value.tensor))
    return found


def test_a_run_trains_evaluates_and_leaves_what_it_says(tiny_config, tmp_path, caplog):
    tiny_config.log_every_seconds = 0.0
    results = train.train_and_evaluate(tiny_config, tmp_path)
    assert results == json.loads((tmp_path / evaluate.METRICS_FILE).read_text())
    assert (results["step"], results["split"], results["evaluated_head"]) == (8, "test", "atomic")

    with np.load(tmp_path / evaluate.PREDICTIONS_FILE, allow_pickle=False) as saved:
        predictions = dict(saved)
    assert len(set(predictions["clip_ids"])) == 12
    assert predictions["atomic_logits"].shape == (12, 500)
    assert predictions["atomic_classes"][260] == "play_ otamatone"
    names = predictions["atomic_classes"][predictions["atomic_labels"]]
    assert [f"{name}" for name in names] == [str(clip)[:-4] for clip in predictions["clip_ids"]]
    hits = top_k(predictions["atomic_logits"], predictions["atomic_labels"], 1)
    figure = results["heads"]["atomic"]["top1"]
    assert (figure["correct"], figure["count"]) == (int(hits.sum()), 12)

    assert "step 8/8: loss" in caplog.text
    assert "waiting for data" in caplog.text
    assert re.search(r"^  Mixed_5c +[\d,]+$", caplog.text, re.MULTILINE)  # a line a block of the network
    assert "Branch_0" not in caplog.text
    assert "step 4: validation top-1" in caplog.text
    plotted = scalars(tmp_path)
    assert plotted["train/learning_rate"][2] == pytest.approx(0.05)
    assert plotted["train/learning_rate"][7] == pytest.approx(0.05)
    assert plotted["train/learning_rate"][8] == pytest.approx(0.005)  # it dropped at 0.8435 of 8 steps
    assert set(plotted["validation/atomic_loss"]) == set(plotted["validation/atomic_top1"]) == {4, 8}
    assert plotted["test/atomic_top1"] == {8: pytest.approx(figure["value"])}
    logits, labels = predictions["atomic_logits"], predictions["atomic_labels"]
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    assert plotted["test/atomic_loss"] == {8: pytest.approx(float(loss), rel=1e-5)}
    assert f"({figure['correct']}/12)" in caplog.text

    caplog.clear()
    assert evaluate.evaluate_workdir(tiny_config, tmp_path) == results
    tiny_config.eval.checkpoint = "best"
    best = evaluate.evaluate_workdir(tiny_config, tmp_path)
    assert best["step"] in (4, 8)


def test_the_step_is_traced_once_and_beside_what_makes_the_state(tiny_config, tmp_path, monkeypatch):
    """The batches and the state of the run must be what it was traced for, or it is traced again."""
    threads, traced = [], steps.train_step

    def train_step(*args, **named):
        threads.append(threading.current_thread().name)
        return traced(*args, **named)

    monkeypatch.setattr(steps, "train_step", train_step)
    tiny_config.train.update(epochs=0.0, steps=2)
    train.train_and_evaluate(tiny_config, tmp_path)
    assert len(threads) == 1
    assert threads[0].startswith("trace")


def test_a_finished_run_only_evaluates_again(tiny_config, tmp_path, caplog):
    tiny_config.train.update(epochs=0.0, steps=2)
    first = train.train_and_evaluate(tiny_config, tmp_path)
    caplog.clear()
    tiny_config.data.threads, tiny_config.log_every_seconds = 1, 1.0  # free to change
    assert train.train_and_evaluate(tiny_config, tmp_path) == first
    assert "resuming from the checkpoint at step 2" in caplog.text

    tiny_config.optimizer.learning_rate, tiny_config.data.frames = 0.5, 3
    message = (
        r"another experiment:\n  config.data.frames: 4 in the checkpoint, 3 now\n  config.optimizer.learning_rate: 0.05"
    )
    with pytest.raises(start.ResumeError, match=message):
        train.train_and_evaluate(tiny_config, tmp_path)
    tiny_config.checkpoint.allow_changes = True
    train.train_and_evaluate(tiny_config, tmp_path)
    assert "SETTINGS OTHER THAN" in caplog.text


@pytest.mark.parametrize(
    "field",
    ["seed", "objective", "area", "data.flip", "model.dropout", "train.accumulation_steps", "optimizer.momentum"],
)
def test_a_run_goes_on_with_the_settings_that_it_began_with(tiny_config, field):
    meta = {"config": tiny_config.to_dict(), "dataset": {"name": "haa500/tiny/1.1.0", "fingerprint": "f"}}
    start.check_same_experiment(json.loads(json.dumps(meta)), meta)
    changed = json.loads(json.dumps(meta))
    section = changed["config"]
    for name in field.split(".")[:-1]:
        section = section[name]
    section[field.split(".")[-1]] = "other"
    with pytest.raises(start.ResumeError, match=rf"another experiment:\n  config.{field}: 'other' in the checkpoint"):
        start.check_same_experiment(changed, meta)
    with pytest.raises(start.ResumeError, match="dataset.fingerprint"):
        start.check_same_experiment(meta | {"dataset": meta["dataset"] | {"fingerprint": "g"}}, meta)


def test_the_training_step_weighs_classes_by_their_clips_in_the_training_split(tiny_config, monkeypatch):
    passed = []
    monkeypatch.setattr(train, "train_step", lambda *args: passed.append(args[3]) or (lambda *state: state))
    train._compiled_step(create_experiment(tiny_config))
    tiny_config.train.class_weights = "balanced"
    exp = create_experiment(tiny_config)
    exp.splits["train"].labels["atomic"][:] = np.repeat([0, 1, 2], [32, 16, 16])  # and no clips of the fourth class
    train._compiled_step(exp)
    assert passed[0] is None
    assert passed[1]["atomic"][:4].tolist() == pytest.approx([64 / 96, 64 / 48, 64 / 48, 0])
    line = "class weights in the loss of atomic: 0.667 (ALS_IceBucket_Challenge) to 1.33 (CPR)"
    assert line in overview.describe(exp).splitlines()


def test_the_optimizer_has_the_length_and_the_batch_of_the_run(tiny_config):
    tiny_config.optimizer.update(momentum=0.0, base_batch_size=32)
    optimizer = create_experiment(tiny_config).optimizer
    params, grads = ({"Logits": {"atomic": {"bias": np.full(1, value, np.float32)}}} for value in (0, 1))
    own, rates = optimizer.init(params), []
    for _ in range(8):
        moved, own = optimizer.update(grads, own, params)
        rates.append(-float(moved["Logits"]["atomic"]["bias"][0]))
    assert rates == pytest.approx([0.05 * 16 / 32] * 7 + [0.005 * 16 / 32])  # it drops at 0.8435 of 8 steps


def test_two_runs_on_one_workdir(tiny_config, tmp_path):
    hold = "import sys\nfrom haa_jax.runtime.lock import locked\n"
    hold += "with locked(sys.argv[1]): print('held', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(WorkdirInUse, match=f"is in use by process {other.pid} on "):
            train.train_and_evaluate(tiny_config, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
    finally:
        other.kill()
        other.wait()
    with locked(tmp_path):  # a process that is gone, however, holds nothing
        pass


def test_a_workdir_in_a_bucket_is_not_locked_and_that_is_said(caplog):
    with locked("gs://bucket/runs/a"), locked("gs://bucket/runs/a"):
        pass
    assert caplog.text.count("gs://bucket/runs/a is in a bucket and not locked") == 2


class StopAfter(StopSignals):
    """Asks to stop as a signal would, when the loop has looked `looks` times."""

    looks = 0

    @property
    def requested(self):
        StopAfter.looks -= 1
        return StopAfter.looks < 0

    @requested.setter
    def requested(self, value):
        pass


def test_stopped_and_continued_ends_bitwise_as_if_nothing_happened(tiny_config, tmp_path, monkeypatch):
    tiny_config.train.update(epochs=0.0, steps=7)
    tiny_config.checkpoint.every_epochs = 10.0  # only the stop saves
    tiny_config.model.dropout = 0.5
    train.train_and_evaluate(tiny_config, tmp_path / "straight")

    # The loop looks once a step, and once for each batch of an evaluation (one of which comes after step 4).
    monkeypatch.setattr(train, "StopSignals", StopAfter)
    for looks in (2, 2, 1):  # before step 2, in the evaluation after step 4, before step 5
        StopAfter.looks = looks
        with pytest.raises(Interrupted):
            train.train_and_evaluate(tiny_config, tmp_path / "stopped")
    StopAfter.looks = 10**6
    train.train_and_evaluate(tiny_config, tmp_path / "stopped")

    straight, stopped = (final_state(tiny_config, tmp_path / name) for name in ("straight", "stopped"))
    assert straight.step == stopped.step == 7
    assert_bitwise_equal(straight.state, stopped.state)
    assert straight.meta["history"] == stopped.meta["history"] != {}
    assert best_step(tiny_config, tmp_path / "straight") == best_step(tiny_config, tmp_path / "stopped") is not None
    for name in (evaluate.METRICS_FILE, evaluate.PREDICTIONS_FILE):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()


def test_each_evaluation_sees_the_state_of_its_step_and_one_beside_the_run_changes_nothing(
    tiny_config, tmp_path, monkeypatch
):
    seen, scores = [], iter((0.75, 0.5))
    predict, validate = evaluate.predict, train._validate

    def watched(exp, variables, split, *rest):
        seen.append((split, jax.device_get(variables)))
        return predict(exp, variables, split, *rest)

    monkeypatch.setattr(evaluate, "predict", watched)
    monkeypatch.setattr(train, "_validate", lambda *args: (validate(*args), next(scores))[1])
    tiny_config.eval.checkpoint = "best"
    tiny_config.checkpoint.every_epochs, tiny_config.checkpoint.keep = 0.0, 1
    assert train.train_and_evaluate(tiny_config, tmp_path)["step"] == 4
    (tmp_path / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()  # a training that saves just now
    before = sorted((tmp_path / "checkpoints").rglob("*"))
    assert evaluate.evaluate_workdir(tiny_config, tmp_path)["step"] == 4
    tiny_config.eval.checkpoint = "last"
    assert evaluate.evaluate_workdir(tiny_config, tmp_path)["step"] == 8
    assert sorted((tmp_path / "checkpoints").rglob("*")) == before

    exp = create_experiment(tiny_config)
    checkpoints = Checkpoints(tmp_path, keep=1)
    states = {step: checkpoints.restore(step, exp.abstract_state).state for step in (4, 8)}
    states[0] = exp.fresh_state()
    checkpoints.close()
    saved = {step: {"params": own.params, "batch_stats": own.batch_stats} for step, own in states.items()}
    wanted = [("validation", 4), ("validation", 8), ("test", 4), ("test", 4), ("test", 8)]
    for (split, variables), (name, step) in zip(seen, wanted, strict=True):
        assert split == name
        assert_bitwise_equal(variables, saved[step])
    for one, other in ((0, 4), (4, 8)):
        assert not any(jax.tree.leaves(jax.tree.map(np.array_equal, saved[one], saved[other])))


def test_a_diverging_run_stops_names_the_step_and_keeps_the_last_good_checkpoint(tiny_config, tmp_path):
    tiny_config.train.update(epochs=0.0, steps=8)
    tiny_config.optimizer.learning_rate = 1e30
    with pytest.raises(not_finite.NonFiniteError, match=r"step \d: .*(loss|grad_norm)"):
        train.train_and_evaluate(tiny_config, tmp_path)
    report = json.loads((tmp_path / not_finite.NOT_FINITE_FILE).read_text())
    clips, _ = sampling.batch_clips(0, report["step"] - 1, 16, 64)
    assert report["clip_ids"] == [create_experiment(tiny_config).splits["train"].index.clip_id[clip] for clip in clips]
    assert set(report["metrics"].values()) <= {"nan", "inf"}
    kept = final_state(tiny_config, tmp_path)
    assert kept is None or all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept.state.opt_state))


def test_joint_training_evaluates_the_composite_head(tiny_config, tmp_path, caplog):
    tiny_config.objective = "joint"
    tiny_config.train.update(epochs=0.0, steps=1)
    results = train.train_and_evaluate(tiny_config, tmp_path)
    assert results["evaluated_head"] == "composite"
    assert set(results["heads"]) == {"atomic", "composite"}
    with np.load(tmp_path / evaluate.PREDICTIONS_FILE) as predictions:
        assert predictions["composite_logits"].shape == (12, len(predictions["composite_classes"]))


def test_an_area_has_its_own_run(tiny_config, tmp_path):
    tiny_config.area = "musical_instruments"
    tiny_config.train.update(epochs=0.0, steps=1)
    results = train.train_and_evaluate(tiny_config, tmp_path)
    assert results["heads"]["atomic"]["top1"]["count"] == 3
    assert set(results["heads"]["atomic"]["area"]) == {"musical_instruments"}

    tiny_config.area = ""
    with pytest.raises((restore.RestoreError, CheckpointError)):
        evaluate.evaluate_workdir(tiny_config, tmp_path)


def test_nothing_to_evaluate(tiny_config, tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        evaluate.evaluate_workdir(tiny_config, tmp_path)


def test_logits_that_are_no_numbers_are_named(tiny_config):
    exp = create_experiment(tiny_config)
    zeros = jax.tree.map(lambda x: np.full(x.shape, np.nan, x.dtype), exp.abstract_state.variables)
    with pytest.raises(evaluate.EvaluationError, match="12 clips are not finite: .*_017"):
        evaluate.predict(exp, zeros, "test")


def test_evaluation_does_not_depend_on_the_batch_size(tiny_config):
    exp = create_experiment(tiny_config)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda x: np.abs(rng.normal(scale=0.1, size=x.shape)).astype(x.dtype), exp.abstract_state.variables
    )
    reference = evaluate.predict(exp, variables, "test")["atomic"]
    assert math.isfinite(reference.sum())
    tiny_config.eval.batch_size = 3
    other = evaluate.predict(create_experiment(tiny_config), variables, "test")["atomic"]
    np.testing.assert_allclose(reference, other, rtol=1e-4, atol=1e-5)


def test_a_run_that_starts_from_nothing_there_ends_before_any_work(tiny_config, tmp_path, caplog):
    tiny_config.init_from = str(tmp_path / "no_such_run")
    with pytest.raises(PathError, match="config.init_from=.*no_such_run: there is no such file or workdir"):
        train.train_and_evaluate(tiny_config, tmp_path / "run")
    assert "parameters" not in caplog.text.partition("steps of")[2]


def test_show_has_every_field_and_every_parameter_and_writes_nothing(tiny_config):
    text = overview.show(tiny_config)
    assert "learning_rate: 0.05" in text
    assert "Mixed_5c/Branch_0/Conv3d_0a_1x1" in text
    assert "8 steps of 16 clips" in text
