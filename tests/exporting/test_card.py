"""The model card has what is recorded, and shows names literally."""

import json

import pytest

from haa_jax.configs import base, stgcn
from haa_jax.exporting import card, description, program
from tests.exporting.networks import Toy, trained

META = {
    "dataset": {"name": "clip_folder/my_set/1.0.0", "fingerprint": "0123456789abcdef"},
    "versions": {"haa_jax": "0.1.0", "jax": "0.9.9"},
}


def described(origin=None, stream="rgb", workdir="", classes=None, **fields) -> dict:
    config = base.get_config() if stream == "rgb" else stgcn.get_config()
    config.data.update({"frames": 3, "resize": 12, "crop": 10, "stream": stream, "data_dir": "/home/ann/data"} | fields)
    config.init_from, config.area, config.data.threads = "/home/ann/runs/older_run", "daily_actions", 7
    config.train.epochs = 12.5
    classes = classes or {"atomic": ("a", "b")}
    network = trained(config, Toy({head: len(names) for head, names in classes.items()}), classes, step=40, meta=META)
    origin = origin or description.of_run(network, workdir)
    return description.describe(network, program.export_network(network), 1234, origin)


def metrics(step) -> dict:
    top1 = {"correct": 45, "count": 48, "value": 0.9375, "standard_error": 0.0349}
    mean_class = {"value": 0.93, "classes": 16, "standard_error": None}
    heads = {"atomic": {"top1": top1, "mean_class": mean_class, "area": {"daily_actions": top1}}}
    return {"step": step, "split": "test", "evaluated_head": "atomic", "heads": heads}


def test_a_run_that_was_evaluated(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(metrics(step=40)))
    text = card.card(json.loads(json.dumps(described(workdir=tmp_path))), {"load.py": 1500})
    for line in (
        "# i3d on rgb: 2 atomic classes",
        "| data set | clip\\_folder/my\\_set/1.0.0, fingerprint 0123456789abcdef |",
        "| labels | atomic, area daily\\_actions |",
        "| started from | older\\_run |",
        "| exported checkpoint | step 40 |",
        "| planned length | 12.5 epochs |",
        "| learning rate | 0.1 for 384 clips a step, scaled with the batch |",
        "| trained with | haa\\_jax 0.1.0, jax 0.9.9 |",
        "| atomic | top1 | 45/48 | 93.75 % | 3.49 % |",
        "| atomic | mean\\_class | 16 classes | 93.00 % | not known |",
        "| atomic | area daily\\_actions, top1 | 45/48 | 93.75 % | 3.49 % |",
        "| `load.py` | 1,500 |",
        'batch = {"rgb": clips.views(frames, fps, settings)}',
    ):
        assert line in text.splitlines(), line
    assert "No license of the weights is recorded" in text


def test_neither_the_card_nor_the_json_has_paths_of_this_machine(tmp_path):
    found = described(workdir=tmp_path)
    assert found["origin"]["recipe"]["init_from"] == "older_run"
    for text in (json.dumps(found), card.card(found, {})):
        assert "/home" not in text
        assert str(tmp_path) not in text


@pytest.mark.parametrize("step", [None, 39])
def test_a_checkpoint_that_was_not_evaluated(tmp_path, step):
    if step:
        (tmp_path / "metrics.json").write_text(json.dumps(metrics(step)))
    text = card.card(described(workdir=tmp_path), {})
    assert "Not evaluated" in text
    assert "45/48" not in text


def test_an_evaluation_of_an_unfinished_run(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(metrics(39)))
    (tmp_path / "step_40").mkdir()
    (tmp_path / "step_40" / "metrics.json").write_text(json.dumps(metrics(40)))
    assert description.evaluation(tmp_path, 40)["split"] == "test"


@pytest.mark.parametrize("text", ["{", "[]", '{"step": 40}'])
def test_a_damaged_evaluation(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(description.EvaluationFileError, match=r"metrics.json is not the metrics of an evaluation"):
        description.evaluation(tmp_path, 40)


def test_published_weights_have_no_recipe_here():
    text = card.card(described({"published_weights": "kinetics-400"}), {})
    assert "deepmind/i3d-kinetics-400" in text
    assert "Not evaluated" in text
    assert "learning rate" not in text
    text = card.card(described({"published_weights": "my_weights.npz"}), {})
    assert "a file named my\\_weights.npz." in text
    assert "MIT" not in text


def test_clips_that_the_caller_makes():
    text = card.card(described({"published_weights": "x"}, stream="skeleton"), {})
    assert 'batch = {"skeleton": ...}  # see Input' in text
    assert "| `skeleton` | float32 (batch, 2, 300, 17, 3) | joints of the two most prominent people" in text


def test_names_are_shown_literally():
    found = card.escape("a|b *c* _d_ `e` [f](g) <img src=x>\n# h & i")
    assert found == "a\\|b \\*c\\* \\_d\\_ \\`e\\` \\[f\\](g) &lt;img src=x&gt; # h &amp; i"
    text = card.card(described({"published_weights": "x"}, classes={"<b>|": ("a", "b")}), {})
    assert "<b>" not in text.replace('["<b>|"]', "")  # within code it is not HTML


def test_a_network_of_several_classes(tmp_path):
    """Its scores are sigmoids, and the classes are those above the threshold."""
    iou = {"value": 0.5, "count": 48, "threshold": 0.4, "standard_error": 0.02}
    precision = {"value": 0.75, "classes": 2, "left_out": 1, "standard_error": None}
    results = {**metrics(step=40), "heads": {"atomic": {"mean_iou": iou, "mean_average_precision": precision}}}
    (tmp_path / "metrics.json").write_text(json.dumps(results))
    text = card.card(described(workdir=tmp_path) | {"threshold": 0.4}, {})
    for line in (
        "import numpy as np",
        "scores = 1 / (1 + np.exp(-logits))",
        'found = [name for name, score in zip(description["classes"]["atomic"], scores) '
        'if score > description["threshold"]]',
        "| head | figure | of | value | standard error |",
        "| atomic | mean\\_iou | 48 clips, sigmoid above 0.4 | 50.00 % | 2.00 % |",
        "| atomic | mean\\_average\\_precision | 2 classes, 1 without clips left out | 75.00 % | not known |",
        "- A clip gets every class whose sigmoid is above 0.4 (`threshold` in export.json), or none.",
    ):
        assert line in text.splitlines(), line
    assert "softmax" not in text


def test_the_threshold_is_exported_only_with_several_classes():
    config = base.get_config()
    config.objective, config.eval.threshold = "multi_label", 0.3
    config.data.update({"frames": 3, "resize": 12, "crop": 10})
    for objective, expected in (("multi_label", {"threshold": 0.3}), ("atomic", {})):
        config.objective = objective
        network = trained(config, Toy({"atomic": 2}), {"atomic": ("a", "b")}, step=40, meta=META)
        found = description.describe(network, program.export_network(network), 1234, {})
        assert {key: found[key] for key in found.keys() & {"threshold"}} == expected
