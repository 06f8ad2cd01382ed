import json
import logging

import jax
import numpy as np
import pytest

from haa_jax import embed, evaluate, streams
from haa_jax.data import pipeline
from haa_jax.experiment import create_experiment
from haa_jax.runtime.checkpoint import Checkpoints
from haa_jax.runtime.checkpoint_reader import CheckpointError
from haa_jax.runtime.files import atomic_write

TWO_GROUPS = np.array([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]], np.float32)


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d):
    """The features are Mixed_5c's either way."""


@pytest.fixture
def random_run(tiny_config):
    """A config with two windows a clip, its experiment, and variables that are not all alike."""
    tiny_config.eval.windows = 2
    exp = create_experiment(tiny_config)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda x: np.abs(rng.normal(scale=0.1, size=x.shape)).astype(x.dtype), exp.abstract_state.variables
    )
    return exp, variables


def test_features_are_the_endpoint_of_each_clip_averaged_over_its_views(random_run):
    exp, variables = random_run
    found = embed.features(exp, variables, "test")
    assert (found.shape[0], found.dtype) == (12, np.float32)
    # In this archive, a frame's number is all that it shows; the windows of 23 and of 24 frames are the same.
    assert len(np.unique(found, axis=0)) == 2
    (batch,) = pipeline.eval_batches(exp.splits["test"], exp.test_data, exp.test_views, 24, exp.shard)
    clips = batch["clips"]["rgb"].reshape(12, 2, *exp.clip_shape)

    @jax.jit
    def one_view(frames):
        x = streams.preprocess({"rgb": frames}, data=exp.test_data)
        return exp.model.apply(variables, x, train=False, endpoints=("features",))[1]["features"]

    views = [one_view(clips[:, view]) for view in range(2)]
    assert not np.allclose(views[0], views[1], rtol=1e-3)
    np.testing.assert_allclose(found, (views[0] + views[1]) / 2, rtol=1e-4, atol=1e-5)


def test_labels_stand_in_the_order_of_the_clips(tiny_config):
    found = embed.labels(create_experiment(tiny_config), "test")
    assert [f"{name}" for name in found["classes"][found["labels"]]] == [str(clip)[:-4] for clip in found["clip_ids"]]
    areas = {str(clip)[:-4]: str(area) for clip, area in zip(found["clip_ids"], found["areas"], strict=True)}
    assert areas["play_erhu"] == "musical_instruments"
    assert len(set(areas.values())) == 4
    assert found["composites"].shape == (12,)
    assert len(embed.labels(create_experiment(tiny_config), "train")["labels"]) == 64


def save_untrained(config, workdir):
    """Leaves a workdir as a run does, after no steps; its variables."""
    exp = create_experiment(config)
    checkpoints = Checkpoints(workdir, keep=1)
    untrained = exp.fresh_state()
    checkpoints.save(0, untrained, {**exp.meta, "history": {}})
    checkpoints.wait()
    checkpoints.close()
    return untrained.variables


def test_a_run_leaves_features_figures_and_a_picture(tiny_config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="haa_jax")
    tiny_config.eval.every_epochs = 0.0
    variables = save_untrained(tiny_config, tmp_path / "run")
    tiny_config.seed = 1  # a network that was not restored would be another
    out = tmp_path / "out"
    results = embed.embed(tiny_config, tmp_path / "run", "test", out)
    assert sorted(path.name for path in out.iterdir()) == ["embed_test.json", "features_test.npz", "tsne_test.png"]
    assert results == json.loads((out / "embed_test.json").read_text())
    assert (out / "tsne_test.png").read_bytes().startswith(b"\x89PNG")
    with np.load(out / "features_test.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert np.array_equal(arrays["features"], embed.features(create_experiment(tiny_config), variables, "test"))
    assert sorted(arrays) == ["areas", "classes", "clip_ids", "composites", "features", "labels"]
    assert results["purity"]["features"]["area"] == embed.purity(arrays["features"], arrays["areas"])
    assert results["chance"]["area"] == pytest.approx(2 / 11)  # 2 more of an area's 3 clips among the other 11
    assert results["tsne"]["perplexity"] == pytest.approx(11 / 3)
    assert "purity of 5 neighbors in the map" in caplog.text

    again = embed.embed(tiny_config, tmp_path / "run", "test", tmp_path / "bare", picture=False)
    assert sorted(path.name for path in (tmp_path / "bare").iterdir()) == ["embed_test.json", "features_test.npz"]
    assert (again["purity"]["features"], "map" in again["purity"]) == (results["purity"]["features"], False)
    with pytest.raises(evaluate.EvaluationError, match="validation split is not .*every_epochs above 0 opens it"):
        embed.embed(tiny_config, tmp_path / "run", "validation")


def test_no_checkpoint(tiny_config, tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        embed.embed(tiny_config, tmp_path)


def test_a_split_with_too_few_clips(tiny_config, tmp_path):
    with pytest.raises(evaluate.EvaluationError, match="validation split has 4 clips; 5 neighbors need 6"):
        embed.embed(tiny_config, tmp_path, "validation")


def test_features_that_say_nothing_are_refused(random_run):
    exp, variables = random_run
    with pytest.raises(evaluate.EvaluationError, match="the features of 12 clips are not finite: .*_017"):
        embed.features(exp, jax.tree.map(lambda x: np.full_like(x, np.nan), variables), "test")
    with pytest.raises(evaluate.EvaluationError, match="all 12 clips the same"):
        embed.features(exp, jax.tree.map(np.zeros_like, variables), "test")


def test_purity_of_points_by_hand():
    names = np.array(["a", "a", "a", "b", "b", "b"])
    assert embed.purity(TWO_GROUPS, names, neighbors=2) == 1.0
    assert embed.purity(TWO_GROUPS, names[[0, 3, 1, 4, 2, 5]], neighbors=2) == pytest.approx(1 / 3)
    assert embed.purity(TWO_GROUPS, names, neighbors=5) == pytest.approx(2 / 5)  # all others, itself left out
    copies = np.repeat(TWO_GROUPS[[0, 3]], 3, axis=0)
    assert embed.purity(copies, names, neighbors=2) == 1.0


def test_chance_by_hand():
    assert embed.chance(np.array(["a", "a", "a", "b"])) == pytest.approx((3 * 2 + 0) / (4 * 3))
    assert embed.chance(np.array(["a", "b", "c"])) == 0.0


def test_areas_and_composites_are_measured_apart():
    arrays = {"features": TWO_GROUPS, "areas": np.array(["a"] * 6), "composites": np.array(list("xxxyyy"))}
    by_hand = {"area": 1.0, "composite": pytest.approx(2 / 5)}  # all the others are neighbors
    figures = {"chance": by_hand, "purity": {"features": by_hand}}
    assert embed.measure(arrays) == {"clips": 6, "size": 2, "neighbors": 5, **figures}


def test_the_map_keeps_groups_and_is_the_same_each_time():
    rng = np.random.default_rng(0)
    names = np.repeat([0, 1, 2], 20)
    points = rng.normal(size=(60, 70)).astype(np.float32) + 8 * np.eye(3, 70, dtype=np.float32)[names]
    positions, settings = embed.tsne(points)
    assert positions.shape == (60, 2)
    assert settings == {"svd_dimensions": 50, "perplexity": 59 / 3, "seed": 0}
    assert embed.purity(positions, names) > 0.95
    np.testing.assert_array_equal(positions, embed.tsne(points)[0])
    assert embed.tsne(points[:6])[1] == {"svd_dimensions": 6, "perplexity": 5 / 3, "seed": 0}


def test_more_composites_than_colors_are_drawn(tmp_path):
    names = np.array([f"composite_{i}" for i in range(130)])
    arrays = {"areas": np.array(["a", "b"] * 65), "composites": names}
    with atomic_write(tmp_path / "map.png") as file:
        embed.draw(file, np.random.default_rng(0).normal(size=(130, 2)), arrays, "title")
    assert (tmp_path / "map.png").stat().st_size > 20_000
