"""Grad-CAM: where the evidence for a class is; Selvaraju et al., ICCV 2017, arXiv 1610.02391.

Each channel of an endpoint gets one weight for the whole clip, the gradient of the class's logit averaged over all
positions in time and space (equation 1); the map is the weighted sum of the channels where it is positive (equation 2).
If linear heads follow an average over the positions, it is CAM (Zhou et al., arXiv 1512.04150) divided by the number of
positions.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from haa_jax import models
from haa_jax.data.views import Clip
from haa_jax.errors import UserError
from haa_jax.explanation import gradients
from haa_jax.prediction.networks import evaluated_head
from haa_jax.restore import TrainedNetwork


class ExplanationError(UserError, ValueError):
    """An endpoint, head or class that cannot be explained; the message names it."""


class ClassMaps(NamedTuple):
    """The maps of one class for each clip.

    Attributes:
      logits: float32 (batch, classes) of the head.
      classes: int (batch,), the class that is explained.
      maps: endpoint -> float32 as `grad_cam` returns it.
    """

    logits: np.ndarray
    classes: np.ndarray
    maps: dict[str, np.ndarray]


def grad_cam(
    trained: TrainedNetwork, clips: Clip, class_index: int | np.ndarray, endpoint: str, head: str = ""
) -> np.ndarray:
    """The Grad-CAM of a class at an endpoint.

    Args:
      clips: stored clips, as for `TrainedNetwork.logits`.
      class_index: of one class, or int (batch,) of one for each clip.
      endpoint: one of the network's with positions; see its file in haa_jax/models.
      head: "" for the one that the test evaluates.

    Returns:
      float32, 0 or above, at the endpoint's own resolution: (batch, time', height', width'); of ST-GCN (batch, people,
      time', joints).

    Raises:
      ExplanationError: unknown endpoint, or one without positions or that does not lead to the logits; unknown head
        or class; logits that are not finite.
    """
    return class_maps(trained, clips, (endpoint,), head, class_index).maps[endpoint]


def class_maps(
    trained: TrainedNetwork, clips: Clip, endpoints: tuple[str, ...], head: str = "", class_index=None
) -> ClassMaps:
    """The Grad-CAM at several endpoints, in one pass; arguments and errors are those of `grad_cam`.

    Args:
      class_index: None for the class with the highest logit of each clip.
    """
    head = head or evaluated_head(trained)
    wanted = _check_classes(trained, head, -1 if class_index is None else class_index)
    inputs = trained.preprocess(clips)
    _check_endpoints(trained, inputs, endpoints)
    by_person = models.MODELS[trained.config.model.name].INPUT == "skeleton"

    try:
        logits, classes, maps = _run(
            _Static(trained.network, head, endpoints, by_person),
            trained.variables,
            inputs,
            np.broadcast_to(wanted, len(inputs)),
        )
    except gradients.UnusedError as error:
        raise ExplanationError(f"the {head} logits are not computed from endpoint {error}") from error
    if not np.isfinite(logits).all():
        raise ExplanationError(f"the network's {head} logits are not finite")
    return ClassMaps(np.asarray(logits), np.asarray(classes), {name: np.asarray(maps[name]) for name in endpoints})


@dataclasses.dataclass(frozen=True)
class _Static:
    """What `_run` is compiled for, apart from shapes; networks can be compared, but not hashed."""

    network: nn.Module
    head: str
    endpoints: tuple[str, ...]
    by_person: bool

    def __hash__(self) -> int:
        return hash((type(self.network), self.head, self.endpoints))


@functools.partial(jax.jit, static_argnums=0)
def _run(static: _Static, variables, inputs, wanted):
    """Logits, classes and maps as in ClassMaps; compiled once for a network and the shape of its inputs."""

    def logits_and_endpoints(variables, inputs):
        logits, values = static.network.apply(variables, inputs, train=False, endpoints=static.endpoints)
        return logits[static.head], values

    logits, values, pull_back = gradients.vjp(logits_and_endpoints, variables, inputs)
    classes = jnp.where(wanted < 0, logits.argmax(-1), wanted)
    # Clips do not depend on one another at test: the gradient of the sum is that of each clip.
    slopes = pull_back(jax.nn.one_hot(classes, logits.shape[1], dtype=logits.dtype))
    if static.by_person:  # (batch * people, time, joints, channels)
        values, slopes = jax.tree.map(lambda x: x.reshape(*inputs.shape[:2], *x.shape[1:]), (values, slopes))
    return logits, classes, {name: _weighted(value, slopes[name]) for name, value in values.items()}


def _check_classes(trained: TrainedNetwork, head: str, class_index) -> np.ndarray:
    """The index as int32. Raises ExplanationError unless the head exists and has the class; -1 is allowed."""
    if head not in trained.classes:
        raise ExplanationError(f"the network has no head {head!r}; its heads: {', '.join(trained.classes)}")
    wanted, count = np.asarray(class_index, np.int32), len(trained.classes[head])
    if (wanted < -1).any() or (wanted >= count).any():
        raise ExplanationError(f"class {class_index} is not one of the {count} classes of the head {head!r}")
    return wanted


def _check_endpoints(trained: TrainedNetwork, inputs: jax.Array, endpoints: tuple[str, ...]) -> None:
    """Raises ExplanationError for an endpoint that the network does not have, or that has no positions."""

    def shapes(variables, inputs):
        return trained.network.apply(variables, inputs, train=False, endpoints=endpoints)[1]

    try:
        found = jax.eval_shape(shapes, trained.variables, inputs)
    except ValueError as error:  # what every network raises for an unknown name
        raise ExplanationError(str(error)) from error
    flat = [name for name, value in found.items() if value.ndim < 3]
    if flat:
        raise ExplanationError(f"endpoint {flat[0]!r} has no positions in time and space; give one before its pool")


def _weighted(values: jax.Array, slopes: jax.Array) -> jax.Array:
    """The positive part of the sum of the channels, each weighted by its mean gradient.

    Args:
      values: (batch, *positions, channels).
      slopes: the gradients, of the same shape.
    """
    values, slopes = values.astype(jnp.float32), slopes.astype(jnp.float32)
    weights = slopes.mean(tuple(range(1, slopes.ndim - 1)), keepdims=True)
    return jax.nn.relu((values * weights).sum(-1))
