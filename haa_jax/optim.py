"""SGD as the video papers use it, AdamW for small runs, and the papers' learning-rate schedules (optax)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from haa_jax.freeze import freeze

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
    warmup = round(config.warmup * total_steps)
    if config.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, total_steps)
    else:
        drops = np.array([round(fraction * total_steps) for fraction in config.drops])
        rates = peak * np.array([1.0, *config.rates], np.float32)
        schedule = lambda step: jnp.asarray(rates)[(step >= drops).sum()]  # noqa: E731
    if not warmup:
        return schedule
    rise = optax.linear_schedule(config.warmup_start * peak, schedule(jnp.asarray(warmup)), warmup)
    return lambda step: jnp.where(step < warmup, rise(step), schedule(step))


def make_optimizer(config, batch_size: int, total_steps: int) -> optax.GradientTransformation:
    """Clipping, then SGD with L2 and momentum, or AdamW with decoupled decay; heads and biases at their own rate.

    Where `config.trainable` names parts, the others are left as they are.
    """
    rate = learning_rate(config, batch_size, total_steps)
    nesterov, decayed = config.nesterov, _DECAYED[config.decay]
    if config.name == "adamw":
        decay = {"weight_decay": config.weight_decay, "mask": _mask(decayed)}
        steps = [optax.adamw(rate, b1=config.momentum, b2=config.beta2, nesterov=nesterov, **decay)]
    else:
        decay = optax.add_decayed_weights(config.weight_decay, mask=_mask(decayed))
        steps = [decay, optax.sgd(rate, config.momentum, nesterov=nesterov)]
    if config.clip_norm:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    for factor, learns_faster in ((config.head_rate, _is_head), (config.bias_rate, _is_bias)):
        if factor != 1.0:
            steps.append(optax.masked(optax.scale(factor), _mask(learns_faster)))
    return freeze(optax.chain(*steps), config.trainable)


def _is_kernel(path) -> bool:
    return path[-1].key == "kernel"


def _is_head(path) -> bool:
    return path[0].key == "Logits"


def _is_bias(path) -> bool:
    """Biases of convolutions and linear layers."""
    return path[-1].key == "bias" and not _is_batchnorm(path)


def _is_batchnorm(path) -> bool:
    """Parameters of the modules that our architectures call bn, data_bn, gcn_bn, batch_norm."""
    return len(path) > 1 and path[-2].key.endswith(("bn", "batch_norm"))


_DECAYED = {"kernels": _is_kernel, "not_batchnorm": lambda path: not _is_batchnorm(path), "all": lambda path: True}


def _mask(wanted):
    """The tree of booleans that optax wants, from a function of a parameter's path."""
    return lambda params: jax.tree_util.tree_map_with_path(lambda path, _: wanted(path), params)
