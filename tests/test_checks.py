import itertools

import pytest

from haa_jax import checks, experiment, models
from haa_jax.configs import base, i3d, slowfast, stgcn, tpn, tsn


def good():
    config = base.get_config()
    config.train.epochs = 1.0
    return config


def test_the_defaults_pass():
    checks.check_config(good())


@pytest.mark.parametrize("module", [i3d, slowfast, tsn, tpn, stgcn], ids=lambda module: module.__name__)
def test_every_word_and_every_pair_of_words_passes(module):
    checks.check_config(module.get_config())
    words = [word + "sports_athletics" * word.endswith("=") for word in module.VARIANTS]
    passed = set()
    for pair in [*itertools.combinations(words, 1), *itertools.combinations(words, 2)]:
        try:
            config = module.get_config(",".join(pair))
        except ValueError as error:
            if "contradict each other" in str(error):
                continue
            raise
        checks.check_config(config)
        passed |= set(pair)
    assert passed == set(words)


@pytest.mark.parametrize("words", ["bninception,flow,demo", "tsm,flow,demo,joint", "resnet50,flow,area=daily_actions"])
def test_longer_lists_of_words_pass(words):
    checks.check_config(tsn.get_config(words))


def test_every_field_has_a_check_or_is_free_text():
    free = {"area", "init_from", "data.dataset", "data.data_dir", "data.flip", "model.aux_head", "optimizer.nesterov"}
    free |= {"checkpoint.allow_changes", "eval.dataset"}  # its builder and classes are checked with the dataset
    elsewhere = {"model.width", "optimizer.milestones", "optimizer.factors"}  # in the contradictions
    elsewhere |= {"optimizer.trainable"}  # where the network is known
    elsewhere |= {f"data.{field}" for field in ("mean", "std", "bgr", "color_jitter", "random_move")}
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
            r"config.objective='composit' must be one of atomic, composite, joint, .*; did you mean 'composite'",
        ),
        ("model.name", "i3", "did you mean 'i3d'"),
        ("model.dtype", "bf16", "must be one of float32, bfloat16"),
        ("data.temporal_padding", "mirror", "must be one of loop, clamp, repeat, zero"),
        ("data.frames", 0, "config.data.frames=0 must be 1 or more"),
        ("model.dropout", 1.5, "must be from 0 to 0.999"),
        ("model.bn_momentum", 1.0, "config.model.bn_momentum=1.0 must be from 0 to below 1"),
        ("optimizer.momentum", 1.0, "config.optimizer.momentum=1.0 must be from 0 to below 1"),
        ("optimizer.beta2", 1.0, "config.optimizer.beta2=1.0 must be from 0 to below 1"),
        ("optimizer.warmup_fraction", 1.5, "config.optimizer.warmup_fraction=1.5 must be from 0 to 1$"),
        ("data.crop", 300, "config.data.crop=300 is larger than config.data.resize=256"),
        ("train.steps", 5, "set exactly one of them"),
        ("train.epochs", 0.0, "set exactly one of them"),
        ("eval.crops", 2, "must be one of 1, 3, 10"),
        ("eval.validation_crops", 5, "must be one of 1, 3, 10"),
        ("eval.validation_windows", -1, "must be 0 or more"),
        ("eval.split", "train", "must be one of test, validation"),
        ("data.stream", "depth", "must be one of rgb, flow, pose, skeleton"),
        ("data.sampling", "segment", "did you mean 'segments'"),
        ("data.augment", "multiscale", "did you mean 'multi_scale'"),
        ("data.flow_stack", 0, "config.data.flow_stack=0 must be 1 or more"),
        ("data.stream", "rgb+flow", "must be one of rgb, flow, pose, skeleton, rgb.pose, rgb.objects"),
        ("data.person_crop", -1.0, "config.data.person_crop=-1.0 must be 0 or more"),
        ("data.pose_sigma", 0.0, "config.data.pose_sigma=0.0 must be 0.1 or more"),
        ("data.resize_max", -1, "config.data.resize_max=-1 must be 0 or more"),
        ("optimizer.milestones", (0.9, 0.5), "rising fractions"),
        ("optimizer.learning_rate", float("nan"), "must be 0 or more"),
        ("train.epochs", float("inf"), "must be 0 or more, and finite"),
        ("train.steps", 2**31, "must be from 0 to 2147483647"),
        ("data.mean", ("gray",), r"config.data.mean=\('gray',\) must be numbers"),
        ("optimizer.milestones", (True,), "must be numbers"),
        ("optimizer.trainable", (3,), r"config.optimizer.trainable=\(3,\) must be names"),
        ("model.width", 0.0, "must be above 0"),
        ("model.width", float("nan"), "must be above 0"),
        ("model.width", float("inf"), "must be above 0"),
        ("eval.checkpoint", "bst", "did you mean 'best'"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(field, value, message):
    config = good()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(checks.ConfigError, match=message):
        checks.check_config(config)


@pytest.mark.parametrize(
    ("words", "fields", "messages"),
    [
        ("", {"data.resize_max": 200}, ["config.data.resize_max=200 is smaller than config.data.resize=256"]),
        (
            "",
            {"data.sampling": "segments", "data.stride": 2},
            ["config.data.stride=2 means nothing where config.data.sampling='segments': set it to 1"],
        ),
        (
            "",
            {"data.sampling": "segments", "data.fps": 25.0, "eval.windows": 0},
            [
                "config.data.fps=25.0 means nothing where config.data.sampling='segments': set it to 0.0",
                "config.eval.windows=0: segments cover the whole clip in every view, set it to 1 or more",
            ],
        ),
        (
            "",
            {"data.fps": 25.0, "eval.validation_windows": 0},
            ["config.eval.validation_windows=0 covers all frames of a clip, so config.data.fps=25.0 must be 0"],
        ),
        ("", {"data.flow_stack": 5}, ["config.data.flow_stack=5 is for config.data.stream='flow', not 'rgb'"]),
        (
            "flow",
            {"data.color_jitter": True},
            ["color_jitter=True is for", "'rgb' or 'rgb+pose' or 'rgb+objects', not 'flow'"],
        ),
        ("pose", {"data.bgr": True}, ["config.data.bgr=True is for config.data.stream='rgb' or", "not 'pose'"]),
        ("", {"data.random_move": True}, ["config.data.random_move=True is for", "'skeleton', not 'rgb'"]),
        (
            "",
            {"data.temporal_padding": "zero"},
            ["config.data.temporal_padding='zero' does not go with", "stream='rgb'"],
        ),
        ("", {"data.mean": (1.0, 2.0)}, ["config.data.mean=(1.0, 2.0) must have 1 or 3 numbers"]),
        ("flow", {"data.std": (1.0, 2.0, 3.0)}, ["config.data.std=(1.0, 2.0, 3.0) must have 1 or 2 numbers"]),
        ("flow", {"data.flow_stack": 5, "data.mean": (1.0, 2.0)}, ["data.mean=(1.0, 2.0) must have 1 or 10 numbers"]),
        ("pose", {"data.mean": (0.0,)}, ["config.data.mean=(0.0,) is for config.data.stream='rgb' or", "not 'pose'"]),
        ("", {"data.std": (1.0, 0.0, 1.0)}, ["config.data.std=(1.0, 0.0, 1.0) must be above 0"]),
        ("", {"data.std": (float("nan"),)}, ["config.data.std=(nan,) must be above 0"]),
        ("", {"eval.crop": 300}, ["crops of 300 pixels at test (config.eval.crop)", "the short side, 256"]),
        ("", {"eval.resize": 200}, ["crops of 224 pixels at test (config.eval.crop)", "the short side, 200"]),
        ("", {"data.stream": "skeleton"}, ["config.model.name='i3d' cannot take config.data.stream='skeleton'"]),
        ("", {"data.stream": "skeleton"}, ["config.data.temporal_padding='loop' does not go with"]),
        (
            "",
            {"optimizer.factors": (0.1,)},
            ["config.optimizer.factors=(0.1,) must have one factor for each of", "(0.8435,"],
        ),
    ],
)
def test_contradictions_are_named(words, fields, messages):
    assert_refused(i3d.get_config(words), fields, messages)


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"data.stream": "pose"}, ["config.model.name='stgcn' cannot take config.data.stream='pose'"]),
        ({"data.skeleton": "openpose18"}, ["config.model.variant='coco17' needs the same config.data.skeleton"]),
        (
            {"data.temporal_padding": "clamp"},
            ["config.data.temporal_padding='clamp' does not go with", "stream='skeleton'"],
        ),
        (
            {"optimizer.stem_lr_multiplier": 5.0},
            ["config.optimizer.stem_lr_multiplier=5.0: config.model.name='stgcn' has no first convolution"],
        ),
        ({"eval.crops": 3}, ["config.eval.crops=3: config.data.stream='skeleton' is not cropped"]),
        (
            {"eval.validation_crops": 3},
            ["config.eval.validation_crops=3: config.data.stream="],
        ),
        ({"eval.crop": 64}, ["config.eval.crop=64: config.data.stream='skeleton' is not cropped, set it to 0"]),
        ({"eval.resize": 300}, ["config.eval.resize=300: config.data.stream='skeleton' is not cropped, set it to 0"]),
        (
            {"data.augment": "multi_scale"},
            ["config.data.augment=multi_scale is for", "'rgb' or 'flow' or 'pose' or 'rgb+pose' or 'rgb+objects', not"],
        ),
        ({"data.person_crop": 1.5}, ["config.data.person_crop=1.5 is for", "not 'skeleton'"]),
        ({"data.resize_max": 320}, ["config.data.resize_max=320 is for config.data.stream='rgb' or 'flow' or 'pose'"]),
        ({"model.variant": "coco18"}, ["config.model.variant='coco18' must be one of coco17, openpose18"]),
        ({"data.skeleton": "coco"}, ["config.data.skeleton='coco' must be one of", "did you mean 'coco17'"]),
    ],
)
def test_contradictions_of_skeletons_are_named(fields, messages):
    assert_refused(stgcn.get_config(), fields, messages)


def assert_refused(config, fields, messages):
    checks.check_config(config)  # the setting is what is wrong with it
    config.update_from_flattened_dict(fields)
    with pytest.raises(checks.ConfigError) as error:
        checks.check_config(config)
    for message in messages:
        assert message in str(error.value)


def test_all_faults_at_once():
    config = good()
    config.objective, config.data.frames, config.data.stride = "x", 0, 0
    with pytest.raises(checks.ConfigError) as error:
        checks.check_config(config)
    assert len(str(error.value).splitlines()) == 4


def test_epochs_that_no_step_counter_holds():
    config = good()
    config.train.epochs = 1e300
    with pytest.raises(
        checks.ConfigError, match=r"config.train.epochs=1e\+300 are .* steps; 2,147,483,647 is the most"
    ):
        experiment.total_steps(config, 8000)


def test_best_needs_evaluations():
    config = good()
    config.eval.checkpoint, config.eval.every_epochs = "best", 0.0
    with pytest.raises(checks.ConfigError, match="needs evaluations"):
        checks.check_config(config)


def test_the_best_checkpoint_on_validation_is_not_reported_on_validation():
    config = good()
    config.eval.split = "validation"
    checks.check_config(config)
    config.eval.checkpoint = "best"
    with pytest.raises(checks.ConfigError, match="'best' is chosen on the validation split.*eval.checkpoint='last'"):
        checks.check_config(config)


def test_config_words():
    config = i3d.get_config("joint,area=musical_instruments")
    assert (config.objective, config.area) == ("joint", "musical_instruments")
    assert i3d.get_config("demo").data.dataset == "haa500/demo"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("jont", "unknown config variant 'jont'; did you mean 'joint'"),
        ("area", "unknown config variant 'area'; did you mean 'area='"),
        ("area=", "unknown config variant 'area='"),
        ("joint=1", "unknown config variant 'joint=1'"),
        ("joint,composite", "composite and joint contradict"),
    ],
)
def test_wrong_words_name_the_right_ones(words, message):
    with pytest.raises(ValueError, match=message):
        i3d.get_config(words)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train.class_weights": "balanced"}, "config.train.class_weights='balanced' weighs a clip by its class"),
        ({"area": "sports_athletics"}, "config.area='sports_athletics': with config.objective='multi_label'"),
        ({"eval.average": "softmax"}, "config.eval.average='softmax' does not go with config.objective='multi_label'"),
        ({"eval.threshold": 1.0}, "config.eval.threshold=1.0 must be from 0 to below 1"),
        ({"objective": "atomic", "eval.average": "sigmoid"}, "does not go with config.objective='atomic'"),
    ],
)
def test_what_several_labels_cannot_have(fields, message):
    config = good()
    config.objective = "multi_label"
    checks.check_config(config)
    config.update_from_flattened_dict(fields)
    with pytest.raises(checks.ConfigError, match=message):
        checks.check_config(config)


def test_several_labels_of_the_networks_that_average_softmaxes():
    assert tpn.get_config("multi_label").eval.average == "sigmoid"
    config = slowfast.get_config("multi_label")
    checks.check_config(config)
    config.eval.crop = 256
    with pytest.raises(checks.ConfigError, match=r"crops of 256 pixels at test .*slowfast averages softmaxes"):
        checks.check_config(config)
