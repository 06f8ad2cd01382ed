"""Refuses settings that cannot work before any work is done, listing all of them at once."""

import difflib
import math
import numbers
from collections.abc import Iterator

import jax
import numpy as np

from haa_jax import models
from haa_jax.data import augment, pipeline, sampling
from haa_jax.learning import freeze, objectives
from haa_jax.learning import optimizers as optim
from haa_jax.learning import steps as state
from haa_jax.streams import joints
from haa_jax.streams import views as streams


class ConfigError(ValueError):
    """Settings that contradict each other or do not exist; the message lists all of them."""


MOST_STEPS = 2**31 - 1  # the step of a state is an int32
# Field -> values allowed; models.choices adds those of the network's own fields.
CHOICES = {
    "objective": tuple(objectives.OBJECTIVES),
    "data.stream": streams.STREAMS,
    "data.sampling": sampling.SAMPLINGS,
    "data.temporal_padding": sampling.TEMPORAL_PADDINGS,
    "data.augment": augment.AUGMENTS,
    "data.skeleton": joints.SKELETONS,
    "model.name": tuple(models.MODELS),
    "optimizer.name": optim.OPTIMIZERS,
    "optimizer.schedule": optim.SCHEDULES,
    "optimizer.weight_decay_mask": optim.DECAYS,
    "eval.split": ("test", "validation"),
    "eval.crops": augment.CROPS,
    "eval.validation_crops": augment.CROPS,
    "eval.average": tuple(state.AVERAGES),
    "eval.checkpoint": ("last", "best"),
}
# Field -> (lowest, highest) value allowed; None for no limit.
RANGES = {
    "seed": (0, 2**32 - 1),
    "data.frames": (1, None),
    "data.stride": (1, None),
    "data.fps": (0, None),
    "data.flow_stack": (1, None),
    "data.resize": (1, None),
    "data.resize_max": (0, None),
    "data.crop": (1, None),
    "data.pose_sigma": (0.1, None),
    "data.person_crop": (0, None),
    "data.threads": (0, None),
    "data.prefetch": (1, None),
    "model.dropout": (0, 0.999),
    "model.bn_momentum": (0, 1),
    "train.batch_size": (1, None),
    "train.epochs": (0, None),
    "train.steps": (0, MOST_STEPS),
    "train.accumulation_steps": (1, None),
    "optimizer.learning_rate": (0, None),
    "optimizer.base_batch_size": (0, None),
    "optimizer.warmup_fraction": (0, 1),
    "optimizer.warmup_start_factor": (0, 1),
    "optimizer.head_lr_multiplier": (0, None),
    "optimizer.bias_lr_multiplier": (0, None),
    "optimizer.stem_lr_multiplier": (0, None),
    "optimizer.momentum": (0, 1),
    "optimizer.beta2": (0, 1),
    "optimizer.weight_decay": (0, None),
    "optimizer.clip_norm": (0, None),
    "eval.every_epochs": (0, None),
    "eval.batch_size": (1, None),
    "eval.frames": (0, None),
    "eval.resize": (0, None),
    "eval.crop": (0, None),
    "eval.windows": (0, None),
    "eval.validation_windows": (0, None),
    "checkpoint.every_epochs": (0, None),
    "checkpoint.keep": (1, None),
    "mesh.model": (1, None),
    "log_every_seconds": (0, None),
}

# The highest value itself is not allowed: with a momentum of 1, an average would never change.
BELOW_HIGHEST = ("model.bn_momentum", "optimizer.momentum", "optimizer.beta2")
# Fields that hold several values -> type of each.
TUPLES = {
    "data.mean": numbers.Real,
    "data.std": numbers.Real,
    "optimizer.milestones": numbers.Real,
    "optimizer.factors": numbers.Real,
    "optimizer.trainable": str,
}


def check_config(config) -> None:
    """Raises ConfigError with every setting of `config` that cannot work, and what is allowed instead."""
    _refuse(_table_faults(config, TUPLES, _tuple_fault))  # the other checks compare their values
    choices = dict(CHOICES)
    if config.model.name in models.MODELS:
        choices |= {f"model.{field}": allowed for field, allowed in models.choices(config.model.name).items()}
    _refuse(
        [
            *_table_faults(config, choices, _choice_fault),
            *_table_faults(config, RANGES, _range_fault),
            *_contradictions(config),
        ]
    )


def check_shapes(network, **shapes: tuple[int, ...]) -> None:
    """Raises ConfigError if the network cannot take clips of one of the shapes; nothing is computed.

    Args:
      network: a module of haa_jax/models.
      shapes: when such clips are seen, "training" or "test" -> shape of one clip as the network takes it.
    """
    for shape, when in {shape: when for when, shape in shapes.items()}.items():  # equal shapes are traced once
        clips = jax.ShapeDtypeStruct((1, *shape), np.float32)
        try:
            jax.eval_shape(lambda x: network.init_with_output(jax.random.key(0), x, train=False), clips)
        except ValueError as error:
            raise ConfigError(f"clips of shape {shape} at {when} do not fit the network: {error}") from error


def check_trainable(modules: tuple[str, ...], params: dict) -> None:
    """Raises ConfigError for modules that the network does not have.

    Args:
      modules: `config.optimizer.trainable`.
      params: of the network, or their shapes.
    """
    unknown = freeze.unknown_parts(modules, params)
    if unknown:
        raise ConfigError("config.optimizer.trainable: " + "; ".join(unknown))


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ConfigError("\n  ".join(["the config cannot work:", *faults]))


def _table_faults(config, table: dict, check) -> list[str]:
    """The faults that `check` (field, value, the field's entry in `table`) -> message or "" finds."""
    faults = [check(field, _get(config, field), entry) for field, entry in table.items()]
    return [fault for fault in faults if fault]


def _get(config, field: str):
    for name in field.split("."):
        config = config[name]
    return config


def _tuple_fault(field: str, values, kind: type) -> str:
    if all(isinstance(value, kind) and not isinstance(value, bool) for value in values):
        return ""
    wanted, example = ("names", "\"('Mixed_5c','Logits')\"") if kind is str else ("numbers", "0.5,0.25")
    return f"config.{field}={tuple(values)} must be {wanted}, as in --config.{field}={example}"


def _choice_fault(field: str, value, allowed: tuple) -> str:
    if value in allowed:
        return ""
    close = difflib.get_close_matches(str(value), [str(each) for each in allowed], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"config.{field}={value!r} must be one of {', '.join(map(str, allowed))}{hint}"


def _range_fault(field: str, value, limits: tuple) -> str:
    lowest, highest = limits
    below = field in BELOW_HIGHEST
    within = highest is None or value < highest or (value == highest and not below)
    if value >= lowest and within and math.isfinite(value):
        return ""
    allowed = f"from {lowest} to {'below ' * below}{highest}" if highest is not None else f"{lowest} or more"
    finite = "" if math.isfinite(value) else ", and finite"
    return f"config.{field}={value!r} must be {allowed}{finite}"


def _contradictions(config) -> Iterator[str]:
    if bool(config.train.epochs) == bool(config.train.steps):
        given = f"config.train.epochs={config.train.epochs} and config.train.steps={config.train.steps}"
        yield f"{given}: set exactly one of them above 0"
    yield from _checkpoint_contradictions(config)
    yield from _data_contradictions(config.data)
    yield from _window_contradictions(config)
    multiplier = config.optimizer.stem_lr_multiplier
    if config.model.name == "stgcn" and multiplier != 1.0:
        yield f"config.optimizer.stem_lr_multiplier={multiplier}: ST-GCN has no first convolution, set it to 1.0"
    test = pipeline.at_test(config.data, config.eval)
    if test.crop > test.resize:
        yield f"crops of {test.crop} pixels at test (config.eval.crop) are larger than the short side, {test.resize}"
    if (config.model.name == "stgcn") != (config.data.stream == "skeleton"):
        yield f"config.model.name={config.model.name!r} cannot take config.data.stream={config.data.stream!r}"
    if config.model.name == "stgcn" and config.model.variant != config.data.skeleton:
        yield f"config.model.variant={config.model.variant!r} needs the same config.data.skeleton"
    if config.data.stream == "skeleton":
        for field, neutral in (("crops", 1), ("validation_crops", 1), ("crop", 0), ("resize", 0)):
            if config.eval[field] != neutral:
                yield f"config.eval.{field}={config.eval[field]}: skeletons are not cropped, set it to {neutral}"
    if not 0 < config.model.width < math.inf:
        yield f"config.model.width={config.model.width} must be above 0"
    milestones, factors = tuple(config.optimizer.milestones), tuple(config.optimizer.factors)
    if tuple(sorted(milestones)) != milestones or not all(0 < fraction < 1 for fraction in milestones):
        yield f"config.optimizer.milestones={milestones} must be rising fractions between 0 and 1"
    if len(factors) != len(milestones):
        given = f"config.optimizer.milestones={milestones}"
        yield f"config.optimizer.factors={factors} must have one factor for each of {given}"


def _checkpoint_contradictions(config) -> Iterator[str]:
    if config.eval.checkpoint != "best":
        return
    if not config.eval.every_epochs:
        yield "config.eval.checkpoint='best' needs evaluations, but config.eval.every_epochs=0.0 turns them off"
    if config.eval.split == "validation":
        yield (
            "config.eval.checkpoint='best' is chosen on the validation split, which config.eval.split='validation' "
            "would then evaluate again: set config.eval.checkpoint='last'"
        )


def _window_contradictions(config) -> Iterator[str]:
    """What cannot be combined with 0 windows (as many as cover the whole clip)."""
    for field in ("windows", "validation_windows"):
        if config.eval[field]:
            continue
        if config.data.sampling == "segments":
            yield f"config.eval.{field}=0: segments cover the whole clip in every view, set it to 1 or more"
        if config.data.fps:  # views are planned from the index, which has no frame rates
            yield f"config.eval.{field}=0 covers all frames of a clip, so config.data.fps={config.data.fps} must be 0"


def _data_contradictions(data) -> Iterator[str]:
    if data.crop > data.resize:
        yield f"config.data.crop={data.crop} is larger than config.data.resize={data.resize}"
    if data.resize_max and data.resize_max < data.resize:
        yield f"config.data.resize_max={data.resize_max} is smaller than config.data.resize={data.resize}"
    for field, neutral in (("stride", 1), ("fps", 0.0)) if data.sampling == "segments" else ():
        if data[field] != neutral:
            given = f"config.data.{field}={data[field]}"
            yield f"{given} means nothing where config.data.sampling='segments': set it to {neutral}"
    pictures = tuple(part for part in streams.FEATURES if part != "skeleton")
    only = {  # field: is it set, and the parts of streams that it means something for
        "flow_stack": (data.flow_stack > 1, ("flow",)),
        "color_jitter": (data.color_jitter, ("rgb",)),
        "bgr": (data.bgr, ("rgb",)),
        "random_move": (data.random_move, ("skeleton",)),
        "augment": (data.augment != "crop", pictures),
        "resize_max": (data.resize_max, pictures),
        "person_crop": (data.person_crop, pictures),
    }
    for field, (given, allowed) in only.items():
        if given and not set(streams.parts(data)) & set(allowed):
            named = " or ".join(map(repr, allowed))
            yield f"config.data.{field}={data[field]} is for config.data.stream={named}, not {data.stream!r}"
    if (data.temporal_padding == "zero") != (data.stream == "skeleton"):
        given = f"config.data.temporal_padding={data.temporal_padding!r}"
        yield f"{given} does not go with config.data.stream={data.stream!r}"
    channels = {"rgb": 3, "flow": 2 * data.flow_stack}.get(streams.parts(data)[0], 1)
    for field in ("mean", "std"):
        if len(data[field]) not in (1, channels):
            yield f"config.data.{field}={tuple(data[field])} must have 1 or {channels} numbers"
    if not all(level > 0 for level in data.std):
        yield f"config.data.std={tuple(data.std)} must be above 0"
