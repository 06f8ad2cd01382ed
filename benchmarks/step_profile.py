"""Where a training step on a CPU spends its time, ours and PyTorch's: convolutions, BatchNorm, and the rest.

    python -m benchmarks.step_profile [--networks=tsn,stgcn]

Prints one table, a row a network and kind of work: milliseconds of CPU time a step by each side's own profiler, and
those of our slowest layer of that kind. The networks, their batches and their optimizer are those of
`benchmarks.against_torch`; PyTorch's memory format is the faster one. Needs PyTorch, which is no dependency.

Ours is kept on one core, for on several XLA's profiler misses what an operation has other threads do; its milliseconds
add up to the step's. PyTorch's profiler counts the thread that calls an operation, so its milliseconds are multiplied
by the number of threads; on one, PyTorch would choose other convolutions. XLA makes one kernel of many operations,
which counts as the last of them.
"""

import collections
import contextlib
import gc
import gzip
import json
import os
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import numpy as np
from absl import app, flags

from benchmarks import against_torch
from benchmarks.figures import line
from haa_jax import config_flag, streams
from haa_jax.runtime import compiling, huge_pages

STEPS = 3  # that are profiled, after as many that warm up
KINDS = ("convolutions", "BatchNorm", "ReLU, sums, pools, heads", "optimizer, norm, metrics")
COLUMNS = ("network", "kind of work", "ours, CPU ms", "PyTorch, CPU ms", "our slowest layer of this kind, CPU ms")
THEIRS = {"convolution": KINDS[0], "batch_norm": KINDS[1], "batchnorm": KINDS[1], "sgd": KINDS[3]}


def main(argv):
    config_flag.no_arguments(argv, "the option is --networks")
    networks = flags.FLAGS.networks
    against_torch.check(networks)
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("error: this system cannot keep a process on one core; Linux can")
    jax.config.update("jax_platforms", "cpu")
    compiling.prepare()
    print(f"{against_torch.machine()}\n")
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    for name in networks:
        with one_core():
            ours, layers = profile_ours(name)
        theirs = profile_theirs(name)
        for kind in KINDS:
            slowest = [f"{layer}: {each:.1f}" for layer, each in layers[kind].most_common(1) if kind != KINDS[3]]
            print(line((name, kind, f"{ours[kind]:.1f}", f"{theirs[kind]:.1f}", *(slowest or "-"))), flush=True)
        jax.clear_caches()
        gc.collect()


def profile_ours(name: str) -> tuple[collections.Counter, dict[str, collections.Counter]]:
    """Milliseconds of our step by kind, and for each kind by layer; on one core, those of the whole step."""
    config, model, optimizer, state = against_torch.our_network(name)
    setting = against_torch.SETTINGS[name]
    clips, labels = against_torch.random_batch(config, setting.training, setting.classes)
    batch = {"clips": clips, "labels": {"atomic": labels}}
    step, _ = against_torch.our_training(config, model, optimizer, state, batch)
    call = against_torch.repeated(step, state, batch)
    repeat(call)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            repeat(call)
        (file,) = pathlib.Path(folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    return by_layer(events, operations(step.as_text()))


def by_layer(events: Iterable[dict], operation_of: dict[str, str]):
    """Sums a trace of STEPS steps: milliseconds a step by kind, and for each kind by layer."""
    kinds, layers = collections.Counter(), collections.defaultdict(collections.Counter)
    for event in events:
        operation = operation_of.get(event.get("name", ""))
        if event.get("ph") == "X" and operation is not None:
            kind, milliseconds = kind_of(operation), event["dur"] / 1000 / STEPS
            kinds[kind] += milliseconds
            layers[kind][layer_of(operation)] += milliseconds
    return kinds, layers


def operations(program: str) -> dict[str, str]:
    """The instructions of a compiled program's text -> the path of what they compute, "" where XLA has none."""
    found = {}
    for text in program.splitlines():
        match = re.match(r"\s+(?:ROOT )?%?([\w.\-]+) = ", text)
        if match and " while(" not in text:  # a loop's time is that of the instructions in it
            path = re.search(r'op_name="([^"]*)"', text)
            found[match[1]] = path[1] if path else ""
    return found


def kind_of(operation: str) -> str:
    """One of KINDS, by the path of an operation, as jit(train_step)/jvp(TSN)/backbone/layer1_block0/conv1/bn/mul."""
    if not operation:  # copies that XLA adds
        return KINDS[2]
    if "jvp(" not in operation:
        return KINDS[3]
    parts = operation.split("/")
    if any(re.fullmatch(r"(\w+_)?conv(_3d)?", part) for part in parts):
        return KINDS[0]
    return KINDS[1] if any(re.fullmatch(r"(\w+_)?(bn|batch_norm)", part) for part in parts) else KINDS[2]


def layer_of(operation: str) -> str:
    """The module of an operation within the network; the network's name for what is in none of its modules."""
    parts = operation.split("/")
    if len(parts) < 2:
        return "copies"
    end = next((at for at, part in enumerate(parts) if at > 1 and (part == "cond" or "(" in part)), len(parts) - 1)
    return "/".join(parts[2:end]) or re.sub(r".*\(|\)", "", parts[1])


def profile_theirs(name: str) -> collections.Counter:
    """Milliseconds of CPU time of PyTorch's step by kind, in the faster of its formats."""
    import torch

    from benchmarks.torch_networks import passes

    config, setting = against_torch.config_of(name), against_torch.SETTINGS[name]
    clips, labels = against_torch.random_batch(config, setting.training, setting.classes)
    given = np.asarray(streams.preprocess(clips, config.data))
    profiles = {}
    for each in passes.FORMATS:
        network = passes.build(config.model, setting.classes, each)
        call = passes.training_step(config, network, given, labels, each)
        repeat(call)
        start = time.perf_counter()
        with quiet(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            repeat(call)
        kinds = collections.Counter()
        for event in profile.events():
            kinds[kind_of_theirs(event)] += event.self_cpu_time_total / 1000 / STEPS * torch.get_num_threads()
        profiles[time.perf_counter() - start] = kinds
    return profiles[min(profiles)]


def kind_of_theirs(event) -> str:
    """One of KINDS, by the innermost operation around PyTorch's event that THEIRS has a part of the name of."""
    while event is not None:
        if found := [kind for part, kind in THEIRS.items() if part in event.name.lower()]:
            return found[0]
        event = event.cpu_parent
    return KINDS[2]


@contextlib.contextmanager
def one_core():
    """Keeps this thread, and those that it starts meanwhile, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def repeat(call: Callable[[], object]) -> None:
    for _ in range(STEPS):
        jax.block_until_ready(call())


@contextlib.contextmanager
def quiet():
    """Without what the libraries below Python write to stderr."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


if __name__ == "__main__":
    huge_pages.ask_for_them()  # as haa_jax.main does; PyTorch has them too
    flags.DEFINE_list("networks", list(against_torch.SETTINGS), f"Which of {', '.join(against_torch.SETTINGS)}.")
    app.run(main, flags_parser=config_flag.parse)
