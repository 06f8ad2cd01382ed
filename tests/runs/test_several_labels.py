"""Data sets whose clips have several classes: from lists of videos to a network, its test, and predictions."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from haa_jax import embed, evaluate, fuse, metrics, predict, predictions, report, restore, train
from haa_jax.data.dataset import DatasetError, fingerprint, open_builder
from haa_jax.evaluate import EvaluationError
from haa_jax.experiment import create_experiment
from haa_jax.models import MODELS
from tests.conftest import write_video
from tests.test_extensions import NETWORK
from tests.tfds_haa500.sources.test_path_lists import write_lists
from tfds_haa500 import browse
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig
from tfds_haa500.demo import pairs

SETS = ("sit,run", "jump", "run", "sit,jump,run", "jump,sit", "sit")


def build(folder, data_dir, name: str, shift: int = 0) -> None:
    """12 training clips, 6 of validation and 6 of test; the sets of other shifts are of other clips."""
    videos = folder / "videos"
    if not videos.exists():
        videos.mkdir(parents=True)
        for k in range(24):
            write_video(videos / f"{k}.mp4", 5 + k % 4)
    lines = [f"{k}.mp4,{SETS[(k + shift) % 6]}\n" for k in range(24)]
    splits = {"train": lines[:12], "val": lines[12:18], "test": lines[18:]}
    lists = write_lists(folder / name, **{split: "".join(own) for split, own in splits.items()})
    config = ClipFolderConfig(name=name, folder=str(videos), split_list=str(lists), multi_label=True)
    Builder(config=config, data_dir=str(data_dir)).download_and_prepare()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With `clip_folder/sets` in data/, and its videos."""
    root = tmp_path_factory.mktemp("sets")
    build(root, root / "data", "sets")
    return root


@pytest.fixture
def config(tiny_config, folder, monkeypatch):
    monkeypatch.setitem(MODELS, "toy", NETWORK)
    tiny_config.objective, tiny_config.model.name = "multi_label", "toy"
    tiny_config.data.dataset, tiny_config.data.data_dir = "clip_folder/sets", str(folder / "data")
    tiny_config.train.batch_size, tiny_config.train.epochs, tiny_config.train.steps = 8, 0.0, 2
    return tiny_config


def test_they_are_trained_tested_predicted_fused_and_reported(config, folder, tmp_path, capsys):
    config.eval.threshold = 0.4
    results = train.train_and_evaluate(config, tmp_path / "a")
    run = predictions.read(tmp_path / "a" / "predictions.npz")
    assert run["atomic_classes"].tolist() == ["jump", "run", "sit"]
    sets = {clip: {"jump", "run", "sit"} & set(re.split(",", SETS[int(clip[5:]) % 6])) for clip in run["clip_ids"]}
    for clip, own in zip(run["clip_ids"], run["atomic_labels"], strict=True):
        assert set(run["atomic_classes"][own > 0]) == sets[clip]
    figures = results["heads"]["atomic"]
    assert figures == metrics.several_labels(run["atomic_logits"], run["atomic_labels"], 0.4)
    assert json.loads((tmp_path / "a" / "metrics.json").read_text()) == results
    assert evaluate.evaluate_workdir(config, tmp_path / "a") == results
    trained = restore.load_run(tmp_path / "a", "best")
    assert trained.meta["history"].keys() == {"2"}
    assert (trained.multi_label, trained.threshold) == (True, 0.4)

    (found,) = predict.predict(folder / "videos" / "20.mp4", trained)
    scores = 1 / (1 + np.exp(-run["atomic_logits"][run["clip_ids"].tolist().index("test/20")]))
    wanted = sorted(((score, name) for score, name in zip(scores, run["atomic_classes"], strict=True) if score > 0.4))
    assert [each["label"] for each in found] == [name for _, name in reversed(wanted)]
    assert [each["score"] for each in found] == pytest.approx([score for score, _ in reversed(wanted)], abs=1e-4)

    config.seed = 1
    train.train_and_evaluate(config, tmp_path / "b")
    files = [tmp_path / name / "predictions.npz" for name in "ab"]
    fused = fuse.fuse_files(files, [1.0, 1.0], False, tmp_path / "fused")
    assert fused["heads"]["atomic"]["mean_iou"]["threshold"] == 0.4
    page = report.report([str(tmp_path / name) for name in ("a", "b", "fused")], tmp_path / "report")
    assert "6 clips, 6 with thumbnails" in capsys.readouterr().out
    assert "validation/atomic_mean_average_precision" in page.read_text()
    with pytest.raises(EvaluationError, match="several classes each, of which no clusters are measured"):
        embed.embed(config, tmp_path / "a")


def test_an_objective_that_does_not_fit_the_data_set_stops_before_any_work(config, data_dir):
    config.objective = "atomic"
    wrong = (
        r"config.objective needs the feature 'label'; the clips of clip_folder/sets/1.0.0 have several classes: set "
    )
    with pytest.raises(DatasetError, match=f"{wrong}config.objective=multi_label"):
        create_experiment(config)
    config.objective = "multi_label"
    config.data.dataset, config.data.data_dir = "haa500/tiny", data_dir
    with pytest.raises(DatasetError, match=r"'labels'; the clips of haa500/tiny/1.1.0 have one class each: set "):
        create_experiment(config)


def test_the_fingerprint_is_of_the_sets(folder):
    build(folder, folder / "data", "other", shift=1)
    build(folder, folder / "data", "same", shift=6)
    of = {
        name: fingerprint(open_builder(f"clip_folder/{name}", str(folder / "data")))
        for name in ("sets", "other", "same")
    }
    assert of["sets"] == of["same"] != of["other"]


def test_their_page_has_a_choice_of_single_classes(folder):
    text = browse.browse("clip_folder/sets", str(folder / "data"), classes=["run"], splits=["test"])
    assert len(re.findall("<article", text)) == 3  # of six
    assert '<option value="run">run</option>' in text
    assert "jump, run, sit" in text
    with pytest.raises(browse.BrowseError, match="no area 'all'"):
        browse.browse("clip_folder/sets", str(folder / "data"), area="all")


@pytest.mark.slow
def test_they_are_learned_in_time_and_not_from_one_frame(tmp_path, monkeypatch):
    """Two people with a barbell each: from 8 frames who raises and who lowers it, from one frame neither.

    Each of the two classes is in three quarters of the clips, so chance is a mean average precision of 0.75. All six
    classes of the data set take longer (docs/demo.md).
    """
    monkeypatch.setattr(pairs, "COMPOSITES", ("barbell",))
    pairs.write_folder(tmp_path / "pairs", counts={"train": 128, "val": 4, "test": 64})
    videos, lists = str(tmp_path / "pairs" / "videos"), str(tmp_path / "pairs" / "lists")
    of = ClipFolderConfig(name="pairs", folder=videos, split_list=lists, multi_label=True)
    Builder(config=of, data_dir=str(tmp_path / "data")).download_and_prepare()
    found = {}
    for frames in (8, 1):
        workdir = tmp_path / f"frames{frames}"
        command = [sys.executable, "-m", "haa_jax.main", "--config=configs/i3d.py:demo,multi_label"]
        settings = [f"--config.data.frames={frames}", "--config.train.epochs=20", "--config.eval.every_epochs=0"]
        where = ["--config.data.dataset=clip_folder/pairs", f"--config.data.data_dir={tmp_path / 'data'}"]
        # Without the flags of the tests, which make programs quick to compile and slow.
        environment = {**os.environ, "XLA_FLAGS": ""}
        line = [*command, *settings, *where, f"--workdir={workdir}"]
        subprocess.run(line, env=environment, check=True, capture_output=True)
        figures = json.loads((workdir / "metrics.json").read_text())["heads"]["atomic"]
        found[frames] = {name: figure["value"] for name, figure in figures.items()}
        print(frames, found[frames])
    assert found[8]["mean_average_precision"] > found[1]["mean_average_precision"] + 0.1
    assert found[8]["mean_iou"] > found[1]["mean_iou"] + 0.1
