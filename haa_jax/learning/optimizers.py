"""Optimizers (optax): SGD as the video papers use it, and AdamW for small runs.

Another optimizer is one more entry in OPTIMIZERS.
"""

from collections.abc import Callable, Mapping

import optax
from flax.traverse_util import path_aware_map

from haa_jax.learning.freeze import freeze
from haa_jax.learning.schedules import learning_rate
from haa_jax.models.parameters import Path, Role


def make_sgd(config, rate: optax.Schedule, decayed: Callable) -> optax.GradientTransformation:
    """SGD with momentum; weight decay is added to the gradient (L2)."""
    decay = optax.add_decayed_weights(config.weight_decay, mask=decayed)
    return optax.chain(decay, optax.sgd(rate, config.momentum, nesterov=config.nesterov))


def make_adamw(config, rate: optax.Schedule, decayed: Callable) -> optax.GradientTransformation:
    """AdamW, whose weight decay is decoupled from the gradient."""
    decay = {"weight_decay": config.weight_decay, "mask": decayed}
    return optax.adamw(rate, b1=config.momentum, b2=config.beta2, nesterov=config.nesterov, **decay)


# config.optimizer.name -> function of config.optimizer, the learning rate, and the mask of the parameters that decay.
OPTIMIZERS = {"sgd": make_sgd, "adamw": make_adamw}
# config.optimizer.weight_decay_mask -> whether a parameter of this role decays.
WEIGHT_DECAY_MASKS = {
    "kernels": lambda role: role.kind == "kernel",
    "not_batchnorm": lambda role: role.kind != "norm",
    "all": lambda role: True,
}


def make_optimizer(
    config, batch_size: int, total_steps: int, roles: Mapping[Path, Role]
) -> optax.GradientTransformation:
    """Gradient clipping, then the optimizer that the config names, then the learning-rate multipliers.

    Parameters outside `config.trainable` are not updated.

    Args:
      config: `config.optimizer` (see configs/base.py).
      batch_size, total_steps: as for `schedules.learning_rate`.
      roles: of all parameters, as `models.parameter_roles` returns them.
    """
    rate = learning_rate(config, batch_size, total_steps)
    steps = [OPTIMIZERS[config.name](config, rate, _mask(roles, WEIGHT_DECAY_MASKS[config.weight_decay_mask]))]
    if config.clip_norm:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    multipliers = (
        (config.head_lr_multiplier, lambda role: role.in_head),
        (config.bias_lr_multiplier, lambda role: role.kind == "bias"),
        (config.stem_lr_multiplier, lambda role: role.in_stem and role.kind in ("kernel", "bias")),
    )
    steps += [optax.masked(optax.scale(factor), _mask(roles, of)) for factor, of in multipliers if factor != 1.0]
    return freeze(optax.chain(*steps), config.trainable)


def _mask(roles: Mapping[Path, Role], wanted: Callable[[Role], bool]) -> Callable[[dict], dict]:
    """An optax mask: the function from parameters to booleans, True for those whose role is wanted."""
    return lambda params: path_aware_map(lambda path, _: wanted(roles[path]), params)
