"""The functions that are compiled: one step of training, of evaluation, and of feature extraction."""

from collections.abc import Callable

import jax
import optax
from flax import linen as nn

from haa_jax.learning import freeze, microbatches
from haa_jax.learning.batch_statistics import running_statistics
from haa_jax.learning.objectives import Objective
from haa_jax.learning.train_state import TrainState
from haa_jax.models.heads import average_logits, average_sigmoid, average_softmax

# config.eval.average -> how logits are averaged over the views of a clip: (views, classes) and an axis to (classes,).
AVERAGES = {"logits": average_logits, "softmax": average_softmax, "sigmoid": average_sigmoid}


def train_step(
    state: TrainState,
    batch: dict,
    *,
    model: nn.Module,
    preprocess: Callable,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    seed: int,
    accumulation_steps: int,
    bn_momentum: float,
    trainable: tuple[str, ...] = (),
) -> tuple[TrainState, dict]:
    """One optimizer step on a global batch.

    Args:
      batch: {"clips": {modality: (B, ...)}, "labels": {head: int32 (B,), or as the objective has them}}.
      preprocess: from stored clips to the network's input.
      objective: its heads are those of the model and of the labels.
      accumulation_steps: microbatches in the batch; BatchNorm normalizes each by its own statistics.
      bn_momentum: momentum of the model's BatchNorms (see `running_statistics`).
      trainable: the modules that are trained (see freeze.py), as the optimizer was made for; () for all.

    Returns:
      (new state, {"loss", "accuracy" (of the evaluated head), "grad_norm"}), float32 scalars.
    """
    rng = jax.random.fold_in(jax.random.key(seed), state.step)

    def loss(params, rows, dropout_rng):
        variables = {"params": freeze.stop_gradients(params, trainable), "batch_stats": state.batch_stats}
        with freeze.frozen_batchnorms(trainable):
            (logits, _), updated = model.apply(
                variables,
                preprocess(rows["clips"]),
                train=True,
                rngs={"dropout": dropout_rng},
                mutable=["batch_stats"],
            )
        head, labels = objective.evaluated, rows["labels"]
        accuracy = objective.accuracy(logits[head], labels[head])
        return objective.loss(logits, labels), (accuracy, updated["batch_stats"])

    def gradients(number, rows):
        grad_fn = jax.value_and_grad(loss, has_aux=True)
        (value, (accuracy, batch_stats)), grads = grad_fn(state.params, rows, jax.random.fold_in(rng, number))
        return batch_stats, grads, {"loss": value, "accuracy": accuracy}

    rows = microbatches.split(batch, accumulation_steps)
    batch_stats, grads, metrics = microbatches.mean(gradients, rows, accumulation_steps)
    batch_stats = running_statistics(state.batch_stats, batch_stats, state.step, bn_momentum)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = TrainState(state.step + 1, params, batch_stats, opt_state)
    return state, {**metrics, "grad_norm": optax.global_norm(grads)}


def eval_step(variables: dict, batch: dict, *, model: nn.Module, preprocess: Callable) -> dict[str, jax.Array]:
    """Logits of each row of a batch, which is one view of a clip; AVERAGES combines the views.

    Args:
      variables: {"params", "batch_stats"}.
      batch: {"clips": {modality: (B, ...)}, ...}.
      preprocess: from stored clips to the network's input.

    Returns:
      {head: float32 (B, classes)}.
    """
    return model.apply(variables, preprocess(batch["clips"]), train=False)[0]


def features_step(variables: dict, batch: dict, *, model: nn.Module, preprocess: Callable) -> dict[str, jax.Array]:
    """The input of the heads, the endpoint "features", for each row of a batch. Arguments as for `eval_step`.

    Returns:
      {"features": float32 (B, size)}.
    """
    return model.apply(variables, preprocess(batch["clips"]), train=False, endpoints=("features",))[1]
