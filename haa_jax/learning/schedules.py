"""The papers' learning-rate schedules (optax). Another schedule is one more entry in SCHEDULES."""

import jax.numpy as jnp
import numpy as np
import optax


def make_step(config, peak: float, total_steps: int) -> optax.Schedule:
    """`peak`, times `config.factors` from each of `config.milestones` on, which are fractions of training."""
    milestones = np.array([round(fraction * total_steps) for fraction in config.milestones])
    rates = peak * np.array([1.0, *config.factors], np.float32)
    return lambda step: jnp.asarray(rates)[(step >= milestones).sum()]


def make_cosine(config, peak: float, total_steps: int) -> optax.Schedule:
    """Half a period of a cosine, from `peak` to 0."""
    return optax.cosine_decay_schedule(peak, total_steps)


# config.optimizer.schedule -> function of config.optimizer, the peak rate, and the number of steps.
SCHEDULES = {"step": make_step, "cosine": make_cosine}


def learning_rate(config, batch_size: int, total_steps: int) -> optax.Schedule:
    """The learning rate at each step.

    The warm-up is linear and ends at the value that the schedule has at that step; the schedule does not start later
    for it (PySlowFast, slowfast/utils/lr_policy.py).

    Args:
      config: `config.optimizer` (see configs/base.py).
      batch_size: clips in a step; the rate is scaled by batch_size / config.base_batch_size.
      total_steps: length of the whole training.
    """
    peak = config.learning_rate * (batch_size / config.base_batch_size if config.base_batch_size else 1.0)
    warmup = round(config.warmup_fraction * total_steps)
    schedule = SCHEDULES[config.schedule](config, peak, total_steps)
    if not warmup:
        return schedule
    rise = optax.linear_schedule(config.warmup_start_factor * peak, schedule(jnp.asarray(warmup)), warmup)
    return lambda step: jnp.where(step < warmup, rise(step), schedule(step))
