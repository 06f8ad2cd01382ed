"""The checks after a rehearsal notice what cannot be true."""

import json

import numpy as np
import pytest

from haa_jax.configs import i3d
from haa_jax.metrics import accuracy
from haa_jax.paper import expectations
from haa_jax.paper.runs import FUSIONS, Fusion
from tests.paper.facts import write_metrics


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (["Mixed_5b/kernel", "Mixed_5c/mean"], ""),
        (["Mixed_5b/kernel"], "Mixed_5c did not change"),
        (["Mixed_5b/kernel", "Mixed_5c/kernel", "Mixed_4f/mean"], "Mixed_4f/mean changed"),
    ],
)
def test_only_the_trainable_layers_may_change_and_all_do(changed, fault, tmp_path, monkeypatch):
    names = [f"{module}/{array}" for module in ("Mixed_4f", "Mixed_5b", "Mixed_5c") for array in ("kernel", "mean")]
    before = {name: np.zeros(2) for name in names}
    after = {path: array + (path in changed) for path, array in before.items()}
    tensors = {tmp_path / "start": before, tmp_path / "i3d_rgb_to_ucf101": after}
    monkeypatch.setattr(expectations, "read_tensors", tensors.__getitem__)
    config = i3d.get_config()
    config.init_from, config.optimizer.trainable = str(tmp_path / "start"), ("Mixed_5b", "Mixed_5c")
    assert expectations._frozen_unchanged(tmp_path, "i3d_rgb_to_ucf101", config) == fault


def test_areas_that_do_not_add_up_are_named(tmp_path):
    write_metrics(tmp_path / "whole", 480, 1500)  # each area has the whole's figure
    whole = "atomic: areas 2400/7500, whole 480/1500"
    assert expectations._areas_add_up(tmp_path, "whole", None) == whole
    results = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    halves = {name: accuracy(np.arange(750) < 240) for name in ("a", "b")}
    results["heads"]["atomic"]["area"] = halves
    (tmp_path / "whole" / "metrics.json").write_text(json.dumps(results))
    assert expectations._areas_add_up(tmp_path, "whole", None) == ""


def write_predictions(folder, logits, clips, split="test"):
    folder.mkdir()
    arrays = {
        "clip_ids": np.array(clips),
        "areas": np.repeat("all", len(clips)),
        "atomic_logits": logits.astype(np.float32),
        "atomic_labels": np.zeros(len(clips), np.int32),
        "atomic_classes": np.array(["a", "b"]),
    }
    np.savez(folder / "predictions.npz", **arrays)
    (folder / "metrics.json").write_text(json.dumps({"split": split, "evaluated_head": "atomic", "heads": {}}))


def test_fusions_are_computed_again(tmp_path, monkeypatch):
    monkeypatch.setitem(FUSIONS, "two", Fusion(("one", "other"), (1.0, 1.5)))
    one, other = np.arange(4.0).reshape(2, 2), np.ones((2, 2))
    write_predictions(tmp_path / "one", one, ["x", "y"])
    write_predictions(tmp_path / "other", other, ["y", "x"])
    write_predictions(tmp_path / "two", one + 1.5 * other, ["x", "y"])
    assert expectations._is_weighted_sum(tmp_path, "two", None) == ""
    monkeypatch.setitem(FUSIONS, "two", Fusion(("one", "other")))
    assert expectations._is_weighted_sum(tmp_path, "two", None) == "atomic logits are off by up to 0.5"


def test_what_was_tested_is_compared_with_the_dataset(tmp_path, data_dir, capsys):
    config = i3d.get_config()
    config.data.dataset, config.data.data_dir = "haa500/tiny", data_dir
    clips = expectations._clips("haa500/tiny", config, "test")
    assert len(clips) == 12
    found = {
        "right": clips,
        "twice": [*clips[:-1], clips[0]],
        "trained": expectations._clips("haa500/tiny", config, "train"),
    }
    for name, tested in found.items():
        logits = np.zeros((len(tested), 2))
        write_predictions(tmp_path / name, logits, [f"{i}" for i in range(len(tested))] if name == "twice" else tested)
    assert expectations._tested_on_its_split(tmp_path, "right", config) == ""
    assert expectations._tested_on_its_split(tmp_path, "twice", config) == "12 clips tested, not the 12 of the split"
    assert "64 clips tested, not the 12" in expectations._tested_on_its_split(tmp_path, "trained", config)
    config.eval.split = "validation"
    assert expectations._tested_on_its_split(tmp_path, "right", config) == "tested on test"
    assert expectations.check_all({"right": config}, [], tmp_path) == 1
    assert "  NO   every clip of the split" in capsys.readouterr().out
