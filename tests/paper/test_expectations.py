"""The checks after a rehearsal notice results that are worse than they must be."""

import numpy as np
import pytest

from haa_jax.paper import expectations
from tests.paper.facts import write_metrics


@pytest.mark.parametrize(
    ("check", "runs", "good", "bad"),
    [
        (expectations.motion_beats_one_frame, expectations.FRAMES, (40, 39), (40, 40)),
        (expectations.fusion_beats_streams, ("tsn_two_stream", *expectations.ONE_STREAM), (40, 30, 40), (39, 30, 40)),
        (expectations.joint_is_not_worse, expectations.OBJECTIVES, (30, 25), (30, 10)),
    ],
)
def test_accuracies_are_compared(check, runs, good, bad, tmp_path, capsys):
    for folder, results in (("good", good), ("bad", bad)):
        for run, correct in zip(runs, results, strict=True):
            write_metrics(tmp_path / folder / run, correct, 48)
    assert check(tmp_path / "good")[1]
    assert not check(tmp_path / "bad")[1]
    assert expectations.check_all(list(runs), tmp_path / "good") == 0
    assert expectations.check_all(list(runs), tmp_path / "bad") == 1
    assert "  NO " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "holds"),
    [(["Mixed_5b/kernel"], True), ([], False), (["Mixed_4f/kernel", "Mixed_5b/kernel"], False)],
)
def test_only_the_last_layers_may_change(changed, holds, tmp_path, monkeypatch):
    before = {f"{module}/kernel": np.zeros(2) for module in ("Mixed_4f", "Mixed_5b", "Mixed_5c")}
    after = {path: array + (path in changed) for path, array in before.items()}
    tensors = {tmp_path / "i3d_rgb": before, tmp_path / "i3d_rgb_to_ucf101": after}
    monkeypatch.setattr(expectations, "read_tensors", tensors.__getitem__)
    assert expectations.frozen_unchanged(tmp_path, "i3d_rgb_to_ucf101")[1] == holds
