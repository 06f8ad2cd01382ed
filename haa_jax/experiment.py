"""An experiment: the dataset, network, optimizer and devices that a config describes, checked before any work."""

import dataclasses
import functools
import importlib.metadata
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from haa_jax import checks, memory, models, streams
from haa_jax.data import dataset, labels, pipeline
from haa_jax.learning import losses, objectives, steps
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import TrainState, abstract_state, lower_fresh_state
from haa_jax.models.parameters import Initializer, initializer, shapes_of
from haa_jax.runtime import compiling, mesh


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config with the dataset it names, the network it describes and the devices it runs on."""

    config: object
    builder: object
    test_builder: object  # the same, unless config.eval.dataset names another
    taxonomy: object
    heads: tuple[labels.Head, ...]
    splits: dict[str, dataset.Split]
    mesh: Mesh
    model: object
    init: Initializer  # of the network: traced once for all that needs its shapes
    optimizer: object
    abstract_state: TrainState  # shapes, dtypes and shardings

    @property
    def objective(self) -> objectives.Objective:
        return objectives.OBJECTIVES[self.config.objective]

    @property
    def steps_per_epoch(self) -> float:
        return len(self.splits["train"]) / self.config.train.batch_size

    @property
    def total_steps(self) -> int:
        return total_steps(self.config, len(self.splits["train"]))

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        return {head.name: head.classes for head in self.heads}

    @functools.cached_property
    def class_weights(self) -> dict[str, np.ndarray] | None:
        """The weights of each head's classes in the loss, from the training split; None for equal ones."""
        weigh = losses.CLASS_WEIGHTS[self.config.train.class_weights]
        if weigh is None:
            return None
        labels = self.splits["train"].labels
        return {head.name: weigh(labels[head.name], len(head.classes)) for head in self.heads}

    @property
    def clip_shape(self) -> tuple[int, ...]:
        return clip_shape(self.config)

    @property
    def abstract_batch(self) -> dict:
        """Shapes, dtypes and shardings of a training batch of all processes (see `pipeline.train_batches`)."""
        rows, sharding = self.config.train.batch_size, mesh.batch_sharding(self.mesh)
        labels = {
            head: jax.ShapeDtypeStruct((rows, *values.shape[1:]), values.dtype, sharding=sharding)
            for head, values in self.splits["train"].labels.items()
        }
        return {"clips": streams.abstract_clips(self.config.data, rows, sharding), "labels": labels}

    @property
    def shard(self) -> pipeline.ProcessShard:
        return pipeline.ProcessShard(jax.process_index(), jax.process_count())

    @functools.cached_property
    def test_data(self):
        """`config.data` with the frames and sizes of the test."""
        return pipeline.at_test(self.config.data, self.config.eval)

    @property
    def test_views(self) -> pipeline.Views:
        """Of each clip in an evaluation that is reported."""
        return pipeline.Views(self.config.eval.windows, self.config.eval.crops)

    @property
    def validation_views(self) -> pipeline.Views:
        """Of each clip in the evaluations during training: the frames and sizes of the test, but fewer views."""
        return pipeline.Views(self.config.eval.validation_windows, self.config.eval.validation_crops)

    @property
    def eval_batch_size(self) -> int:
        """Views in a batch, over all devices."""
        return self.config.eval.batch_size * self.mesh.size

    @functools.cached_property
    def fresh_state(self) -> Callable[[], TrainState]:
        """Returns a state of random parameters, laid out over the devices as `abstract_state` has it, when called."""
        shardings = mesh.shardings_of(self.abstract_state)
        network = {"init": self.init, "optimizer": self.optimizer}
        return lower_fresh_state(self.config.seed, self.clip_shape, **network, shardings=shardings)

    @functools.cached_property
    def eval_step(self):
        """Compiled `steps.eval_step`."""
        return jax.jit(
            functools.partial(
                steps.eval_step,
                model=self.model,
                preprocess=functools.partial(streams.preprocess, data=self.test_data),
            ),
            out_shardings=mesh.batch_sharding(self.mesh),
            compiler_options=compiling.options(self.mesh),
        )

    @functools.cached_property
    def meta(self) -> dict:
        """What is saved with a checkpoint, so that it can be used without this experiment."""
        return {
            "config": self.config.to_dict(),
            "classes": {name: list(names) for name, names in self.classes.items()},
            "dataset": {"name": self.builder.info.full_name, "fingerprint": dataset.fingerprint(self.builder)},
            "eval_dataset": self.test_builder.info.full_name,
            "versions": {name: importlib.metadata.version(name) for name in ("haa_jax", "jax", "flax", "optax")},
        }


def create_experiment(config) -> Experiment:
    """Checks a config on its own and against the dataset and the devices; nothing is computed or allocated.

    Raises:
      checks.ConfigError, dataset.DatasetError, labels.LabelError, mesh.MeshError,
      records.RecordError: the message tells what to change.
    """
    checks.check_config(config)
    device_mesh = mesh.make_mesh(config.mesh.model)
    mesh.check_batch_size(
        "config.train.batch_size", config.train.batch_size, device_mesh, config.train.accumulation_steps
    )
    memory.check_batches(config, jax.process_count(), device_mesh.size)
    builder = dataset.open_builder(config.data.dataset, config.data.data_dir)
    dataset.check_stream(builder, config.data)
    test_builder = _test_builder(config, builder)
    taxonomy = dataset.read_taxonomy(builder)
    heads = objectives.make_heads(config.objective, taxonomy, config.area)
    dataset.check_labels(builder, heads)
    dataset.check_labels(test_builder, heads)
    validation = {"validation": test_builder} if config.eval.every_epochs else {}
    sources = {"train": builder, **validation, config.eval.split: test_builder}
    splits = {name: dataset.open_split(source, name, heads, config.area) for name, source in sources.items()}
    model = models.build(config.model, {head.name: len(head.classes) for head in heads})
    test_shape = streams.network_shape(pipeline.at_test(config.data, config.eval))
    init = initializer(model)
    checks.check_shapes(init, test=test_shape, training=clip_shape(config))
    variables = shapes_of(init, clip_shape(config))
    optimizer = make_optimizer(
        config.optimizer,
        config.train.batch_size,
        total_steps(config, len(splits["train"])),
        models.parameter_roles(config.model.name, variables),
    )
    checks.check_trainable(config.optimizer.trainable, variables["params"])
    state = abstract_state(variables, optimizer, device_mesh)
    memory.check_state(state, config.model.width)
    return Experiment(
        config=config,
        builder=builder,
        test_builder=test_builder,
        taxonomy=taxonomy,
        heads=heads,
        splits=splits,
        mesh=device_mesh,
        model=model,
        init=init,
        optimizer=optimizer,
        abstract_state=state,
    )


def _test_builder(config, builder):
    """The dataset to evaluate on."""
    if not config.eval.dataset:
        return builder
    other = dataset.open_builder(config.eval.dataset, config.data.data_dir)
    dataset.check_stream(other, config.data)
    dataset.check_same_classes(builder, other)
    return other


def total_steps(config, num_clips: int) -> int:
    """Optimizer steps of the whole training. Raises checks.ConfigError for more than a checkpoint can count."""
    if config.train.steps:
        return config.train.steps
    steps = max(1, round(config.train.epochs * num_clips / config.train.batch_size))
    if steps > checks.MOST_STEPS:
        raise checks.ConfigError(
            f"config.train.epochs={config.train.epochs:g} are {steps:.3g} steps; {checks.MOST_STEPS:,} is the most"
        )
    return steps


def clip_shape(config) -> tuple[int, ...]:
    """Shape of one training clip as the network takes it."""
    return streams.network_shape(config.data)


def train_step(config, model, optimizer, class_weights: Mapping[str, np.ndarray] | None = None):
    """`steps.train_step` with the config's settings: (state, batch) to (state, metrics), to be compiled.

    Args:
      config: the whole config.
      model: the network.
      optimizer: for its parameters.
      class_weights: those of the experiment, head name -> (classes,) float32; None for equal ones.
    """
    objective = objectives.OBJECTIVES[config.objective]
    if class_weights is not None:
        weights = {head: jnp.asarray(values) for head, values in class_weights.items()}
        objective = objective._replace(loss=functools.partial(objective.loss, class_weights=weights))
    return functools.partial(
        steps.train_step,
        model=model,
        preprocess=functools.partial(streams.preprocess, data=config.data),
        optimizer=optimizer,
        objective=objective,
        seed=config.seed,
        accumulation_steps=config.train.accumulation_steps,
        bn_momentum=config.model.bn_momentum,
        trainable=config.optimizer.trainable,
    )
