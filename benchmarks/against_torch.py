"""Our networks beside PyTorch networks of equal shapes (benchmarks/torch_networks): forward pass and training step.

    python -m benchmarks.against_torch [--networks=i3d_demo,tsn] [--rounds=5]

Prints one table for this machine's CPU, a row as soon as it is measured: medians over the rounds, with the least and
the most. A round times ours and PyTorch's one after the other, on as many threads, each after a call that does not
count. PyTorch's are those of the faster of its two memory formats, and "ours / PyTorch" is of the times of one round:
below 1, ours is faster. Compilation of ours is not in its milliseconds but in a column of its own. Takes minutes; needs
PyTorch, which is no dependency.

Both sides train in float32 by SGD with momentum and weight decay, with the network's dropout. Ours does some more work:
it normalizes the clips, which PyTorch is given normalized, and computes the accuracy and the norm of the gradient.
PyTorch runs eagerly, with neither torch.compile nor folded BatchNorms.
"""

import gc
import importlib.util
import os
import pathlib
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import numpy as np
from absl import app, flags

from benchmarks.figures import line, spread
from haa_jax import config_flag, models, streams
from haa_jax.configs import base
from haa_jax.data.pipeline import cores
from haa_jax.data.views import empty_clips
from haa_jax.experiment import clip_shape, train_step
from haa_jax.learning import steps
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import TrainState, fresh_state
from haa_jax.models.parameters import initializer, shapes_of
from haa_jax.runtime import compiling, huge_pages, mesh


class Setting(NamedTuple):
    """A config, the clips of a forward pass and of a training step, what is changed in the config, and classes."""

    config: str
    forward: int
    training: int
    changes: Mapping[str, int] = {}
    classes: int = 500


SETTINGS = {
    "i3d": Setting("i3d.py", 1, 1),
    "i3d_16x112": Setting("i3d.py", 2, 2, {"data.frames": 16, "data.crop": 112}),
    "i3d_demo": Setting("i3d.py:demo", 16, 16, classes=16),
    "slowfast": Setting("slowfast.py:4x16", 1, 1),
    "tsn": Setting("tsn.py:resnet50", 2, 4, {"data.frames": 3}),
    "tpn": Setting("tpn.py:slowonly", 1, 1),
    "stgcn": Setting("stgcn.py", 4, 4),
}
INSTALL = "pip install torch"
SAMPLE_SECONDS = 0.5
COLUMNS = ("network", "pass", "clips", "ours, ms", "PyTorch, ms (format)", "ours / PyTorch", "compilation of ours, s")


def main(argv):
    config_flag.no_arguments(argv, "options are --networks and --rounds")
    networks, rounds = flags.FLAGS.networks, flags.FLAGS.rounds
    check(networks)
    jax.config.update("jax_platforms", "cpu")
    compiling.prepare()
    print(f"{machine()}, {rounds} rounds: median [least, most]\n")
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    for name in networks:
        measure(name, rounds)
        jax.clear_caches()
        gc.collect()


def check(networks: list[str]) -> None:
    """Ends the process if PyTorch is missing, or a network is not in SETTINGS."""
    if unknown := [name for name in networks if name not in SETTINGS]:
        sys.exit(f"error: --networks has no {unknown[0]!r}; it has {', '.join(SETTINGS)}")
    if importlib.util.find_spec("torch") is None:
        sys.exit(f"error: PyTorch is not installed; haa_jax does not need it, but this comparison does: {INSTALL}")


def machine() -> str:
    """The CPU, the threads of both sides, which this sets for PyTorch, and the versions."""
    import torch

    torch.set_num_threads(cores())
    information = pathlib.Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", information.read_text()) if information.exists() else None
    cpu = found[1] if found else platform.processor() or platform.machine()
    versions = f"JAX {jax.__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    return f"{cpu}, {cores()} threads, {versions}"


def config_of(name: str):
    """The config of one of SETTINGS, with an optimizer that PyTorch's can be equal to."""
    config = config_flag.load(SETTINGS[name].config)
    config.update_from_flattened_dict(SETTINGS[name].changes)
    config.optimizer = base.get_config().optimizer
    config.optimizer.learning_rate, config.optimizer.base_batch_size = 1e-3, 0
    config.optimizer.weight_decay_mask = "all"
    return config


def measure(name: str, rounds: int) -> None:
    """Prints the rows of one network. Ends the process if the two sides have not equally many parameters."""
    from benchmarks.torch_networks import passes

    setting = SETTINGS[name]
    config, model, optimizer, state = our_network(name)
    theirs = {each: passes.build(config.model, setting.classes, each) for each in passes.FORMATS}
    counts = {sum(leaf.size for leaf in jax.tree.leaves(state.params)), *map(passes.parameters, theirs.values())}
    if len(counts) > 1:
        sys.exit(f"error: {name} has not equally many parameters on both sides: {counts}")

    clips, labels = random_batch(config, setting.forward, setting.classes)
    ours, seconds = our_forward(config, model, state, clips)
    given = np.asarray(streams.preprocess(clips, config.data))
    calls = {each: passes.forward_pass(config.model, network, given, each) for each, network in theirs.items()}
    print(row(name, "forward", setting.forward, alternate({"ours": ours, **calls}, rounds), seconds), flush=True)

    clips, labels = random_batch(config, setting.training, setting.classes)
    batch = {"clips": clips, "labels": {"atomic": labels}}
    step, seconds = our_training(config, model, optimizer, state, batch)
    ours = repeated(step, state, batch)
    given = np.asarray(streams.preprocess(clips, config.data))
    calls = {each: passes.training_step(config, network, given, labels, each) for each, network in theirs.items()}
    print(row(name, "training step", setting.training, alternate({"ours": ours, **calls}, rounds), seconds), flush=True)


def our_network(name: str) -> tuple:
    """The config, the model, the optimizer and the random state of one of SETTINGS."""
    config, setting = config_of(name), SETTINGS[name]
    model = models.build(config.model, {"atomic": setting.classes})
    shape, init = clip_shape(config), initializer(model)
    roles = models.parameter_roles(config.model.name, shapes_of(init, shape))
    optimizer = make_optimizer(config.optimizer, setting.training, 1000, roles)
    layout = mesh.replicated(mesh.make_mesh())
    state = fresh_state(config.seed, shape, init=init, optimizer=optimizer, shardings=layout)
    return config, model, optimizer, state


def random_batch(config, count: int, classes: int) -> tuple[dict, np.ndarray]:
    """Random clips as a batch holds them, on the device, and labels."""
    rng = np.random.default_rng(0)
    clips = empty_clips(config.data, count)
    for array in clips.values():
        array[...] = rng.integers(0, 256, array.shape) if array.dtype == np.uint8 else rng.normal(size=array.shape)
    return jax.device_put(clips), rng.integers(0, classes, count).astype(np.int32)


def our_forward(config, model, state: TrainState, clips: dict) -> tuple[Callable[[], object], float]:
    """The compiled evaluation step, and the seconds that compiling it took."""

    def forward(variables, clips):
        return steps.eval_step(
            variables, {"clips": clips}, model=model, preprocess=lambda x: streams.preprocess(x, config.data)
        )

    compiled, seconds = compile_timed(jax.jit(forward), state.variables, clips)
    variables = state.variables
    return lambda: compiled(variables, clips), seconds


def our_training(config, model, optimizer, state: TrainState, batch: dict) -> tuple[jax.stages.Compiled, float]:
    """The compiled training step, which takes the memory of its state, and the seconds that compiling it took."""
    return compile_timed(jax.jit(train_step(config, model, optimizer), donate_argnums=0), state, batch)


def repeated(step: Callable, state: TrainState, batch: dict) -> Callable[[], object]:
    """A call that does the next step, always on the same batch."""
    batch = jax.device_put(batch)
    held = [state]

    def call():
        held[0], metrics = step(held[0], batch)
        return held[0], metrics

    return call


def compile_timed(function, *arguments) -> tuple[jax.stages.Compiled, float]:
    start = time.perf_counter()
    compiled = function.lower(*arguments).compile(compiling.options(mesh.make_mesh()))
    return compiled, time.perf_counter() - start


def alternate(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call in each round, in which all take turns; the first round does not count."""
    samples = [{name: sample(call) for name, call in calls.items()} for _ in range(1 + rounds)]
    return {name: [each[name] for each in samples[1:]] for name in calls}


def sample(call: Callable[[], object]) -> float:
    """Milliseconds of a call, the mean over as many as fill SAMPLE_SECONDS, at least one.

    A call before them does not count. XLA frees the temporary memory of a step at its end. While the other side runs, a
    virtual machine may give that back to its host, and to get it anew can take half as long as the step.
    """
    jax.block_until_ready(call())
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < SAMPLE_SECONDS:
        jax.block_until_ready(call())
        count += 1
    return 1000 * (time.perf_counter() - start) / count


def row(name: str, kind: str, clips: int, times: Mapping[str, list[float]], seconds: float) -> str:
    """A line of the table.

    Args:
      times: milliseconds by round, of "ours" and of each memory format of PyTorch.
      seconds: that compiling ours took.
    """
    ours = times["ours"]
    faster = min((each for each in times if each != "ours"), key=lambda each: statistics.median(times[each]))
    ratios = [own / other for own, other in zip(ours, times[faster], strict=True)]
    cells = (name, kind, clips, spread(ours, 1), f"{spread(times[faster], 1)} ({faster})", spread(ratios, 2))
    return line([*cells, f"{seconds:.1f}"])


if __name__ == "__main__":
    huge_pages.ask_for_them()  # as haa_jax.main does; PyTorch has them too
    flags.DEFINE_list("networks", list(SETTINGS), f"Which of {', '.join(SETTINGS)}.")
    flags.DEFINE_integer("rounds", 5, "Samples of each, which alternate, after one that warms up.", lower_bound=1)
    app.run(main, flags_parser=config_flag.parse)
