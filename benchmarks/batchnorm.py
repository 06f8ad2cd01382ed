"""How BatchNorm's running statistics affect accuracy: one short training, evaluated with several kinds of them.

    python -m benchmarks.batchnorm --data_dir=DIR [--steps=300] [--seed=0]

Trains the demo's I3D (momentum 0.999) on `haa500/demo` in DIR, and evaluates the same parameters on its test clips with
the statistics of the published rule, of an average debiased like Adam's, of this project's rule
(`batch_statistics.running_statistics`), and with those recomputed from the last parameters over PRECISE batches, which
is PySlowFast's precise BatchNorm. Takes minutes on two CPU cores.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import jax.numpy as jnp
from absl import app, flags, logging

from haa_jax import config_flag, evaluate, streams
from haa_jax.configs import i3d
from haa_jax.data import pipeline
from haa_jax.experiment import create_experiment, train_step
from haa_jax.learning import losses
from haa_jax.learning.batch_statistics import running_statistics

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where haa500/demo was built.")
_STEPS = flags.DEFINE_integer("steps", 300, "Of training.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the training.", lower_bound=0)
PRECISE = 48  # batches; the demo's training split has 16


def main(argv):
    config_flag.no_arguments(argv, "options are --data_dir, --steps and --seed")
    config_flag.require("data_dir")
    logging.set_verbosity(logging.WARNING)
    config = i3d.get_config("demo")
    config.data.data_dir, config.seed = _DATA_DIR.value, _SEED.value
    config.train.epochs, config.train.steps, config.eval.every_epochs = 0.0, _STEPS.value, 0.0
    momentum, config.model.bn_momentum = (
        config.model.bn_momentum,
        0.0,
    )  # each step then keeps its batch's statistics
    exp = create_experiment(config)
    batches = pipeline.train_batches(
        exp.splits["train"], config.data, config.train.batch_size, config.seed, 0, exp.shard
    )
    params, kept = train(exp, batches, momentum)
    kept["recomputed"] = precise(exp, batches, params)
    batches.close()
    for name, statistics in kept.items():
        report(exp, name, {"params": params, "batch_stats": statistics})


def train(exp, batches, momentum: float) -> tuple[dict, dict[str, dict]]:
    """The trained parameters, and the statistics of each rule."""
    train_state = exp.fresh_state()
    step = jax.jit(train_step(exp.config, exp.model, exp.optimizer))
    kept = dict.fromkeys(("published", "debiased", "haa_jax"), train_state.batch_stats)
    for number in range(_STEPS.value):
        train_state, _ = step(train_state, _of(next(batches), "clips", "labels"))
        kept = follow(kept, train_state.batch_stats, jnp.int32(number), momentum)
    return train_state.params, kept


@jax.jit
def follow(kept: dict, batch: dict, step: jax.Array, momentum: float) -> dict:
    """The statistics of each rule after a step, from those of its batch."""

    def mix(before, own):
        return jax.tree.map(lambda old, new: own * old + (1 - own) * new, before, batch)

    debiased = momentum * (1 - momentum**step) / (1 - momentum ** (step + 1))
    ours = running_statistics(kept["haa_jax"], mix(kept["haa_jax"], momentum), step, momentum)
    return {"published": mix(kept["published"], momentum), "debiased": mix(kept["debiased"], debiased), "haa_jax": ours}


def precise(exp, batches, params: dict) -> dict:
    """The mean statistics of `PRECISE` batches."""
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), exp.abstract_state.batch_stats)

    @jax.jit
    def statistics(batch):
        variables = {"params": params, "batch_stats": zeros}  # at a momentum of 0 the old statistics have no effect
        clips = streams.preprocess(batch["clips"], exp.config.data)
        return exp.model.apply(variables, clips, train=True, mutable=["batch_stats"])[1]

    total = statistics(_of(next(batches), "clips"))
    for _ in range(PRECISE - 1):
        total = jax.tree.map(jnp.add, total, statistics(_of(next(batches), "clips")))
    return jax.tree.map(lambda leaf: leaf / PRECISE, total["batch_stats"])


def _of(batch: dict, *keys: str) -> dict:
    return {key: batch[key] for key in keys}


def report(exp, name: str, variables: dict) -> None:
    logits = evaluate.predict(exp, variables, "test")
    top1 = evaluate.score(exp, logits, "test")["heads"]["atomic"]["top1"]
    loss = losses.cross_entropy(logits["atomic"], exp.splits["test"].labels["atomic"])
    print(f"{_STEPS.value} steps, seed {_SEED.value}, {name:14}: {top1['correct']}/{top1['count']}, loss {loss:.3f}")


if __name__ == "__main__":
    app.run(main, flags_parser=config_flag.parse)
