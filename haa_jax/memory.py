"""Compares the least memory that a run takes with what the machine has, to refuse sizes that cannot work.

Activations are not counted, since only the compiler knows them: what passes here may still be too large for a device.
"""

import math
import os

import jax
from ml_collections import ConfigDict

from haa_jax import streams
from haa_jax.checks import ConfigError
from haa_jax.data import pipeline
from haa_jax.runtime import mesh


def check_batches(config: ConfigDict, processes: int, devices: int) -> None:
    """Raises ConfigError if the host's memory cannot hold the clips that a process decodes ahead, or one picture.

    Nothing is traced or allocated.

    Args:
      config: the whole config.
      processes, devices: of the whole run; each process is assumed to have a machine like this one.
    """
    data, test = config.data, pipeline.at_test(config.data, config.eval)
    ahead = data.prefetch + 1  # while the first step is compiled
    batches = {
        "train": (config.train.batch_size, "clips", data, ("data.frames", "data.crop")),
        "eval": (
            config.eval.batch_size * devices,
            f"views on each of {devices} devices",
            test,
            ("eval.frames", "eval.crop", "data.frames", "data.crop"),
        ),
    }
    for name, (rows, what, clips, fields) in batches.items():
        spec = streams.clip_spec(clips)
        size = sum(math.prod(shape) * dtype.itemsize for shape, dtype in spec.values())
        need = size * ahead * rows // processes
        if need > host_bytes():
            each = " and ".join(f"{modality} {shape} {dtype}" for modality, (shape, dtype) in spec.items())
            raise ConfigError(
                f"{ahead:,} batches of config.{name}.batch_size={config[name].batch_size:,} {what}, each {each}, take "
                f"{amount(need)}{_each(processes)}; this machine has {amount(host_bytes())}: lower "
                f"{_named((f'{name}.batch_size', *fields, 'data.prefetch'))}"
            )
    for side in (data.resize, data.resize_max, test.resize) if streams.is_cropped(data) else ():
        if 3 * side * side > host_bytes():
            raise ConfigError(
                f"one picture with a short side of {side:,} pixels takes {amount(3 * side * side)}; this machine has "
                f"{amount(host_bytes())}: lower {_named(('data.resize', 'data.resize_max', 'eval.resize'))}"
            )


def check_state(abstract_state, width: float) -> None:
    """Raises ConfigError if a device cannot hold the parameters and the optimizer's state; nothing is allocated.

    Args:
      abstract_state: a `TrainState` of `ShapeDtypeStruct`s with shardings.
      width: `config.model.width`, for the message.
    """
    need, limit = mesh.bytes_per_device(abstract_state), device_bytes()
    if limit is not None and need > limit:
        parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_state.params))
        raise ConfigError(
            f"config.model.width={width:g} makes {parameters:,} parameters; with the optimizer's state "
            f"they take {amount(need)} on each device, which has {amount(limit)}: lower it, or raise "
            "config.mesh.model"
        )


def host_bytes() -> int:
    """Physical memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def device_bytes() -> int | None:
    """Memory of one device, None if unknown; CPU devices share the memory of the host."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return host_bytes() // jax.local_device_count()
    return (device.memory_stats() or {}).get("bytes_limit")


def amount(size: int) -> str:
    """1,500,000,000 as "1.5 GB"."""
    for unit in ("MB", "GB", "TB"):
        size /= 1000 if unit != "MB" else 1e6
        if size < 1000:
            break
    return f"{size:,.1f} {unit}"


def _each(processes: int) -> str:
    return f" in each of {processes} processes" if processes > 1 else ""


def _named(fields: tuple[str, ...]) -> str:
    *others, last = (f"config.{field}" for field in fields)
    return f"{', '.join(others)} or {last}"
