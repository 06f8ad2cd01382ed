"""The command lines of the paper's runs, their order, and how they are run."""

import pathlib
import sys

import pytest

from haa_jax import config_flag
from haa_jax.paper import commands, report
from haa_jax.paper.commands import PaperError
from tests.paper.facts import write_metrics


def test_what_a_run_needs_comes_before_it():
    order = commands.needed(["i3d_three_stream", "i3d_rgb_hmdb51_to_ucf101"])
    assert order == [
        "i3d_rgb",
        "i3d_flow",
        "i3d_pose",
        "i3d_three_stream",
        "i3d_rgb_hmdb51",
        "i3d_rgb_hmdb51_to_ucf101",
    ]


def test_commands_are_those_of_the_config():
    line = commands.command("i3d_rgb_to_ucf101", pathlib.Path("R"), "D")
    assert line[:4] == [sys.executable, "-m", "haa_jax.main", "--config=i3d.py:last_three"]
    assert set(line[4:]) == {
        "--config.data.dataset=clip_folder/ucf101",
        "--config.eval.every_epochs=0",
        "--config.init_from=R/i3d_rgb",
        "--config.data.data_dir=D",
        "--workdir=R/i3d_rgb_to_ucf101",
    }
    probe = commands.command("i3d_rgb_kinetics_probe", pathlib.Path("R"))
    assert probe[3:6] == [
        "--config=i3d.py",
        "--config.init_from=kinetics-400",
        "--config.optimizer.trainable=('Logits',)",
    ]
    fused = commands.command("tsn_two_stream", pathlib.Path("R"))
    assert fused[2:] == [
        "haa_jax.fuse",
        "R/tsn_rgb/predictions.npz",
        "R/tsn_flow/predictions.npz",
        "--weights=1,1.5",
        "--out=R/tsn_two_stream",
    ]


def test_a_command_is_understood_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (config,) = [part for part in commands.command("i3d_flow", pathlib.Path("R")) if part.startswith("--config=")]
    assert config_flag.load(config.removeprefix("--config=")).data.stream == "flow"


def test_only_what_is_missing_is_run_and_a_failure_stops(tmp_path, monkeypatch):
    """The commands themselves are replaced: what they do is tested where they are."""
    done = []

    class Finished:
        def __init__(self, line, check):
            done.append(line[-1].rpartition("/")[2])
            self.returncode = 1 if done[-1] == "i3d_rgb_stride_2" else 0

    monkeypatch.setattr(commands.subprocess, "run", Finished)
    write_metrics(tmp_path / "i3d_rgb_4_frames", 1, 2)
    with pytest.raises(PaperError, match=f"i3d_rgb_stride_2: exit code 1 of\n  {sys.executable} -m haa_jax.main"):
        report.report(["table11"], tmp_path, "", run=True)
    datasets = ("", "ucf101_", "ava_", "gym288_")
    frames = [f"i3d_rgb_{dataset}{n}_frames" for n in (1, 2, 4, 8, 16) for dataset in datasets]
    frames.remove("i3d_rgb_4_frames")
    whole = ["i3d_rgb", "i3d_rgb_ucf101", "i3d_rgb_ava", "i3d_rgb_gym288"]
    assert done == [*frames, *whole, "i3d_rgb_stride_2"]
