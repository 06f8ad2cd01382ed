import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from absl.testing import flagsaver

from haa_jax import averaging, evaluate, fuse, metrics, predictions

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIPS, CLASSES = 60, 6
AREAS = ("games_hobbies", "musical_instruments")


def make_run(seed: int, heads=("atomic",)) -> dict[str, np.ndarray]:
    """Random logits, a little better than chance, for the same clips and labels whatever the seed."""
    rng = np.random.default_rng(seed)
    run = {
        "clip_ids": np.array([f"clip_{i:03d}" for i in range(CLIPS)]),
        "areas": np.array(AREAS)[np.arange(CLIPS) % 3 // 2],
    }
    for shift, head in enumerate(heads):
        labels = (np.arange(CLIPS, dtype=np.int32) * 7 + shift) % CLASSES
        logits = rng.normal(size=(CLIPS, CLASSES)) + 1.2 * (np.arange(CLASSES) == labels[:, None])
        run[f"{head}_logits"] = logits.astype(np.float32)
        run[f"{head}_labels"] = labels
        run[f"{head}_classes"] = np.array([f"{head} {i}" for i in range(CLASSES)])
    return run


@pytest.fixture
def save(tmp_path):
    """Writes a run's files as `evaluate.write_results` does, and returns the path of its predictions."""

    def write(name: str, run: dict, split: str = "test"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        np.savez(folder / evaluate.PREDICTIONS_FILE, **run)
        head = "composite" if "composite_logits" in run else "atomic"
        (folder / evaluate.METRICS_FILE).write_text(json.dumps({"split": split, "evaluated_head": head}))
        return folder / evaluate.PREDICTIONS_FILE

    return write


@pytest.fixture
def problem(tmp_path, save):
    """The error for a second run that does not match the first; nothing may be written."""

    def message(run: dict, split: str = "test") -> str:
        paths = [save("rgb", make_run(0)), save("flow", run, split)]
        with pytest.raises(evaluate.EvaluationError) as error:
            fuse.fuse_files(paths, [1, 1], False, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert str(paths[1]) in str(error.value)
        return str(error.value)

    return message


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_the_sum_of_logits_by_weight():
    rgb, flow = np.array([[1.0, 2, 0]], np.float32), np.array([[0.5, -1, 3]], np.float32)
    assert averaging.fuse([rgb, flow], [1, 1]).tolist() == [[1.5, 1, 3]]
    assert averaging.fuse([rgb, flow], [1, 1.5]).tolist() == [[1.75, 0.5, 4.5]]
    assert averaging.fuse([rgb, flow], [1, 1]).dtype == np.float32


@pytest.mark.filterwarnings("error")  # of the logarithm of a weight of 0
def test_the_mean_of_probabilities_by_weight():
    rgb, flow = make_run(0)["atomic_logits"], make_run(1)["atomic_logits"]
    expected = (softmax(rgb) + 1.5 * softmax(flow)) / 2.5
    np.testing.assert_allclose(np.exp(averaging.fuse([rgb, flow], [1, 1.5], softmax=True)), expected, rtol=1e-5)
    np.testing.assert_allclose(np.exp(averaging.fuse([rgb, flow], [0, 2], softmax=True)), softmax(flow), rtol=1e-5)


def test_probabilities_too_small_for_a_float_keep_their_rank():
    sure = np.array([[0.0, -2000, -3000]], np.float32)
    fused = averaging.fuse([sure, sure], [1, 1], softmax=True)
    assert np.isfinite(fused).all()
    assert fused.argsort().tolist() == [[2, 1, 0]]


def test_files_are_fused_scored_and_written_as_a_run_is(save, tmp_path, capsys):
    rgb, flow = make_run(0), make_run(1)
    paths = [save("rgb", rgb), save("flow", flow)]
    results = fuse.fuse_files(paths, [1.0, 1.5], False, tmp_path / "out" / "deep")
    with np.load(tmp_path / "out" / "deep" / "predictions.npz", allow_pickle=False) as file:
        saved = dict(file)
    assert (tmp_path / "out" / "deep" / "predictions.csv").exists()
    assert saved.keys() == rgb.keys()
    assert {key: saved[key].dtype for key in saved} == {key: rgb[key].dtype for key in rgb}
    np.testing.assert_allclose(saved["atomic_logits"], rgb["atomic_logits"] + 1.5 * flow["atomic_logits"], rtol=1e-5)
    figures = metrics.classification(
        saved["atomic_logits"], saved["atomic_labels"], np.arange(CLIPS) % 3 // 2, list(AREAS)
    )
    assert json.loads((tmp_path / "out" / "deep" / "metrics.json").read_text()) == results
    assert results == {
        "split": "test",
        "evaluated_head": "atomic",
        "heads": {"atomic": figures},
        "fusion": {"files": list(map(str, paths)), "weights": [1.0, 1.5], "softmax": False},
    }
    printed = capsys.readouterr().out
    for path, weight, run in zip(paths, ("1", "1.5"), (rgb, flow), strict=True):
        correct = (run["atomic_logits"].argmax(axis=1) == run["atomic_labels"]).sum()
        assert f"{path}, weight {weight}: {100 * correct / CLIPS:.2f} %" in printed
        assert f"({correct}/{CLIPS})" in printed
    assert f"({figures['top1']['correct']}/{CLIPS})" in printed
    assert "musical_instruments" in printed


def test_two_streams_are_better_than_one(save, tmp_path):
    """What fusion is for: errors that are independent."""
    runs = [make_run(seed) for seed in range(3)]
    alone = [predictions.score(run, "test", "atomic")["heads"]["atomic"]["top1"]["correct"] for run in runs]
    paths = [save(str(i), run) for i, run in enumerate(runs)]
    results = fuse.fuse_files(paths, [1, 1, 1], False, tmp_path / "out")
    assert results["heads"]["atomic"]["top1"]["correct"] > max(alone)


def test_clips_in_another_order_are_aligned(save, tmp_path):
    rgb, flow = make_run(0), make_run(1)
    order = np.random.default_rng(3).permutation(CLIPS)
    shuffled = {key: array if key.endswith("_classes") else array[order] for key, array in flow.items()}
    straight = fuse.fuse_files([save("rgb", rgb), save("flow", flow)], [1, 1], False, tmp_path / "a")
    other = fuse.fuse_files([save("rgb", rgb), save("flow", shuffled)], [1, 1], False, tmp_path / "b")
    assert straight == other
    first, second = (np.load(tmp_path / name / "predictions.npz") for name in "ab")
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_every_head_is_fused_and_the_composite_one_evaluated(save, tmp_path):
    runs = [make_run(seed, ("atomic", "composite")) for seed in (0, 1)]
    results = fuse.fuse_files([save("rgb", runs[0]), save("flow", runs[1])], [1, 1], True, tmp_path / "out")
    assert results["evaluated_head"] == "composite"
    assert results["heads"].keys() == {"atomic", "composite"}
    with np.load(tmp_path / "out" / "predictions.npz") as saved:
        for head in results["heads"]:
            expected = (softmax(runs[0][f"{head}_logits"]) + softmax(runs[1][f"{head}_logits"])) / 2
            np.testing.assert_allclose(np.exp(saved[f"{head}_logits"]), expected, rtol=1e-5)
            correct = (expected.argmax(axis=1) == runs[0][f"{head}_labels"]).sum()
            assert results["heads"][head]["top1"]["correct"] == correct > CLIPS / CLASSES


def changed(**changes) -> dict:
    return make_run(1) | changes


def with_element(key: str, place, value) -> dict:
    run = make_run(1)
    run[key][place] = value
    return run


def without_clip(number: int) -> dict:
    return {k: a if k.endswith("_classes") else np.delete(a, number, axis=0) for k, a in make_run(1).items()}


UNFIT = {
    "fewer clips": (without_clip(5), "clips differ: 1 missing here (clip_005)"),
    "other clips": (with_element("clip_ids", 2, "clip_999"), "(clip_002); 1 not in the first file (clip_999)"),
    "a clip twice": (with_element("clip_ids", 2, "clip_001"), "of its 60 clips, 59 are different"),
    "another class": (with_element("atomic_classes", 3, "tango"), "(atomic 3); 1 not in the first file (tango)"),
    "classes in another order": (changed(atomic_classes=make_run(1)["atomic_classes"][::-1]), "in another order"),
    "another label": (with_element("atomic_labels", 7, 3), "atomic_labels differ for clip_007"),
    "another area": (with_element("areas", 7, "daily"), "areas differ for clip_007"),
    "a label that is no class": (with_element("atomic_labels", 7, 6), "not among the 6 classes for clip_007"),
    "not finite": (with_element("atomic_logits", (9, 1), np.nan), "atomic_logits are not finite for clip_009"),
    "infinite": (with_element("atomic_logits", (8, 1), np.inf), "atomic_logits are not finite for clip_008"),
    "another head": (make_run(1, ("composite",)), "heads differ: ['composite'] here, ['atomic'] in the first"),
    "one more head": (make_run(1, ("atomic", "composite")), "heads differ"),
    "no logits": ({"clip_ids": np.array(["a"])}, "it holds clip_ids, not"),
    "shapes": (changed(atomic_labels=np.zeros(3, np.int32)), "have shapes (60,), (60,), (3,), (60, 6)"),
    "whole numbers": (changed(atomic_logits=np.zeros((CLIPS, CLASSES), np.int32)), "have dtypes int32 and int32"),
    "pickled objects": (changed(areas=np.array([{}] * CLIPS)), "not a predictions file"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_go_together_is_refused_and_named(problem, name):
    run, message = UNFIT[name]
    assert message in problem(run)


def test_all_problems_are_told_at_once(problem):
    run = with_element("areas", 7, "daily")
    run["atomic_labels"][8] = 5
    run["atomic_classes"][0] = "tango"
    message = problem(run)
    assert all(part in message for part in ("areas differ", "atomic_labels differ", "atomic_classes differ"))


def test_other_splits_are_refused(problem):
    assert "(test)" in problem(make_run(1), split="validation")


def test_files_that_are_none(save, tmp_path):
    path = save("rgb", make_run(0))
    (tmp_path / "text").write_text("x")
    for bad, reason in [("nothing", "is missing"), ("text", "not a predictions file")]:
        with pytest.raises(evaluate.EvaluationError, match=f"{tmp_path / bad} .*{reason}"):
            fuse.fuse_files([path, tmp_path / bad], [1, 1], False, tmp_path / "out")
    truncated = save("flow", make_run(1))
    data = truncated.read_bytes()
    for length in range(0, len(data), 97):
        truncated.write_bytes(data[:length])
        with pytest.raises(evaluate.EvaluationError, match=str(truncated)):
            fuse.fuse_files([path, truncated], [1, 1], False, tmp_path / "out")


def test_without_the_runs_metrics_the_split_is_unknown(save, tmp_path):
    paths = [save("rgb", make_run(0)), save("flow", make_run(1))]
    (tmp_path / "flow" / "metrics.json").unlink()
    with pytest.raises(evaluate.EvaluationError, match=r"flow/metrics.json, which names the split"):
        fuse.fuse_files(paths, [1, 1], False, tmp_path / "out")


def test_the_evaluated_head_is_the_runs_own(save, tmp_path):
    paths = [save(name, make_run(0, ("atomic", "composite"))) for name in ("rgb", "flow")]
    metrics_file = tmp_path / "rgb" / "metrics.json"
    metrics_file.write_text(json.dumps({"split": "test", "evaluated_head": "atomic"}))
    assert fuse.fuse_files(paths, [1, 1], False, tmp_path / "out")["evaluated_head"] == "atomic"
    metrics_file.write_text(json.dumps({"split": "test"}))
    with pytest.raises(evaluate.EvaluationError, match=r"metrics.json has evaluated_head=None; the heads in .* atomic"):
        fuse.fuse_files(paths, [1, 1], False, tmp_path / "out")


def test_inputs_are_not_overwritten(save, tmp_path):
    paths = [save("rgb", make_run(0)), save("flow", make_run(1))]
    with pytest.raises(evaluate.EvaluationError, match="overwritten"):
        fuse.fuse_files(paths, [1, 1], False, tmp_path / "out" / ".." / "flow")


def test_the_module_is_a_command(save, tmp_path):
    paths = [str(save("rgb", make_run(0))), str(save("flow", make_run(1)))]
    command = [sys.executable, "-m", "haa_jax.fuse", *paths]
    without = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert without.returncode != 0
    assert "--out" in without.stderr
    done = subprocess.run([*command, f"--out={tmp_path / 'out'}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["fusion"]["files"] == paths


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [1, -1], [0, 0], [1, float("nan")], [1, float("inf")]])
def test_weights_that_make_no_sense(weights):
    with pytest.raises(evaluate.EvaluationError, match="--weights"):
        fuse.fuse_files(["rgb/predictions.npz", "flow/predictions.npz"], weights, False, "out")


def test_the_command(save, tmp_path, capsys):
    paths = [str(save("rgb", make_run(0))), str(save("flow", make_run(1)))]
    if not fuse.flags.FLAGS.is_parsed():
        fuse.flags.FLAGS(sys.argv[:1])
    with flagsaver.flagsaver(weights=["1", "1.5"], out=str(tmp_path / "out")):
        fuse.main(["fuse", *paths])
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["fusion"]["weights"] == [1, 1.5]
    with flagsaver.flagsaver(softmax=True, out=str(tmp_path / "soft")):
        fuse.main(["fuse", *paths])
    fusion = json.loads((tmp_path / "soft" / "metrics.json").read_text())["fusion"]
    assert (fusion["weights"], fusion["softmax"]) == ([1, 1], True)
    with flagsaver.flagsaver(weights=["1", "x"], out=str(tmp_path / "no")), pytest.raises(SystemExit, match="'x'"):
        fuse.main(["fuse", *paths])
    with pytest.raises(SystemExit, match="not 1"):
        fuse.main(["fuse", paths[0]])


def test_logits_of_several_classes_are_averaged(save, tmp_path, capsys):
    runs = []
    for seed in (0, 1):
        run = make_run(seed)
        del run["areas"]
        run["atomic_labels"] = (np.arange(CLASSES) % 3 == run["atomic_labels"][:, None] % 3).astype(np.int8)
        runs.append(run | {"atomic_threshold": np.array(0.4)})
    paths = [save(name, run) for name, run in zip(("rgb", "flow"), runs, strict=True)]
    results = fuse.fuse_files(paths, [1.0, 3.0], False, tmp_path / "out")
    fused = predictions.read(tmp_path / "out" / "predictions.npz")
    mean = (runs[0]["atomic_logits"] + 3 * runs[1]["atomic_logits"]) / 4
    np.testing.assert_allclose(fused["atomic_logits"], mean, rtol=1e-5, atol=1e-6)
    assert results["heads"]["atomic"] == metrics.several_labels(fused["atomic_logits"], fused["atomic_labels"], 0.4)
    assert "(6 classes), atomic head" in capsys.readouterr().out
    with pytest.raises(evaluate.EvaluationError, match="--softmax: these clips have several classes"):
        fuse.fuse_files(paths, [1.0, 1.0], True, tmp_path / "other")
