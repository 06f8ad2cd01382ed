"""The running statistics of BatchNorm in short trainings."""

import jax
import jax.numpy as jnp


def running_statistics(before: dict, after: dict, step: jax.Array, momentum: float) -> dict:
    """BatchNorm's running statistics after a step, with a smaller momentum in the first steps.

    The published rule, new = momentum * old + (1 - momentum) * batch, keeps the initial zeros and ones, and then the
    statistics of outdated weights, for a thousand steps at a momentum of 0.999. Here the momentum of step t, counted
    from 0, is min(momentum, (1 + t) / (10 + t)), the rule of `num_updates` in TensorFlow's ExponentialMovingAverage:
    the average spans a tenth of the training so far, and follows the published rule from step
    (10 * momentum - 1) / (1 - momentum) on (8,990 at 0.999, 80 at 0.9).

    Args:
      before: the running statistics before the step.
      after: the running statistics after it by the published rule.
      step: steps done before this one, int32 scalar.
      momentum: of the published rule.
    """
    own = jnp.minimum(momentum, (1.0 + step) / (10.0 + step))
    share = (1 - own) / (1 - momentum)  # weight of the batch, as a multiple of the published one

    def average(old, new):
        return jnp.where(own < momentum, old + share * (new - old), new)

    return jax.tree.map(average, before, after)
