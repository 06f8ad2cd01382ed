"""The end of every network: pooling, linear heads on shared features, and named endpoints."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

AUX = "aux_"  # prefix of the name of an auxiliary head, which only helps training


def average_pool(x: jax.Array, window: tuple[int, int, int]) -> jax.Array:
    """Average pool, stride 1, no padding, in float32; the window shrinks to fit the input.

    A window larger than the input would leave no positions, whose mean is NaN: that is what the published I3D head
    gives for 8 frames or fewer. Where the window fits, this is the published pool: for I3D's (2, 7, 7), from 9 frames
    on at 224 pixels.

    Args:
      x: (batch, time, height, width, channels).
      window: extents over time, height, width.

    Returns:
      (batch, time', height', width', channels) float32, every extent at least 1.
    """
    fitted = tuple(min(size, extent) for size, extent in zip(window, x.shape[1:4], strict=True))
    return nn.avg_pool(at_least_float32(x), fitted, strides=(1, 1, 1), padding="VALID")


def at_least_float32(x: jax.Array) -> jax.Array:
    """Casts bfloat16 to float32; keeps float64, in which the tests check gradients."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def average_logits(logits: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """The mean over `axis`, by which I3D and TSN combine positions, frames and views."""
    return logits.mean(axis)


def average_softmax(logits: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """Logits whose softmax is the mean, over `axis`, of the softmaxes of `logits`.

    The last axis holds the classes. A softmax leaves the offset of its logits open; here it is the mean log-sum-exp,
    so that the logits of a single position are returned unchanged.
    """
    sums = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    count = math.prod(logits.shape[each] for each in ((axis,) if isinstance(axis, int) else axis))
    mean_of_softmaxes = jax.nn.logsumexp(logits - sums, axis=axis) - math.log(count)
    return mean_of_softmaxes + sums.mean(axis)


def average_sigmoid(logits: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    """Logits whose sigmoid is the mean, over `axis`, of the sigmoids of `logits`; for clips of several classes."""
    yes, no = (jax.nn.logsumexp(jax.nn.log_sigmoid(each), axis=axis) for each in (logits, -logits))
    return yes - no


class LinearHeads(nn.Module):
    """Dropout shared by all heads, one linear layer per head, and an average over all positions.

    Attributes:
      classes: number of classes by head name; each head's parameters are under its name.
      dropout: rate of each feature of each position, active in training only (rng collection "dropout").
      kernel_init: initializer of the linear layers; biases start at 0.
      average: over positions outside training, `average_logits` or `average_softmax`; in training, of logits.
    """

    classes: Mapping[str, int]
    dropout: float
    kernel_init: Callable[..., jax.Array]
    average: Callable[..., jax.Array] = average_logits

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps (batch, *positions, features) to logits (batch, classes) by head, in float32."""
        x = nn.Dropout(self.dropout, deterministic=not train)(at_least_float32(x))
        positions = tuple(range(1, x.ndim - 1))
        average = average_logits if train else self.average
        return {
            name: average(nn.Dense(classes, kernel_init=self.kernel_init, name=name)(x), positions)
            for name, classes in self.classes.items()
        }


def check_endpoints(asked: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValueError for a name in `asked` that is not in `known`, with the nearest one that is."""
    known = tuple(known)
    for name in asked:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise ValueError(f"unknown endpoint {name!r}; did you mean {nearest!r}? All: {', '.join(known)}")
