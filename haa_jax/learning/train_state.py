"""The training state: one pytree with everything that changes from step to step."""

import functools
from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from haa_jax.models.parameters import Initializer
from haa_jax.runtime import compiling, mesh


@flax.struct.dataclass
class TrainState:
    """Everything that a checkpoint must hold for training to resume exactly.

    Attributes:
      step: int32 scalar, optimizer steps done.
      params: float32 parameters.
      batch_stats: float32 running BatchNorm statistics; {} if the network has no BatchNorm.
      opt_state: optax's state.
    """

    step: jax.Array
    params: dict
    batch_stats: dict
    opt_state: optax.OptState

    @property
    def variables(self) -> dict:
        """The network's variables, as `model.apply` takes them."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def init_state(
    seed: int, clip_shape: tuple[int, ...], *, init: Initializer, optimizer: optax.GradientTransformation
) -> TrainState:
    """A state of random parameters. Compile it (see `fresh_state`): op by op it is slow.

    Args:
      clip_shape: shape of one clip as the network takes it, (frames, height, width, channels) or ST-GCN's.
      init: of the network (see `models.parameters.initializer`).
    """
    return _start(init(jax.random.key(seed), jnp.zeros((1, *clip_shape))), optimizer)


def fresh_state(
    seed: int,
    clip_shape: tuple[int, ...],
    *,
    init: Initializer,
    optimizer: optax.GradientTransformation,
    shardings: TrainState,
) -> TrainState:
    """`init_state`, compiled, with each array laid out as `shardings` has it: none is ever whole on one device."""
    return lower_fresh_state(seed, clip_shape, init=init, optimizer=optimizer, shardings=shardings)()


def lower_fresh_state(
    seed: int,
    clip_shape: tuple[int, ...],
    *,
    init: Initializer,
    optimizer: optax.GradientTransformation,
    shardings: TrainState,
) -> Callable[[], TrainState]:
    """`fresh_state` in two: this traces and lowers, in Python; what it returns compiles and runs, outside of Python."""
    # Hundreds of random arrays, made once: optimizing that program takes a minute and gains nothing.
    options = {"xla_backend_optimization_level": 0, **compiling.options(jax.tree.leaves(shardings)[0].mesh)}
    start = functools.partial(init_state, seed, clip_shape, init=init, optimizer=optimizer)
    lowered = jax.jit(start, out_shardings=shardings).lower()
    return lambda: lowered.compile(options)()


def abstract_state(variables: dict, optimizer: optax.GradientTransformation, device_mesh: Mesh) -> TrainState:
    """Shapes, dtypes and shardings of a state; nothing is computed.

    Args:
      variables: shapes of the network's variables, as `models.parameters.abstract_variables` returns them.
    """
    shapes = jax.eval_shape(functools.partial(_start, optimizer=optimizer), variables)
    shardings = mesh.state_shardings(shapes, device_mesh)
    return jax.tree.map(
        lambda array, sharding: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding), shapes, shardings
    )


def _start(variables: dict, optimizer: optax.GradientTransformation) -> TrainState:
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
    )
