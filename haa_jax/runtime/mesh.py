"""Devices as a ("data", "model") mesh, and how arrays are laid out on it.

Computation is written for the global batch; `jax.jit` and these shardings turn it into per-device programs
(what used to be called pjit). BatchNorm therefore sees the whole global batch.
"""

import math

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from haa_jax.errors import UserError

BATCH_AXES = ("data", "model")
# Smaller arrays cost more to gather than they save.
MIN_SHARDED_BYTES = 1 << 20


class MeshError(UserError, ValueError):
    """Settings that do not fit the available devices."""


def make_mesh(model: int = 1, devices=None) -> Mesh:
    """A mesh of `devices` (default: those of all processes): parameters split over `model` of them, batches over all.

    Raises:
      MeshError: `model` does not divide the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    if len(devices) % model:
        raise MeshError(f"mesh.model={model} does not divide the {len(devices)} devices")
    # Auto: under the newer Explicit axis types, reshapes of a batch-sharded array raise.
    shape = (len(devices) // model, model)
    return jax.make_mesh(shape, BATCH_AXES, axis_types=(AxisType.Auto,) * 2, devices=devices)


def check_batch_size(field: str, batch_size: int, mesh: Mesh, accumulation_steps: int = 1) -> None:
    """Raises MeshError unless the global batch splits evenly over devices and accumulation steps."""
    unit = mesh.size * accumulation_steps
    if batch_size % unit:
        below, above = batch_size // unit * unit, (batch_size // unit + 1) * unit
        nearest = f"{below} or {above}" if below else f"{above}"
        times = f" times {accumulation_steps} accumulation steps" if accumulation_steps > 1 else ""
        raise MeshError(
            f"{field}={batch_size} must be a multiple of {unit} ({mesh.size} devices{times}); nearest: {nearest}"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Splits the leading axis over all devices."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(abstract_state, mesh: Mesh):
    """A sharding for each array of a pytree of `ShapeDtypeStruct`s: the FSDP rule.

    The largest axis divisible by the size of "model" is split over it; small arrays, and arrays without such an axis,
    are replicated.
    """
    ways = mesh.shape["model"]

    def rule(array) -> NamedSharding:
        if ways == 1 or np.prod(array.shape) * array.dtype.itemsize < MIN_SHARDED_BYTES:
            return replicated(mesh)
        divisible = [axis for axis, size in enumerate(array.shape) if size % ways == 0]
        if not divisible:
            return replicated(mesh)
        spec = [None] * len(array.shape)
        spec[max(divisible, key=lambda axis: array.shape[axis])] = "model"
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(rule, abstract_state)


def shardings_of(abstract_state):
    """The sharding of each array of a pytree, as `jax.jit` takes them."""
    return jax.tree.map(lambda array: array.sharding, abstract_state)


def bytes_per_device(abstract_state) -> int:
    """Bytes that a pytree of `ShapeDtypeStruct`s with shardings takes on each device."""
    leaves = jax.tree.leaves(abstract_state)
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)


def describe_state(abstract_state) -> str:
    """One line: the size of the state, the share of each device, and how many arrays are split."""
    leaves = jax.tree.leaves(abstract_state)
    split = sum(not leaf.sharding.is_fully_replicated for leaf in leaves)
    whole = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    held = bytes_per_device(abstract_state)
    return (
        f"state of {whole / 1e6:.1f} MB, {held / 1e6:.1f} MB on each device ({split} of {len(leaves)} arrays are split)"
    )


def to_global(batch, mesh: Mesh):
    """Global arrays from the rows of this process (a pytree of NumPy arrays)."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(sharding, rows), batch)
