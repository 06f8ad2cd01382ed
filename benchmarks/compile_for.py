"""What the compilers of a TPU or GPU say of a training step, on a machine that has neither; nothing is run.

    python -m benchmarks.compile_for --topology=v5e:2x4 --config=configs/i3d.py --batch_per_device=8
    python -m benchmarks.compile_for --topology=cuda:8 --gpu_target=h100_sxm.txtpb --config=configs/i3d.py

Prints a table row: whether the step fits the device's memory; megabytes of arguments (state and batch), of temporary
memory and of state; the collective operations by kind and dtype, with the megabytes that each device receives from
them; the compiler's count of FLOPs for one clip, and of what all operations read and write; and how long it compiled.
All but the FLOPs are of one device and step.

A TPU's topology is libtpu's name for it (`pip install "haa_jax[tpu]"`); "cuda:8" are eight GPUs of one host
(`pip install "haa_jax[cuda]"`), described by a file of XLA's repository: xla/backends/gpu/target_config/specs.
`--effort` is how hard the compiler tries to make the program fast, from -1 to 1; 0 is what training uses, and takes a
TPU's compiler many minutes. Memory depends on it, so a row tells it. JAX 0.12 knows 0 alone.
"""

import functools
import importlib.util
import os
import pathlib
import re
import sys
import time
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
from absl import app, flags
from jax.experimental import topologies

from benchmarks import collectives
from haa_jax import config_flag
from haa_jax.runtime import mesh

TPU = re.compile(r"v\d+[a-z]*:\d+x\d+(x\d+)?")
CUDA = re.compile(r"cuda:(\d+)")
# Package -> the extra that installs it.
PLUGINS = {"libtpu": "tpu", "jax_plugins.xla_cuda13": "cuda"}
# libtpu would ask Google's metadata server which TPU this machine is part of, and log to stderr.
TPU_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_STDERR_LOG_LEVEL": "3",
}
HEADER = (
    "| network | devices | dtype | clips a device | fits | arguments MB | temporary MB | state MB | collectives (MB) "
    "| GFLOP a clip | GB moved | compiled in s | effort |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


class Target(NamedTuple):
    """Devices to compile for; `memory` in bytes each, None where the compiler itself refuses what does not fit."""

    devices: list
    memory: int | None


class Measured(NamedTuple):
    """What a compiled program takes of each device: bytes of memory, FLOPs and bytes read and written in a step (None:
    not counted), and collective operations."""

    arguments: int
    temporary: int
    peak: int
    flops: float | None
    moved: float | None
    collectives: dict[str, tuple[int, dict[str, int]]]


def main(argv):
    config_flag.no_arguments(argv)
    options = flags.FLAGS
    jax.config.update("jax_platforms", "cpu")  # what this machine has is not asked
    target = find_target(options.topology, options.gpu_target)
    found = row(options.config, options.topology, target, options.batch_per_device, options.effort)
    print(f"{HEADER}\n{found}")


def row(config, topology: str, target: Target, clips: int, effort: float) -> str:
    """Compiles the training step for `clips` a device; returns the line of the table."""
    traced, held = collectives.trace_step(config, mesh.make_mesh(config.mesh.model, target.devices), clips)
    lowered = traced.lower()
    start = time.monotonic()
    try:
        found = measure(lowered.compile({"exec_time_optimization_effort": effort} if effort else {}))
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" in str(error):
            sys.exit(f"error: --effort={effort:g}: JAX {jax.__version__} cannot set it; use --effort=0")
        found = refused(str(error))
    seconds = f"{time.monotonic() - start:.0f}"
    first = [config.model.name, topology, config.model.dtype, str(clips)]
    return f"| {' | '.join([*first, *cells(found, target.memory, held, clips), seconds, f'{effort:g}'])} |"


def find_target(topology: str, gpu_target: str | None) -> Target:
    """The devices of a topology. Exits with an error if it is unknown, or if what compiles for it is missing."""
    if TPU.fullmatch(topology):
        _require(topology, "libtpu")
        os.environ.update(TPU_ENVIRONMENT)
        arguments, platform, memory = {"topology_name": topology}, "tpu", None
    elif cuda := CUDA.fullmatch(topology):
        _require(topology, "jax_plugins.xla_cuda13")
        text, memory = _read_gpu(gpu_target)
        # The numbers are those of slices, hosts in each, and GPUs in each.
        arguments = {"topology_name": topology, "target_config": text, "topology": f"1x1x{cuda[1]}"}
        platform = "cuda"
    else:
        sys.exit(f"error: --topology={topology}: expected a TPU's, such as v5e:2x4 or v5p:2x2x1, or cuda:8")
    try:
        return Target(topologies.get_topology_desc(platform=platform, **arguments).devices, memory)
    except jax.errors.JaxRuntimeError as error:
        sys.exit(f"error: --topology={topology}: {str(error).splitlines()[0]}")


def _require(topology: str, package: str) -> None:
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # the package that it is in
        found = None
    if not found:
        install = f'pip install "haa_jax[{PLUGINS[package]}]"'
        sys.exit(f"error: --topology={topology} needs {package}, which is not installed: {install}")


def _read_gpu(path: str | None) -> tuple[str, int]:
    """The text of XLA's description of a GPU, and its memory in bytes."""
    hint = "a file of https://github.com/openxla/xla, xla/backends/gpu/target_config/specs, such as h100_sxm.txtpb"
    if not path:
        sys.exit(f"error: CUDA needs --gpu_target=FILE: {hint}")
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"error: --gpu_target={path}: {error.strerror}; expected {hint}")
    memory = re.search(r"^\s*device_memory_size: (\d+)$", text, re.MULTILINE)
    if not memory:
        sys.exit(f"error: --gpu_target={path} names no device_memory_size; expected {hint}")
    return text, int(memory[1])


def measure(compiled) -> Measured:
    memory = compiled.memory_analysis()
    arguments, temporary = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    peak = arguments + temporary + memory.output_size_in_bytes - memory.alias_size_in_bytes
    costs = compiled.cost_analysis() or {}
    flops, moved = costs.get("flops"), costs.get("bytes accessed")
    return Measured(arguments, temporary, peak, flops, moved, collectives.collectives(compiled.as_text()))


def refused(message: str) -> str:
    """Why a program does not fit, in the compiler's words. Raises RuntimeError for any other message."""
    found = re.search(r"Used [\d.]+\w of [\d.]+\w hbm", message)
    if "RESOURCE_EXHAUSTED" not in message or not found:
        raise RuntimeError(message)
    return found[0]


def cells(found: Measured | str, memory: int | None, held: int, clips: int) -> list[str]:
    """The cells of the table that are about the compiled program; `found` is a text if it does not fit."""
    state = f"{held / 1e6:.1f}"
    if isinstance(found, str):
        return [f"no: {found}", "-", "-", state, "-", "-", "-"]
    fits = "yes" if memory is None or found.peak < memory else f"no: {found.peak / 1e9:.1f} of {memory / 1e9:.1f} GB"
    flops = f"{found.flops / clips / 1e9:,.1f}" if found.flops else "-"
    moved = f"{found.moved / 1e9:.1f}" if found.moved else "-"
    operations = ", ".join(
        f"{count} {kind} ({' + '.join(f'{size / 1e6:.1f} {dtype}' for dtype, size in sorted(by_dtype.items()))})"
        for kind, (count, by_dtype) in found.collectives.items()
    )
    memory = f"{found.arguments / 1e6:,.0f}", f"{found.temporary / 1e6:,.0f}"
    return [fits, *memory, state, operations or "none", flops, moved]


def define_flags() -> None:
    """Not on import: tests use the functions above, and other programs define a --config as well."""
    config_flag.define("Model, frames and dtype (default: configs/i3d.py).")
    flags.DEFINE_string("topology", "v5e:2x4", "TPUs by libtpu's name for them, or cuda:N for N GPUs of one host.")
    flags.DEFINE_string("gpu_target", None, "XLA's description of the GPU, for CUDA: h100_sxm.txtpb or another.")
    flags.DEFINE_integer("batch_per_device", 8, "Clips per step on each device.", lower_bound=1)
    flags.DEFINE_float("effort", -1.0, "How hard to compile.", lower_bound=-1.0, upper_bound=1.0)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=functools.partial(config_flag.parse, default="configs/i3d.py"))
