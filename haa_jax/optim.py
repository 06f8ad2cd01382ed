"""SGD as the video papers use it, AdamW for small runs, and the papers' learning-rate schedules (optax)."""

import jax
import optax

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("step", "cosine")


def learning_rate(config, batch_size: int, total_steps: int) -> optax.Schedule:
    """The rate at each step.

    Args:
      config: `config.optimizer` (see configs/base.py).
      batch_size: clips in a step; the rate is scaled by batch_size / config.base_batch_size.
      total_steps: length of the whole training.
    """
    peak = config.learning_rate * (batch_size / config.base_batch_size if config.base_batch_size else 1.0)
    warmup = round(config.warmup * total_steps)
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(1, total_steps - warmup))
    else:
        drops = {round(fraction * total_steps) - warmup: config.drop_factor for fraction in config.drops}
        after = optax.piecewise_constant_schedule(peak, drops)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, max(1, warmup)), after], [warmup])


def make_optimizer(config, batch_size: int, total_steps: int) -> optax.GradientTransformation:
    """Clipping, then SGD with L2 on kernels and momentum, or AdamW with decoupled decay of kernels."""
    rate = learning_rate(config, batch_size, total_steps)
    nesterov = config.nesterov
    if config.name == "adamw":
        decay = {"weight_decay": config.weight_decay, "mask": _is_kernel}
        steps = [optax.adamw(rate, b1=config.momentum, b2=config.beta2, nesterov=nesterov, **decay)]
    else:
        decay = optax.add_decayed_weights(config.weight_decay, mask=_is_kernel)
        steps = [decay, optax.sgd(rate, config.momentum, nesterov=nesterov)]
    if config.clip_norm:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    return optax.chain(*steps)


def _is_kernel(params):
    """True for weights of convolutions and linear layers: the papers do not decay biases and BatchNorm."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
