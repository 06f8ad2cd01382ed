"""An experiment: the dataset, network, optimizer and devices that a config describes, checked before any work."""

import dataclasses
import functools
import importlib.metadata

import jax
from jax.sharding import Mesh

from haa_jax import checks, memory, models
from haa_jax.data import dataset, pipeline
from haa_jax.learning import objectives
from haa_jax.learning import optimizers as optim
from haa_jax.learning import steps as state
from haa_jax.runtime import mesh
from haa_jax.streams import device as modalities
from haa_jax.streams import views as streams


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config with the dataset it names, the network it describes and the devices it runs on."""

    config: object
    builder: object
    test_builder: object  # the same, unless config.eval.dataset names another
    taxonomy: object
    heads: tuple[objectives.Head, ...]
    splits: dict[str, dataset.Split]
    mesh: Mesh
    model: object
    optimizer: object
    abstract_state: state.TrainState  # shapes, dtypes and shardings

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

    @property
    def clip_shape(self) -> tuple[int, ...]:
        return clip_shape(self.config)

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
    def eval_step(self):
        """Compiled `state.eval_step`."""
        return jax.jit(
            functools.partial(
                state.eval_step,
                model=self.model,
                preprocess=functools.partial(modalities.preprocess, config=self.test_data),
            ),
            out_shardings=mesh.batch_sharding(self.mesh),
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
      checks.ConfigError, dataset.DatasetError, objectives.ObjectiveError, mesh.MeshError,
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
    validation = {"validation": test_builder} if config.eval.every_epochs else {}
    sources = {"train": builder, **validation, config.eval.split: test_builder}
    splits = {name: dataset.open_split(source, name, heads, config.area) for name, source in sources.items()}
    model = models.build(config.model, {head.name: len(head.classes) for head in heads})
    test_shape = network_shape(pipeline.at_test(config.data, config.eval))
    checks.check_shapes(model, test=test_shape, training=clip_shape(config))
    steps = total_steps(config, len(splits["train"]))
    optimizer = optim.make_optimizer(config.optimizer, config.train.batch_size, steps)
    abstract_state = abstract_state_of(config, model, optimizer, device_mesh)
    memory.check_state(abstract_state, config.model.width)
    checks.check_trainable(config.optimizer.trainable, abstract_state.params)
    return Experiment(
        config=config,
        builder=builder,
        test_builder=test_builder,
        taxonomy=taxonomy,
        heads=heads,
        splits=splits,
        mesh=device_mesh,
        model=model,
        optimizer=optimizer,
        abstract_state=abstract_state,
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
    return network_shape(config.data)


def network_shape(data) -> tuple[int, ...]:
    """Shape of one clip of `config.data` as the network takes it."""
    stored = {part: jax.ShapeDtypeStruct(*spec) for part, spec in streams.clip_spec(data).items()}
    return jax.eval_shape(functools.partial(modalities.preprocess, config=data), stored).shape


def train_step(config, model, optimizer):
    """`state.train_step` as the config wants it: (state, batch) to (state, metrics), to be compiled."""
    return functools.partial(
        state.train_step,
        model=model,
        preprocess=functools.partial(modalities.preprocess, config=config.data),
        optimizer=optimizer,
        seed=config.seed,
        accumulation_steps=config.train.accumulation_steps,
        bn_momentum=config.model.bn_momentum,
        trainable=config.optimizer.trainable,
    )


def initial_state(config, model, optimizer):
    """The function that makes the state from nothing; compile it before calling it."""
    return functools.partial(
        state.init_state,
        config.seed,
        clip_shape(config),
        model=model,
        optimizer=optimizer,
    )


def fresh_state(config, model, optimizer, shardings) -> state.TrainState:
    """A state with random parameters, each array laid out as `shardings` says from the start."""
    # Hundreds of random arrays, made once: optimizing that program takes a minute and gains nothing.
    quick = {"xla_backend_optimization_level": 0}
    return jax.jit(initial_state(config, model, optimizer), out_shardings=shardings, compiler_options=quick)()


def abstract_state_of(config, model, optimizer, device_mesh: Mesh) -> state.TrainState:
    """Shapes, dtypes and shardings of the state."""
    shapes = jax.eval_shape(initial_state(config, model, optimizer))
    shardings = mesh.state_shardings(shapes, device_mesh)
    return jax.tree.map(
        lambda array, sharding: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding), shapes, shardings
    )
