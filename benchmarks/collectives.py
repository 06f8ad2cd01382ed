"""The communication between devices in a training step, read from the compiled program; nothing is run.

    python -m benchmarks.collectives --config=configs/i3d.py --devices=8,64,256 --model=1,8

Compiles the full training step for each number of simulated CPU devices, and counts the collective operations that
XLA's partitioner inserted. Prints a table row for each: operations, megabytes that each device receives from them per
step, and megabytes of state per device. `--model` lists sizes of the mesh's "model" axis.
"""

import functools
import math
import re

import jax
from absl import app, flags

from haa_jax import config_flag, models, streams
from haa_jax.experiment import train_step
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import abstract_state
from haa_jax.models import convolution
from haa_jax.models.parameters import abstract_variables
from haa_jax.runtime import mesh

CLASSES = 500

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
BYTES = {"pred": 1, "u8": 1, "s8": 1, "bf16": 2, "f16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8}
# "%name = (f32[3,4]{1,0}, f32[]) all-reduce(%a, %b), ...": the results' shapes, the operation. Of an asynchronous one
# the end: its start may have the operands among its results.
_OPERATION = re.compile(rf"= (\(?[^=]*?\)?) ({'|'.join(KINDS)})(?:-done)?\(")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")


def main(argv):
    config_flag.no_arguments(argv)
    options = flags.FLAGS
    counts = [int(count) for count in options.devices]
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", max(counts))
    convolution.SMALL = math.inf  # XLA's own form, but for 1x1x1
    print(f"{options.config.model.name}, {CLASSES} classes, {options.clips_per_device} clips per device")
    print("| devices | mesh.model | collectives | MB per step and device | MB of state per device |")
    print("|---|---|---|---|---|")
    for devices in counts:
        for ways in (int(ways) for ways in options.model):
            device_mesh = mesh.make_mesh(ways, jax.devices()[:devices])
            print(row(options.config, device_mesh, options.clips_per_device), flush=True)


def row(config, device_mesh, clips_per_device: int) -> str:
    compiled, held = compile_step(config, device_mesh, clips_per_device)
    found = collectives(compiled.as_text())
    sizes = {kind: (count, sum(by_dtype.values())) for kind, (count, by_dtype) in found.items()}
    operations = ", ".join(f"{count} {kind} ({size / 1e6:.2f} MB)" for kind, (count, size) in sizes.items())
    total = sum(size for _, size in sizes.values()) / 1e6
    ways = device_mesh.shape["model"]
    return f"| {device_mesh.size} | {ways} | {operations} | {total:.2f} | {held / 1e6:.1f} |"


def compile_step(config, device_mesh, clips_per_device: int):
    """Returns the training step, compiled soon and not well, and the bytes of its state on each device."""
    traced, held = trace_step(config, device_mesh, clips_per_device)
    return traced.lower().compile({"xla_backend_optimization_level": 0}), held


def trace_step(config, device_mesh, clips_per_device: int):
    """Returns the training step that `haa_jax.train` compiles, traced, and the bytes of its state on each device."""
    model = models.build(config.model, {"atomic": CLASSES})
    batch_size = clips_per_device * device_mesh.size
    variables = abstract_variables(model, streams.network_shape(config.data))
    roles = models.parameter_roles(config.model.name, variables)
    optimizer = make_optimizer(config.optimizer, batch_size, 1000, roles)
    state = abstract_state(variables, optimizer, device_mesh)
    step = train_step(config, model, optimizer)
    shardings = mesh.shardings_of(state)
    jitted = jax.jit(
        step,
        in_shardings=(shardings, mesh.batch_sharding(device_mesh)),
        out_shardings=(shardings, mesh.replicated(device_mesh)),
        donate_argnums=0,
    )
    return jitted.trace(state, batch_shapes(config, batch_size)), mesh.bytes_per_device(state)


def batch_shapes(config, batch_size: int) -> dict:
    clips = streams.abstract_clips(config.data, batch_size)
    return {"clips": clips, "labels": {"atomic": jax.ShapeDtypeStruct((batch_size,), "int32")}}


def collectives(program: str) -> dict[str, tuple[int, dict[str, int]]]:
    """Kind -> (count, dtype -> bytes that each device receives from them), in the text of an optimized HLO program.

    What is within a loop counts once.
    """
    found = {}
    program = re.sub(r"/\*.*?\*/", "", program)  # "/*index=5*/" within the shapes
    for shapes, kind in _OPERATION.findall(program):
        count, by_dtype = found.get(kind, (0, {}))
        for dtype, dims in _SHAPE.findall(shapes):
            size = BYTES[dtype] * math.prod(map(int, filter(None, dims.split(","))))
            by_dtype[dtype] = by_dtype.get(dtype, 0) + size
        found[kind] = (count + 1, by_dtype)
    return found


def define_flags() -> None:
    """Not on import: tests use the functions above, and other programs define a --config as well."""
    config_flag.define("Model and frames (default: configs/i3d.py).")
    flags.DEFINE_list("devices", ["8", "64", "256"], "Numbers of devices to compile for.")
    flags.DEFINE_list("model", ["1", "8"], "Devices that large parameters are split over (config.mesh.model).")
    flags.DEFINE_integer("clips_per_device", 1, "Clips per step on each device.", lower_bound=1)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=functools.partial(config_flag.parse, default="configs/i3d.py"))
