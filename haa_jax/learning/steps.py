"""What changes as training goes on: one pytree, and the two functions that are compiled over it."""

import flax.struct
import jax
import jax.numpy as jnp
import optax

from haa_jax.learning import freeze, objectives
from haa_jax.models.heads import average_logits, average_softmax

# What is averaged over the views of a clip.
AVERAGES = {"logits": average_logits, "softmax": average_softmax}


@flax.struct.dataclass
class TrainState:
    """Everything a checkpoint must hold to go on exactly.

    Attributes:
      step: int32 scalar, optimizer steps done.
      params: float32 parameters.
      batch_stats: float32 running BatchNorm statistics.
      opt_state: optax's state.
    """

    step: jax.Array
    params: dict
    batch_stats: dict
    opt_state: optax.OptState

    @property
    def variables(self) -> dict:
        """What the network is evaluated with."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def init_state(seed: int, clip_shape: tuple[int, ...], *, model, optimizer) -> TrainState:
    """A fresh state; jit it with output shardings so that nothing is materialized unsharded.

    Args:
      clip_shape: of one clip as the network takes it, (frames, height, width, channels) or ST-GCN's.
    """
    variables = model.init(jax.random.key(seed), jnp.zeros((1, *clip_shape)), train=False)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
    )


def train_step(
    state: TrainState,
    batch,
    *,
    model,
    preprocess,
    optimizer,
    seed: int,
    accumulation_steps: int,
    bn_momentum: float,
    trainable: tuple[str, ...] = (),
):
    """One optimizer step on a global batch.

    Args:
      batch: {"clips": {part: (B, ...)}, "labels": {head: int32 (B,)}}.
      preprocess: from stored clips to the network's input (streams.preprocess).
      accumulation_steps: parts that the batch is worked through in; BatchNorm normalizes one part at a time.
      bn_momentum: that the model's BatchNorms were built with (see `running_statistics`).
      trainable: the parts of the network that learn (see freeze.py), as the optimizer was made for; () for all.

    Returns:
      (new state, {"loss", "accuracy" (of the evaluated head), "grad_norm"}), float32 scalars.
    """
    rng = jax.random.fold_in(jax.random.key(seed), state.step)
    parts = jax.tree.map(lambda rows: _split(rows, accumulation_steps), batch)

    def one_part(part):
        number, rows = part
        grad_fn = jax.value_and_grad(_loss, has_aux=True)
        dropout = jax.random.fold_in(rng, number)
        options = (model, preprocess, trainable, dropout)
        (loss, (accuracy, batch_stats)), grads = grad_fn(state.params, state.batch_stats, rows, *options)
        return batch_stats, grads, {"loss": loss, "accuracy": accuracy}

    batch_stats, grads, metrics = _mean(one_part, parts, accumulation_steps)
    batch_stats = running_statistics(state.batch_stats, batch_stats, state.step, bn_momentum)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = TrainState(state.step + 1, params, batch_stats, opt_state)
    return state, {**metrics, "grad_norm": optax.global_norm(grads)}


def running_statistics(before: dict, after: dict, step: jax.Array, momentum: float) -> dict:
    """BatchNorm's running statistics after a step, with less momentum while the training is young.

    The published rule, new = momentum * old + (1 - momentum) * batch, holds the initial zeros and ones and the
    statistics of long-gone weights for a thousand steps at a momentum of 0.999. Here the momentum of step t, from 0, is
    min(momentum, (1 + t) / (10 + t)), the rule that TensorFlow's ExponentialMovingAverage has for its `num_updates`:
    the average reaches back over a tenth of the training so far, and is the published one from step
    (10 * momentum - 1) / (1 - momentum) on (8,990 at 0.999, 80 at 0.9).

    Args:
      before: the running statistics that the step began with.
      after: those by the published rule.
      step: steps done before this one, int32 scalar.
      momentum: of the published rule.
    """
    own = jnp.minimum(momentum, (1.0 + step) / (10.0 + step))
    share = (1 - own) / (1 - momentum)  # of the batch, as a multiple of the published one

    def average(old, new):
        return jnp.where(own < momentum, old + share * (new - old), new)

    return jax.tree.map(average, before, after)


def eval_step(variables: dict, batch, *, model, preprocess):
    """Logits of each view of a clip; AVERAGES has what becomes of the views.

    Args:
      batch: {"clips": {part: (B, ...)}, ...}.
      preprocess: from stored clips to the network's input (streams.preprocess).

    Returns:
      {head: float32 (B, classes)}.
    """
    return model.apply(variables, preprocess(batch["clips"]), train=False)[0]


def features_step(variables: dict, batch, *, model, preprocess):
    """What the heads see of each view of a clip: the endpoint "features".

    Args:
      As for `eval_step`.

    Returns:
      {"features": float32 (B, size)}.
    """
    return model.apply(variables, preprocess(batch["clips"]), train=False, endpoints=("features",))[1]


def _loss(params, batch_stats, batch, model, preprocess, trainable, dropout_rng):
    with freeze.frozen_batchnorms(trainable):
        (logits, _), updated = model.apply(
            {"params": freeze.stop_gradients(params, trainable), "batch_stats": batch_stats},
            preprocess(batch["clips"]),
            train=True,
            rngs={"dropout": dropout_rng},
            mutable=["batch_stats"],
        )
    evaluated = objectives.evaluated_head(logits)
    accuracy = (logits[evaluated].argmax(-1) == batch["labels"][evaluated]).mean()
    return objectives.loss_fn(logits, batch["labels"]), (accuracy, updated["batch_stats"])


def _split(rows: jax.Array, parts: int) -> jax.Array:
    """(B, ...) to (parts, B / parts, ...); each device keeps its own rows, since part p is every p-th row."""
    return rows.reshape(rows.shape[0] // parts, parts, *rows.shape[1:]).swapaxes(0, 1)


def _mean(function, parts, count: int):
    """The mean of a function's outputs for each of the parts, one part after the other."""
    if count == 1:  # a loop of one would keep XLA from optimizing across its edge
        return function((0, jax.tree.map(lambda rows: rows[0], parts)))

    def add(total, part):
        return jax.tree.map(jnp.add, total, function(part)), None

    numbered = (jnp.arange(count), parts)
    shapes = jax.eval_shape(function, jax.tree.map(lambda rows: rows[0], numbered))
    zeros = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, numbered)
    return jax.tree.map(lambda array: array / count, total)
