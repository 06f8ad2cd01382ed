"""A run of two processes that is ended about every minute, as by a scheduler or by a fault, and started again."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from haa_jax import evaluate
from haa_jax.data import sampling
from haa_jax.experiment import create_experiment
from haa_jax.runtime.signals import EXIT_INTERRUPTED
from tests.conftest import free_port
from tests.runs.test_multihost import with_devices
from tests.runs.test_resume import ROOT, command
from tests.runs.test_train import assert_bitwise_equal, final_state, scalars

MINUTES = float(os.environ.get("SOAK_MINUTES", "5"))
STEPS = round(60 * MINUTES)  # at one a second or slower, none is left over when the last kill has come
PATIENCE = 600.0  # seconds; a process that has lost the other one ends after 100


class Run:
    """The same command, started again and again."""

    def __init__(self, data_dir, folder):
        self.folder, self.notes, self.log = folder, folder / "notes", folder / "log"
        self.notes.mkdir()
        fields = {"train.steps": STEPS, "checkpoint.every_epochs": 3.0, "eval.every_epochs": 10.0}
        fields |= {"optimizer.learning_rate": 1e-3, "data.threads": 2, "log_every_seconds": 5.0}
        settings = [f"--config.{field}={value}" for field, value in fields.items()]
        line = command(data_dir, folder / "workdir", *settings, "--num_processes=2")
        self.line = ["tests.noting_main" if part == "tests.shallow_main" else part for part in line]

    def start(self, seconds_a_step: float = 0.0) -> list[subprocess.Popen]:
        address = f"--coordinator_address=127.0.0.1:{free_port()}"
        environment = with_devices(1) | {"NOTES": str(self.notes), "SECONDS_A_STEP": str(seconds_a_step)}
        with self.log.open("a") as log:
            return [
                subprocess.Popen(
                    [*self.line, address, f"--process_id={i}"], cwd=ROOT, env=environment, stdout=log, stderr=log
                )
                for i in range(2)
            ]

    def to_the_end(self) -> None:
        for _ in range(5):  # a machine that is itself suspended for 100 s ends a run too
            codes = [process.wait(3600) for process in self.start()]
            print(f"to the end: {codes}", flush=True)
            if codes == [0, 0]:
                return
        raise AssertionError(self.log.read_text()[-5000:])

    def seen(self) -> dict[int, tuple[list[str], list[int]]]:
        """By step: the clips of the global batch, and what was made of them, which must be the same each time."""
        found = collections.defaultdict(dict)
        for process in range(2):
            for line in (self.notes / f"{process}.jsonl").read_text().splitlines():
                note = json.loads(line)
                part = (note["clips"], note["sum"])
                assert found[note["step"]].setdefault(process, part) == part, note
        return {step: ([*of[0][0], *of[1][0]], [of[0][1], of[1][1]]) for step, of in found.items()}

    def num_noted(self) -> int:
        return len((self.notes / "0.jsonl").read_text().splitlines())


def scheduled(processes: list[subprocess.Popen], rng) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)


def faulty(processes: list[subprocess.Popen], rng) -> None:
    processes[rng.integers(2)].kill()


def disturb(run: Run) -> collections.Counter:
    """Ends the run every 30 to 90 s for MINUTES; how often with which exit codes."""
    rng, ended, last = np.random.default_rng(0), collections.Counter(), time.monotonic() + 60 * MINUTES
    while (lasts := rng.uniform(30, 90)) < last - time.monotonic():
        end = (scheduled, faulty)[sum(ended.values()) % 2]
        processes = run.start(seconds_a_step=1.0)
        time.sleep(lasts)
        end(processes, rng)
        codes = tuple(sorted(process.wait(PATIENCE) for process in processes))
        ended[end.__name__, *codes] += 1
        print(f"after {lasts:.0f} s {end.__name__}: {codes}", flush=True)
    return ended


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d):
    """The network that the runs were of."""


@pytest.mark.slow
def test_ended_every_minute_a_run_ends_as_if_nothing_happened(tiny_config, data_dir, tmp_path):
    folders = tmp_path / "straight", tmp_path / "disturbed"
    for folder in folders:
        folder.mkdir()
    straight, disturbed = (Run(data_dir, folder) for folder in folders)
    straight.to_the_end()
    ended = disturb(disturbed)
    disturbed.to_the_end()
    print(f"{dict(ended)}; {STEPS} steps, {disturbed.num_noted() - STEPS} of them again")
    assert ended["scheduled", EXIT_INTERRUPTED, EXIT_INTERRUPTED], ended
    assert all(0 not in codes for _, *codes in ended), ended

    tiny_config.train.update(epochs=0.0, steps=STEPS)
    clips = create_experiment(tiny_config).splits["train"].index.clip_id
    plan = {s: [clips[i] for i in sampling.batch_clips(tiny_config.seed, s, 16, len(clips))[0]] for s in range(STEPS)}
    assert {step: names for step, (names, _) in disturbed.seen().items()} == plan
    assert disturbed.seen() == straight.seen()

    states = [final_state(tiny_config, run.folder / "workdir") for run in (straight, disturbed)]
    assert_bitwise_equal(states[0].state, states[1].state)
    for name in (evaluate.METRICS_FILE, evaluate.PREDICTIONS_FILE):
        assert len({(run.folder / "workdir" / name).read_bytes() for run in (straight, disturbed)}) == 1
    curves = [scalars(run.folder / "workdir")["validation/atomic_top1"] for run in (straight, disturbed)]
    assert curves[0] == curves[1]
