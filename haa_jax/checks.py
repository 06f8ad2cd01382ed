"""Refuses settings that cannot work before any work is done, listing all of them at once."""

import difflib
import math
import numbers
from collections.abc import Iterator

from haa_jax import label_kinds, models, streams
from haa_jax.data import augment, pipeline, sampling
from haa_jax.errors import UserError
from haa_jax.learning import freeze, losses, objectives, optimizers, schedules, steps
from haa_jax.models.parameters import Initializer, shapes_of
from haa_jax.streams import joints
from haa_jax.weights import kinetics


class ConfigError(UserError, ValueError):
    """Settings that contradict each other or do not exist; the message lists all of them."""


MOST_STEPS = 2**31 - 1  # the step of a state is an int32
# Field -> values allowed; models.choices adds those of the network's own fields. A dict stands for its keys, those that
# are added later too.
CHOICES = {
    "objective": objectives.OBJECTIVES,
    "data.stream": streams.CHOICES,
    "data.sampling": sampling.SAMPLINGS,
    "data.temporal_padding": sampling.TEMPORAL_PADDINGS,
    "data.augment": augment.AUGMENTS,
    "data.skeleton": joints.NUM_JOINTS,
    "model.name": models.MODELS,
    "train.class_weights": losses.CLASS_WEIGHTS,
    "optimizer.name": optimizers.OPTIMIZERS,
    "optimizer.schedule": schedules.SCHEDULES,
    "optimizer.weight_decay_mask": optimizers.WEIGHT_DECAY_MASKS,
    "eval.split": ("test", "validation"),
    "eval.crops": augment.CROPS,
    "eval.validation_crops": augment.CROPS,
    "eval.average": steps.AVERAGES,
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
    "eval.threshold": (0, 1),
    "eval.windows": (0, None),
    "eval.validation_windows": (0, None),
    "checkpoint.every_epochs": (0, None),
    "checkpoint.keep": (1, None),
    "mesh.model": (1, None),
    "log_every_seconds": (0, None),
}

# The highest value itself is not allowed: with a momentum of 1, an average would never change.
BELOW_HIGHEST = ("model.bn_momentum", "optimizer.momentum", "optimizer.beta2", "eval.threshold")
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


def check_shapes(init: Initializer, **shapes: tuple[int, ...]) -> None:
    """Raises ConfigError if the network cannot take clips of one of the shapes; nothing is computed.

    Args:
      init: of the network (see `models.parameters.initializer`).
      shapes: when such clips are seen, "training" or "test" -> shape of one clip as the network takes it.
    """
    for shape, when in {shape: when for when, shape in shapes.items()}.items():  # equal shapes are traced once
        try:
            shapes_of(init, shape)
        except ValueError as error:
            raise ConfigError(f"clips of shape {shape} at {when} do not fit the network: {error}") from error


def check_trainable(modules: tuple[str, ...], params: dict) -> None:
    """Raises ConfigError for modules that the network does not have.

    Args:
      modules: `config.optimizer.trainable`.
      params: of the network, or their shapes.
    """
    unknown = freeze.unknown_modules(modules, params)
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
    if config.objective in objectives.OBJECTIVES:
        yield from _label_contradictions(config)
    yield from _checkpoint_contradictions(config)
    yield from _data_contradictions(config.data)
    yield from _window_contradictions(config)
    if config.data.stream in streams.CHOICES:
        yield from _stream_contradictions(config)
    if config.model.name in models.MODELS:
        yield from _network_contradictions(config)
    test = pipeline.at_test(config.data, config.eval)
    if test.crop > test.resize:
        yield f"crops of {test.crop} pixels at test (config.eval.crop) are larger than the short side, {test.resize}"
    if not 0 < config.model.width < math.inf:
        yield f"config.model.width={config.model.width} must be above 0"
    milestones, factors = tuple(config.optimizer.milestones), tuple(config.optimizer.factors)
    if tuple(sorted(milestones)) != milestones or not all(0 < fraction < 1 for fraction in milestones):
        yield f"config.optimizer.milestones={milestones} must be rising fractions between 0 and 1"
    if len(factors) != len(milestones):
        given = f"config.optimizer.milestones={milestones}"
        yield f"config.optimizer.factors={factors} must have one factor for each of {given}"


def _label_contradictions(config) -> Iterator[str]:
    given, multi_label = f"config.objective={config.objective!r}", objectives.OBJECTIVES[config.objective].multi_label
    averages = label_kinds.of(multi_label).averages
    if config.eval.average in steps.AVERAGES and config.eval.average not in averages:
        yield f"config.eval.average={config.eval.average!r} does not go with {given}: set it to {' or '.join(averages)}"
    if multi_label and config.train.class_weights != "none":
        weights = f"config.train.class_weights={config.train.class_weights!r}"
        yield f"{weights} weighs a clip by its class, but with {given} it has several: set it to 'none'"
    if multi_label and config.area:
        yield f"config.area={config.area!r}: with {given}, a clip's classes may be of several areas; set it to ''"


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


def _network_contradictions(config) -> Iterator[str]:
    name, multiplier = config.model.name, config.optimizer.stem_lr_multiplier
    network = models.MODELS[name]
    if multiplier != 1.0 and not network.STEM:
        given = f"config.optimizer.stem_lr_multiplier={multiplier}"
        yield f"{given}: config.model.name={name!r} has no first convolution, set it to 1.0"
    if config.data.stream in streams.CHOICES and streams.leading(config.data).INPUT != network.INPUT:
        yield f"config.model.name={name!r} cannot take config.data.stream={config.data.stream!r}"
    if config.init_from == kinetics.NAME and name != "i3d":
        yield f"config.init_from={kinetics.NAME!r} is an I3D, config.model.name={name!r} cannot start from it"
    yield from models.contradictions(config)


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
    for field, neutral in (("stride", 1), ("fps", 0.0)) if data.sampling == "segments" else ():
        if data[field] != neutral:
            given = f"config.data.{field}={data[field]}"
            yield f"{given} means nothing where config.data.sampling='segments': set it to {neutral}"


def _stream_contradictions(config):
    """Yields a line for each setting that the streams of `config.data.stream` cannot work with."""
    given = f"config.data.stream={config.data.stream!r}"
    yield from streams.check(config.data)
    if not streams.is_cropped(config.data):
        for field, neutral in (("crops", 1), ("validation_crops", 1), ("crop", 0), ("resize", 0)):
            if config.eval[field] != neutral:
                yield f"config.eval.{field}={config.eval[field]}: {given} is not cropped, set it to {neutral}"
