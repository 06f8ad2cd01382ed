import json

import numpy as np
import pytest
from etils import epath

from haa_jax import predictions
from haa_jax.reporting import runs
from haa_jax.reporting.runs import ReportError
from haa_jax.runtime import checkpoint_reader
from tests.reporting import runs as made


def test_a_run_is_named_by_its_workdir_or_by_its_file(tmp_path):
    folder = made.write_run(tmp_path / "i3d", made.small({0: 1}))
    for given in (folder, folder / "predictions.npz"):
        (run,) = runs.open_runs([str(given)])
        assert (run.name, run.split, run.evaluated, run.results["step"]) == ("i3d", "test", "atomic", 7)
        assert run.figures["atomic"]["top1"]["correct"] == 11
        assert run.meta == {}
        assert "no checkpoints" in run.note


def test_answers_are_those_of_the_accuracies(tmp_path):
    (run,) = runs.open_runs([made.write_run(tmp_path, made.haa500())])
    found, figures = run.heads["atomic"], run.figures["atomic"]
    assert found.correct.sum() == figures["top1"]["correct"]
    assert (found.rank <= 5).sum() == figures["top5"]["correct"]
    assert found.scores.sum(axis=1) == pytest.approx(1)
    assert found.score_of(found.predicted) == pytest.approx(found.scores.max(axis=1))


def test_other_runs_are_brought_into_the_order_of_the_first(tmp_path):
    arrays, order = made.small({0: 1}), np.arange(12)[::-1]
    turned = {key: array if key.endswith("_classes") else array[order] for key, array in arrays.items()}
    folders = [made.write_run(tmp_path / name, of) for name, of in (("a", arrays), ("b", turned))]
    first, other = runs.open_runs(folders)
    assert np.array_equal(first.heads["atomic"].order, other.heads["atomic"].order)


def test_names_are_as_short_as_they_can_be():
    files = [epath.Path(path) for path in ("/r/a/i3d/p.npz", "/r/b/i3d/p.npz", "/r/tsn/p.npz")]
    assert runs.short_names(files[:2]) == ["a/i3d", "b/i3d"]
    assert runs.short_names(files[1:]) == ["i3d", "tsn"]
    assert runs.short_names([epath.Path("/r/p.npz"), epath.Path("/r/q.npz")]) == ["/r/p.npz", "/r/q.npz"]


def test_a_workdir_that_was_not_evaluated_names_the_command_and_what_there_is(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ReportError, match=rf"no predictions.npz; evaluating .* --workdir={tmp_path} --mode=eval"):
        runs.open_runs([tmp_path])
    made.write_run(tmp_path / "step_40", made.small())
    with pytest.raises(ReportError, match=r"there are some in .*step_40"):
        runs.open_runs([tmp_path])


def test_what_cannot_be_compared_is_refused(tmp_path):
    folder = made.write_run(tmp_path / "a", made.small())
    with pytest.raises(ReportError, match="given twice"):
        runs.open_runs([folder, folder / "predictions.npz"])
    with pytest.raises(predictions.EvaluationError, match=r"nothing.npz is missing"):
        runs.open_runs([tmp_path / "nothing.npz"])
    other = made.small()
    other["clip_ids"][3] = "new"
    with pytest.raises(predictions.EvaluationError, match=r"1 not in the first file \(new\)"):
        runs.open_runs([folder, made.write_run(tmp_path / "b", other)])
    (folder / "metrics.json").unlink()
    with pytest.raises(predictions.EvaluationError, match=r"metrics.json, which names the split .*, is missing"):
        runs.open_runs([folder])


def test_the_config_of_a_fusion_or_an_unfinished_run_is_that_of_its_workdir(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_reader, "read_meta", lambda folder: {"of": str(folder)})
    (tmp_path / "rgb" / "checkpoints").mkdir(parents=True)
    made.write_run(tmp_path / "rgb" / "step_40", made.small())
    (run,) = runs.open_runs([tmp_path / "rgb" / "step_40"])
    assert run.meta == {"of": str(tmp_path / "rgb")}
    fused = made.write_run(tmp_path / "fused", made.small())
    results = json.loads((fused / "metrics.json").read_text())
    results["fusion"] = {"files": [str(tmp_path / "rgb" / "predictions.npz")], "weights": [1]}
    (fused / "metrics.json").write_text(json.dumps(results))
    (run,) = runs.open_runs([fused])
    assert run.meta == {"of": str(tmp_path / "rgb")}


def test_a_report_does_not_need_the_checkpoint(tmp_path, monkeypatch):
    def fail(_):
        raise checkpoint_reader.CheckpointError("all checkpoints are damaged")

    monkeypatch.setattr(checkpoint_reader, "read_meta", fail)
    (tmp_path / "checkpoints").mkdir()
    (run,) = runs.open_runs([made.write_run(tmp_path, made.small())])
    assert (run.meta, run.note) == ({}, "all checkpoints are damaged")
