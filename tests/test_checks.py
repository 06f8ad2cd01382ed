import pytest

from configs import base, i3d
from haa_jax import checks, models


def good():
    config = base.get_config()
    config.train.epochs = 1.0
    return config


def test_defaults_and_every_word_pass():
    checks.check_config(good())
    for words in ("", "demo", "joint", "composite,area=sports_athletics", "demo,joint"):
        checks.check_config(i3d.get_config(words))


def test_every_field_has_a_check_or_is_free_text():
    free = {"area", "init_from", "data.dataset", "data.data_dir", "data.flip", "model.aux_head", "optimizer.nesterov"}
    elsewhere = {"model.width", "optimizer.drops", "optimizer.rates"}  # in the contradictions
    for name in models.MODELS:
        elsewhere |= {f"model.{field}" for field in models.choices(name)}
    fields = set()
    for key, value in good().items():
        fields |= {f"{key}.{inner}" for inner in value} if hasattr(value, "keys") else {key}
    assert fields == set(checks.CHOICES) | set(checks.RANGES) | free | elsewhere


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "objective",
            "composit",
            r"config.objective='composit' must be one of atomic, composite, joint; did you mean 'composite'",
        ),
        ("model.name", "i3", "did you mean 'i3d'"),
        ("model.dtype", "bf16", "must be one of float32, bfloat16"),
        ("data.short_clips", "repeat", "must be one of loop, hold"),
        ("data.frames", 0, "config.data.frames=0 must be 1 or more"),
        ("model.dropout", 1.5, "must be from 0 to 0.999"),
        ("data.crop", 300, "config.data.crop=300 is larger than config.data.resize=256"),
        ("train.steps", 5, "set exactly one of them"),
        ("train.epochs", 0.0, "set exactly one of them"),
        ("eval.crops", 2, "must be one of 1, 3"),
        ("optimizer.drops", (0.9, 0.5), "rising fractions"),
        ("optimizer.learning_rate", float("nan"), "must be 0 or more"),
        ("model.width", 0.0, "must be above 0"),
        ("eval.checkpoint", "bst", "did you mean 'best'"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(field, value, message):
    config = good()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(checks.ConfigError, match=message):
        checks.check_config(config)


def test_all_faults_at_once():
    config = good()
    config.objective, config.data.frames, config.data.crop = "x", 0, 999
    with pytest.raises(checks.ConfigError) as error:
        checks.check_config(config)
    assert len(str(error.value).splitlines()) == 4


def test_best_needs_evaluations():
    config = good()
    config.eval.checkpoint, config.eval.every_epochs = "best", 0.0
    with pytest.raises(checks.ConfigError, match="needs evaluations"):
        checks.check_config(config)


def test_config_words():
    config = i3d.get_config("joint,area=musical_instruments")
    assert (config.objective, config.area) == ("joint", "musical_instruments")
    assert i3d.get_config("demo").data.dataset == "haa500/demo"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("jont", "unknown config word 'jont'; did you mean 'joint'"),
        ("area", "unknown config word 'area'; did you mean 'area='"),
        ("area=", "unknown config word 'area='"),
        ("joint=1", "unknown config word 'joint=1'"),
        ("joint,composite", "composite and joint contradict"),
    ],
)
def test_wrong_words_name_the_right_ones(words, message):
    with pytest.raises(ValueError, match=message):
        i3d.get_config(words)
