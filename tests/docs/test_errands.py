"""The code in CONTRIBUTING.md, put where it says, does what it says."""

import pathlib
import re
import sys
import types

import numpy as np
import tensorflow_datasets as tfds

from haa_jax import models, streams, train
from haa_jax.learning import objectives, optimizers
from tests.conftest import write_video

PAGE = pathlib.Path(__file__).parents[2] / "CONTRIBUTING.md"


def errand(name: str, monkeypatch) -> types.ModuleType:
    """The code block below **name** as a module."""
    code = re.search(rf"^\*\*{name}\*\*.*?^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]
    module = types.ModuleType("errand_" + re.sub(r"\W", "_", name))
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses and pickle look there
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    return module


def test_a_network_stream_optimizer_objective_and_a_use_of_them_in_one_run(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setitem(models.MODELS, "tiny", errand("A network", monkeypatch))
    monkeypatch.setitem(streams.STREAMS, "differences", errand("A stream", monkeypatch))
    monkeypatch.setitem(optimizers.OPTIMIZERS, "lion", errand("An optimizer", monkeypatch).make_lion)
    monkeypatch.setitem(objectives.OBJECTIVES, "area_and_atomic", errand("An objective", monkeypatch).area_and_atomic)
    config = tiny_config
    config.model.name, config.data.stream, config.objective = "tiny", "differences", "area_and_atomic"
    config.optimizer.name, config.optimizer.learning_rate = "lion", 1e-3
    config.train.epochs, config.train.steps, config.checkpoint.every_epochs = 0.0, 2, 1.0
    results = train.train_and_evaluate(config, tmp_path)
    assert results["evaluated_head"] == "area"
    assert set(results["heads"]) == {"area", "atomic"}

    use = errand("A thing done with a trained network", monkeypatch)
    frames = list(np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), np.uint8))
    named = use.classify(tmp_path, frames, 30.0)
    trained = use.restore.load_run(tmp_path)
    assert {head: name in trained.classes[head] for head, name in named.items()} == {"area": True, "atomic": True}


def test_a_dataset(tmp_path, monkeypatch):
    for path in ("train/jump/a.mp4", "train/sit/b.mp4", "test/sit/c.mp4"):
        (tmp_path / "videos" / path).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "videos" / path, 6)
    builder = errand("A data set", monkeypatch).Builder(data_dir=str(tmp_path / "data"))
    options = tfds.download.DownloadConfig(manual_dir=str(tmp_path / "videos"))
    builder.download_and_prepare(download_config=options)
    label = builder.info.features["label"]
    found = {e["clip_id"].decode(): label.int2str(int(e["label"])) for e in tfds.as_numpy(builder.as_dataset("train"))}
    assert found == {"train/jump/a.mp4": "jump", "train/sit/b.mp4": "sit"}
    assert builder.info.splits["test"].num_examples == 1
