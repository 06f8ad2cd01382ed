"""A stream from outside the package: one entry of STREAMS is enough to check, train and evaluate it."""

import types

import numpy as np
import pytest

from haa_jax import checks, streams, train
from haa_jax.models import i3d
from haa_jax.streams import images, pictures, rgb


def difference(clip, position):
    """The change from a frame to the next, no change at level 128."""
    frame, after = (images.decode(clip.example["video"][p]).astype(np.int16) for p in (position, position + 1))
    return clip.scaled(((after - frame) // 2 + 128).astype(np.uint8), position, outside=128)


def check(data):
    yield from pictures.check(data)
    if data.resize < 20:
        yield f"config.data.resize={data.resize}: changes are not seen below 20 pixels"


differences = types.SimpleNamespace(
    FEATURES={"video": ""},
    FIELDS=pictures.FIELDS,
    INPUT="clips",
    SCALES=pictures.SCALES,
    spec=rgb.spec,
    check=check,
    num_frames=rgb.num_frames,
    num_positions=lambda num_frames, data: max(1, num_frames - 1),
    picture=difference,
    write=lambda clip, positions, box, out, rng=None: clip.crop(difference, positions, box, out),
    preprocess=lambda clips, data: clips.astype("float32") / 128 - 1,
)


@pytest.fixture
def config(tiny_config, monkeypatch):
    monkeypatch.setitem(streams.STREAMS, "differences", differences)
    tiny_config.data.stream = "differences"
    return tiny_config


def test_it_is_trained_on_and_evaluated(config, tmp_path, monkeypatch):
    monkeypatch.setattr(i3d, "TRUNK", {name: i3d.TRUNK[name] for name in ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3")})
    config.train.epochs, config.train.steps = 0.0, 2
    config.eval.every_epochs = config.checkpoint.every_epochs = 0.0
    results = train.train_and_evaluate(config, tmp_path)
    assert results["step"] == 2
    assert results["heads"]["atomic"]["top1"]["count"] == 12


def test_its_settings_are_checked(config):
    checks.check_config(config)
    config.data.resize = config.data.crop = 19
    config.data.bgr, config.data.temporal_padding = True, "zero"
    with pytest.raises(checks.ConfigError) as error:
        checks.check_config(config)
    assert "config.data.resize=19: changes are not seen below 20 pixels" in str(error.value)
    assert "bgr=True is for config.data.stream='rgb' or 'rgb+pose' or 'rgb+objects', not 'diff" in str(error.value)
    assert "temporal_padding='zero' does not go with config.data.stream='differences'" in str(error.value)


def test_it_is_suggested_for_a_misspelled_stream(config):
    config.data.stream = "differnces"
    with pytest.raises(checks.ConfigError, match="did you mean 'differences'"):
        checks.check_config(config)


def test_it_is_fused_with_another(config, monkeypatch):
    monkeypatch.setitem(streams.FUSIONS, "rgb+differences", {"differences": differences, "rgb": rgb})
    config.data.stream = "rgb+differences"
    checks.check_config(config)
    assert streams.network_shape(config.data) == (4, 32, 32, 6)
