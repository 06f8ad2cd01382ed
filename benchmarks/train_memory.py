"""Memory of a training at a config's full size: on the host for its clips, on a device for the state and a step.

    python -m benchmarks.train_memory --config=configs/i3d.py --data_dir=demo_run/data

Reads batches of the config's size from the demo (`make demo` builds it) as training does, and compiles the step for
500 classes on this CPU, without running it. Prints a table row:

    host, before    resident memory of the process before the first clip
    host, reading   what it has grown by while a step holds one batch and those after it have been read ahead
    batch           the clips of one batch, as they are handed to the devices
    state           parameters, BatchNorm's statistics and optimizer
    temporary       what the compiled step needs besides, for --clips clips (default: the batch)

What a step needs on a TPU or GPU, `python -m benchmarks.compile_for` asks their compilers.
"""

import time

import jax
from absl import app, flags, logging

from benchmarks.collectives import batch_shapes, trace_step
from benchmarks.figures import line, resident
from haa_jax import config_flag, memory
from haa_jax.data import pipeline
from haa_jax.experiment import create_experiment
from haa_jax.runtime import compiling, mesh

COLUMNS = ("network", "clips", "host, before", "host, reading", "batch", "state", "clips a step", "temporary")
SECONDS = 2.0  # between two looks at the memory


def main(argv: list[str]) -> None:
    config_flag.no_arguments(argv)
    config_flag.require("config", "data_dir")
    logging.set_verbosity(logging.WARNING)
    compiling.prepare()
    config = flags.FLAGS.config
    config.data.dataset, config.data.data_dir = "haa500/demo", flags.FLAGS.data_dir
    clips = flags.FLAGS.clips or config.train.batch_size
    shapes = jax.tree.leaves(batch_shapes(config, config.train.batch_size)["clips"])
    batch = sum(shape.size * shape.dtype.itemsize for shape in shapes)
    *sizes, temporary = map(memory.amount, (*host(config), batch, *device(config, clips)))
    row = [config.model.name, f"{config.train.batch_size:,}", *sizes, f"{clips:,}", temporary]
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), line(row), sep="\n")


def host(config) -> tuple[int, int]:
    """Bytes before the first clip, and what reading adds."""
    exp = create_experiment(config)
    before = resident() * 10**6
    batches = pipeline.train_batches(
        exp.splits["train"], config.data, config.train.batch_size, config.seed, 0, exp.shard
    )
    held, seen = next(batches), []
    while len(seen) < 3 or seen[-1] > seen[-3]:  # until nothing is read any more
        time.sleep(SECONDS)
        seen.append(resident() * 10**6)
    del held
    batches.close()
    return before, seen[-1] - before


def device(config, clips: int) -> tuple[int, int]:
    """Bytes of the state, and of what a step needs besides."""
    device_mesh = mesh.make_mesh(devices=jax.devices()[:1])
    traced, state = trace_step(config, device_mesh, clips)
    compiled = traced.lower().compile(compiling.options(device_mesh))
    return state, compiled.memory_analysis().temp_size_in_bytes


def define_flags() -> None:
    """Not on import: other programs define a --config as well."""
    config_flag.define()
    flags.DEFINE_string("data_dir", None, "Where haa500/demo has been built.")
    flags.DEFINE_integer("clips", None, "Clips of the compiled step (default: the config's batch).", 1)


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=config_flag.parse)
