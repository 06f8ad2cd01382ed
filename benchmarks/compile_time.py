"""How long a training step takes to compile for this CPU and to run, with XLA's settings of `compiling` and without.

    python -m benchmarks.compile_time [--config=configs/i3d.py:demo] [--rounds=3]

Each setting is measured in a process of its own, in turn, since XLA reads its flags once. Prints the median and the
range over the rounds: seconds and CPU seconds of compiling, and milliseconds a step.
"""

import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
from absl import app, flags

from benchmarks.collectives import trace_step
from benchmarks.figures import spread
from haa_jax import config_flag
from haa_jax.runtime import compiling, mesh

SETTINGS = ("XLA's own", "ours")
COLUMNS = ("compile, s", "compile, CPU s", "step, ms")
STEPS = 10  # the first two warm up
CHILD = "BENCHMARK_SETTING"  # the variable that tells a process which setting to measure


def main(argv: list[str]) -> None:
    config_flag.no_arguments(argv)
    if setting := os.environ.get(CHILD):
        print(json.dumps(measure(flags.FLAGS.config, setting)))
        return
    found = {setting: [] for setting in SETTINGS}
    for _ in range(flags.FLAGS.rounds):
        for setting in SETTINGS:
            found[setting].append(_in_own_process(setting))
    print(table(found))


def _in_own_process(setting: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.compile_time", *sys.argv[1:]]
    done = subprocess.run(command, env={**os.environ, CHILD: setting}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(config, setting: str) -> list[float]:
    """The values of COLUMNS; weights and clips are constant."""
    if setting == "ours":
        compiling.prepare()  # before JAX finds its devices
    device_mesh = mesh.make_mesh()
    options = compiling.options(device_mesh) if setting == "ours" else {}
    traced, _ = trace_step(config, device_mesh, config.train.batch_size // device_mesh.size)
    lowered = traced.lower()
    start, used = time.perf_counter(), _cpu_seconds()
    step = lowered.compile(options)
    elapsed, used = time.perf_counter() - start, _cpu_seconds() - used
    arguments, _ = lowered.args_info
    state, batch = jax.tree.map(lambda array: jnp.full(array.shape, 0.01, array.dtype), arguments)
    seconds = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        seconds.append(time.perf_counter() - begun)
    return [elapsed, used, 1000 * statistics.median(seconds[2:])]


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def table(found: dict[str, list[list[float]]]) -> str:
    """Markdown: a row for each setting; `found` has the values of COLUMNS of every round."""
    lines = ["| settings | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for setting, rounds in found.items():
        cells = [spread(values, 1) for values in zip(*rounds, strict=True)]
        lines.append(f"| {setting} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def define_flags() -> None:
    """Not on import: other programs define a --config as well."""
    config_flag.define("What to compile (default: configs/i3d.py:demo).")
    flags.DEFINE_integer("rounds", 3, "How often each setting is measured.", lower_bound=1)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=functools.partial(config_flag.parse, default="configs/i3d.py:demo"))
