"""The command and the Python call, from a video file to pictures."""

import json
import pathlib
import re
import types

import numpy as np
import pytest
from absl import flags
from PIL import Image

from haa_jax import explain, models, restore
from haa_jax.explanation import placement
from haa_jax.prediction import network_flags
from haa_jax.prediction.videos import VideoError
from haa_jax.weights.readers import WeightsError
from tests.conftest import REAL_CLASS, write_video
from tests.explanation import networks
from tests.explanation.test_grad_cam import rank_correlation

CLIPS = REAL_CLASS.parent / "clips"


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d, monkeypatch):
    networks.make_shallow(monkeypatch)


@pytest.fixture
def video(tmp_path) -> pathlib.Path:
    """20 frames, with a person of which only one arm was detected."""
    write_video(tmp_path / "clip.mp4", 20)
    people = [{"image_id": frame, "score": 1.0, "keypoints": arm(frame)} for frame in range(20)]
    (tmp_path / "pose").mkdir()
    (tmp_path / "pose" / "clip.json").write_text(json.dumps(people))
    return tmp_path / "clip.mp4"


def arm(frame: int) -> list[float]:
    joints = np.zeros((17, 3))
    joints[[5, 7, 9]] = [(20, 20, 0.9), (30, 20, 0.9), (40, 10 + frame, 0.9)]
    return joints.ravel().tolist()


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command with a network; returns what is printed, or the error."""

    def run(trained, *arguments) -> str:
        values = flags.FlagValues()
        explain.define_flags(values)
        rest = values(["explain", *map(str, arguments)])
        monkeypatch.setattr(flags, "FLAGS", values)
        monkeypatch.setattr(network_flags, "load", lambda: trained)
        try:
            explain.main(rest)
        except SystemExit as error:
            return str(error)
        return capsys.readouterr().out

    return run


def test_a_video_is_explained_in_text_and_pictures(video, command, tmp_path):
    trained = networks.trained("i3d", frames=8)
    printed = command(trained, video, f"--out={tmp_path / 'out'}")
    found = explain.explain(video, trained)
    assert found.top
    assert found.label in networks.CLASSES["atomic"]
    assert printed.startswith(
        f"clip: {found.label} {found.score:.3f} (atomic, highest score), from frames 6 to 13 (0.6"
    )
    assert "\n  Mixed_5c: half of the map is in frames " in printed
    assert found.maps["Mixed_5c"].shape[0] == 8
    named = [tmp_path / "out" / f"clip_{found.label}.{suffix}" for suffix in ("png", "gif")]
    assert [pathlib.Path(line.strip()) for line in printed.splitlines()[-2:]] == named == sorted(named, reverse=True)
    animation = Image.open(named[1])
    assert (animation.n_frames, animation.info["duration"]) == (8, 100)
    assert animation.size == (2 * 320, 240)  # the frame, and the frame with the map


def test_the_class_and_the_endpoints_can_be_chosen(video, command, tmp_path):
    trained = networks.trained("slowfast", frames=16, crop=48, variant="8x8")
    scores = {}
    for label in networks.CLASSES["composite"]:
        found = explain.explain(video, trained, label, "composite")
        scores[label] = found.score
        assert (found.label, found.head, found.top) == (label, "composite", found.score > 0.5)
        assert {name: x.shape[0] for name, x in found.maps.items()} == {"slow_res5": 16, "fast_res5": 16}
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    arguments = ("--head=composite", "--class=y", f"--out={tmp_path}", "--endpoint=slow_res5,fast_res5")
    printed = command(trained, video, *arguments)
    assert re.findall(r"^  (\w+):", printed, re.M) == ["slow_res5", "fast_res5"]
    assert Image.open(tmp_path / "clip_y.gif").size == (3 * 320, 240)


def test_joints_are_explained_where_they_were_detected(video, command, tmp_path):
    trained = networks.trained("stgcn", frames=32)
    printed = command(trained, video, f"--out={tmp_path}")
    assert "from frames 0 to 19 (0.0 to 2.0 s) of 20" in printed
    found = explain.explain(video, trained)
    (values,) = found.maps.values()
    assert values.shape == (2, 32, 17)
    others = np.delete(values[0], [5, 7, 9], axis=-1)
    assert values[0, :20, [5, 7, 9]].any()
    assert not others.any()
    assert not values[0, 20:].any()  # past the end
    assert not values[1].any()  # nobody
    assert "left" in printed
    assert re.search(r"; \d+ % of it, where nobody was detected, is left out", printed)
    assert Image.open(tmp_path / f"clip_{found.label}.gif").n_frames == 20


def test_a_map_of_nothing_is_reported(video, command, tmp_path):
    trained = networks.trained("i3d", frames=8)
    kernel = trained.variables["params"]["Logits"]["atomic"]["kernel"]
    kernel[:, 0] = -1
    printed = command(trained, video, "--class=a", f"--out={tmp_path}")
    assert "Mixed_5c: the map is 0 everywhere" in printed
    assert (tmp_path / "clip_a.png").exists()


def test_mistakes_are_named(video, command, monkeypatch, tmp_path):
    trained = networks.trained("i3d", frames=8)
    stem = types.SimpleNamespace(INPUT="clips")  # a network's file without cam_endpoints
    wrong = {
        ("--class=bb",): "error: --class=bb: there is no such atomic class; did you mean 'b'?",
        ("--class=x",): "error: --class=x is not a class of the atomic head; add --head=composite",
        ("--class=a", "--head=area"): "error: --head=area: the network's heads are atomic, composite",
        ("--endpoint=Mixed_5d",): "error: unknown endpoint 'Mixed_5d'; did you mean 'Mixed_5c'?",
        ("--endpoint=features",): "error: endpoint 'features' has no positions",
    }
    for arguments, message in wrong.items():
        assert command(trained, video, *arguments, f"--out={tmp_path / 'out'}").startswith(message)
    monkeypatch.setitem(models.MODELS, "i3d", stem)
    assert "the network i3d has no default; give --endpoint=NAME" in command(trained, video, f"--out={tmp_path}")
    assert command(trained) == "error: one video is needed, not 0; options are given as --name=value"
    assert "gone.mp4: no such file" in command(trained, tmp_path / "gone.mp4")
    assert "--out=" in command(trained, video, f"--out={video}/out")
    write_video(tmp_path / "second.mp4", 3)
    assert "has 2 videos; give one of them" in command(trained, tmp_path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(VideoError, match=r"second.mp4: the network needs pose"):
        explain.explain(tmp_path / "second.mp4", networks.trained("stgcn"))


REAL = {
    "arm_wrestling_k400.mp4": ("arm wrestling", (0.35, 0.65), (0.2, 0.6)),  # the hands
    "flipping_a_pancake.mkv": ("flipping pancake", (0.4, 0.65), (0.5, 0.85)),  # the pan
    "clean_and_jerk.mp4": ("clean and jerk", (0.4, 0.6), (0.25, 0.55)),  # the bar at the shoulders
}


@pytest.mark.slow
def test_real_clips_with_real_weights_and_with_a_random_last_layer(monkeypatch):
    monkeypatch.undo()  # the whole network
    if not CLIPS.exists():
        pytest.skip(f"needs real clips in {CLIPS}")
    try:
        trained = restore.load_published("kinetics-400")
    except WeightsError as error:
        pytest.skip(f"needs the extra kinetics: {error}")
    head = trained.variables["params"]["Logits"]["atomic"]
    mixed = np.random.default_rng(0).permutation(head["kernel"].ravel()).reshape(head["kernel"].shape)
    logits = {"Logits": {"atomic": {**head, "kernel": mixed}}}
    variables = {**trained.variables, "params": {**trained.variables["params"], **logits}}
    randomized = restore.TrainedNetwork(trained.network, variables, trained.config, trained.classes)
    for name, (label, x_range, y_range) in REAL.items():
        found = explain.explain(CLIPS / name, trained)
        assert found.label == label
        values = found.maps["Mixed_5c"]
        _, x, y = placement.peak_of(values, found.view.regions)
        assert x_range[0] < x < x_range[1], name
        assert y_range[0] < y < y_range[1], name
        other = explain.explain(CLIPS / name, randomized, label).maps["Mixed_5c"]
        assert rank_correlation(values, other) < 0.5, name
