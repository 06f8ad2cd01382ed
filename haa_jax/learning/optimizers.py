"""SGD as the video papers use it, AdamW for small runs, and the papers' learning-rate schedules (optax)."""

from collections.abc import Callable, Set

import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, path_aware_map

from haa_jax.learning.freeze import freeze
from haa_jax.models.heads import is_head
from haa_jax.models.layers import is_stem

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("step", "cosine")
DECAYS = ("kernels", "not_batchnorm", "all")


def learning_rate(config, batch_size: int, total_steps: int) -> optax.Schedule:
    """The rate at each step.

    The warm-up is linear and ends where the schedule is at that step; the schedule itself does not wait for it
    (PySlowFast, slowfast/utils/lr_policy.py).

    Args:
      config: `config.optimizer` (see configs/base.py).
      batch_size: clips in a step; the rate is scaled by batch_size / config.base_batch_size.
      total_steps: length of the whole training.
    """
    peak = config.learning_rate * (batch_size / config.base_batch_size if config.base_batch_size else 1.0)
    warmup = round(config.warmup_fraction * total_steps)
    if config.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, total_steps)
    else:
        milestones = np.array([round(fraction * total_steps) for fraction in config.milestones])
        rates = peak * np.array([1.0, *config.factors], np.float32)
        schedule = lambda step: jnp.asarray(rates)[(step >= milestones).sum()]  # noqa: E731
    if not warmup:
        return schedule
    rise = optax.linear_schedule(config.warmup_start_factor * peak, schedule(jnp.asarray(warmup)), warmup)
    return lambda step: jnp.where(step < warmup, rise(step), schedule(step))


def make_optimizer(config, batch_size: int, total_steps: int) -> optax.GradientTransformation:
    """Clipping, then SGD with L2 and momentum, or AdamW with decoupled decay.

    Heads, biases and first convolutions learn at their own rates.
    Where `config.trainable` names parts, the others are left as they are.
    """
    rate = learning_rate(config, batch_size, total_steps)
    nesterov, decayed = config.nesterov, _mask(_DECAYED[config.weight_decay_mask])
    if config.name == "adamw":
        decay = {"weight_decay": config.weight_decay, "mask": decayed}
        steps = [optax.adamw(rate, b1=config.momentum, b2=config.beta2, nesterov=nesterov, **decay)]
    else:
        decay = optax.add_decayed_weights(config.weight_decay, mask=decayed)
        steps = [decay, optax.sgd(rate, config.momentum, nesterov=nesterov)]
    if config.clip_norm:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    faster = (
        (config.head_lr_multiplier, _is_in_a_head),
        (config.bias_lr_multiplier, _is_bias),
        (config.stem_lr_multiplier, _is_first_layer),
    )
    steps += [optax.masked(optax.scale(factor), _mask(learns)) for factor, learns in faster if factor != 1.0]
    return freeze(optax.chain(*steps), config.trainable)


def kind_of(path: tuple[str, ...], layers: Set[tuple[str, ...]]) -> str:
    """What a parameter is: "kernel", "bias" (of a convolution or linear layer), "norm" or "other".

    A normalization's scale and bias are told by what is beside them and not by a name: there is no kernel.

    Args:
      path: of the parameter.
      layers: paths of the modules that have a kernel.
    """
    if path[-1] == "kernel":
        return "kernel"
    if path[-1] == "bias" and path[:-1] in layers:
        return "bias"
    return "norm" if path[-1] in ("scale", "bias") else "other"


def _is_in_a_head(path: tuple[str, ...], kind: str) -> bool:
    return is_head(path)


def _is_bias(path: tuple[str, ...], kind: str) -> bool:
    return kind == "bias"


def _is_first_layer(path: tuple[str, ...], kind: str) -> bool:
    return kind in ("kernel", "bias") and is_stem(path)


_DECAYED = {
    "kernels": lambda path, kind: kind == "kernel",
    "not_batchnorm": lambda path, kind: kind != "norm",
    "all": lambda path, kind: True,
}


def _mask(wanted: Callable[[tuple[str, ...], str], bool]):
    """The function from parameters to booleans that optax wants, from one of a parameter's path and kind."""

    def booleans(params):
        # Frozen ones are there too, as optax's placeholders: a bias may learn without its kernel.
        layers = {path[:-1] for path in flatten_dict(params) if path[-1] == "kernel"}
        return path_aware_map(lambda path, _: wanted(path, kind_of(path, layers)), params)

    return booleans
