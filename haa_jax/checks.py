"""Settings that cannot work are refused before any work is done, all of them at once."""

import difflib

from haa_jax import models, objectives, optim
from haa_jax.data import augment, sampling


class ConfigError(ValueError):
    """Settings that contradict each other or do not exist; the message lists every one."""


CHOICES = {
    "objective": tuple(objectives.OBJECTIVES),
    "data.short_clips": sampling.SHORT_CLIPS,
    "model.name": tuple(models.MODELS),
    "optimizer.name": optim.OPTIMIZERS,
    "optimizer.schedule": optim.SCHEDULES,
    "optimizer.decay": optim.DECAYS,
    "eval.crops": augment.CROPS,
    "eval.checkpoint": ("last", "best"),
}
# Field -> (lowest, highest) value allowed; None for no limit.
RANGES = {
    "seed": (0, 2**32 - 1),
    "data.frames": (1, None),
    "data.stride": (1, None),
    "data.resize": (1, None),
    "data.crop": (1, None),
    "data.threads": (0, None),
    "data.prefetch": (1, None),
    "model.dropout": (0, 0.999),
    "model.bn_momentum": (0, 1),
    "train.batch_size": (1, None),
    "train.epochs": (0, None),
    "train.steps": (0, None),
    "train.accumulate": (1, None),
    "optimizer.learning_rate": (0, None),
    "optimizer.base_batch_size": (0, None),
    "optimizer.warmup": (0, 1),
    "optimizer.warmup_start": (0, 1),
    "optimizer.bias_rate": (0, None),
    "optimizer.momentum": (0, 1),
    "optimizer.beta2": (0, 1),
    "optimizer.weight_decay": (0, None),
    "optimizer.clip_norm": (0, None),
    "optimizer.ema_decay": (0, 1),
    "eval.every_epochs": (0, None),
    "eval.batch_size": (1, None),
    "eval.windows": (1, None),
    "checkpoint.every_epochs": (0, None),
    "checkpoint.keep": (1, None),
    "mesh.model": (1, None),
    "log_every_seconds": (0, None),
}


def check_config(config) -> None:
    """Raises ConfigError with every setting of `config` that cannot work, and what is allowed instead."""
    choices = dict(CHOICES)
    if config.model.name in models.MODELS:
        choices |= {f"model.{field}": allowed for field, allowed in models.choices(config.model.name).items()}
    values = {field: _get(config, field) for field in [*choices, *RANGES]}
    faults = [_choice_fault(field, values[field], allowed) for field, allowed in choices.items()]
    faults += [_range_fault(field, values[field], *limits) for field, limits in RANGES.items()]
    faults += _contradictions(config)
    faults = [fault for fault in faults if fault]
    if faults:
        raise ConfigError("\n  ".join(["the config cannot work:", *faults]))


def _get(config, field: str):
    for part in field.split("."):
        config = config[part]
    return config


def _choice_fault(field: str, value, allowed) -> str:
    if value in allowed:
        return ""
    close = difflib.get_close_matches(str(value), [str(each) for each in allowed], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"config.{field}={value!r} must be one of {', '.join(map(str, allowed))}{hint}"


def _range_fault(field: str, value, lowest, highest) -> str:
    if value >= lowest and (highest is None or value <= highest):
        return ""
    limits = f"from {lowest} to {highest}" if highest is not None else f"{lowest} or more"
    return f"config.{field}={value!r} must be {limits}"


def _contradictions(config):
    if bool(config.train.epochs) == bool(config.train.steps):
        given = f"config.train.epochs={config.train.epochs} and config.train.steps={config.train.steps}"
        yield f"{given}: set exactly one of them above 0"
    if config.data.crop > config.data.resize:
        yield f"config.data.crop={config.data.crop} is larger than config.data.resize={config.data.resize}"
    if config.model.width <= 0:
        yield f"config.model.width={config.model.width} must be above 0"
    if sorted(config.optimizer.drops) != list(config.optimizer.drops) or not all(
        0 < fraction < 1 for fraction in config.optimizer.drops
    ):
        yield f"config.optimizer.drops={tuple(config.optimizer.drops)} must be rising fractions between 0 and 1"
    if len(config.optimizer.rates) != len(config.optimizer.drops):
        drops, rates = tuple(config.optimizer.drops), tuple(config.optimizer.rates)
        yield f"config.optimizer.rates={rates} must have one rate for each of config.optimizer.drops={drops}"
    if config.eval.checkpoint == "best" and not config.eval.every_epochs:
        yield "config.eval.checkpoint='best' needs evaluations: config.eval.every_epochs=0.0 makes none"
