"""Several processes on this machine, as several hosts would run: the same result, stopped together, lost together."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from haa_jax import evaluate
from haa_jax.runtime.signals import EXIT_INTERRUPTED
from tests.conftest import QUICK_TO_COMPILE, free_port
from tests.runs.test_resume import ROOT, command

STEPS = 6


def with_devices(number: int) -> dict[str, str]:
    """The environment of a process with so many devices."""
    flags = f"{QUICK_TO_COMPILE} --xla_force_host_platform_device_count={number}"
    return {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


class Host:
    """One process of several, with two devices of its own."""

    def __init__(self, arguments, devices=2):
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, env=with_devices(devices), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.text = ""

    def wait_for(self, words: str) -> None:
        for line in self.process.stdout:
            self.text += line
            if words in line:
                return
        raise AssertionError(f"{words!r} never came:\n{self.text}")

    def end(self, seconds: float = 240) -> int:
        rest, _ = self.process.communicate(timeout=seconds)
        self.text += rest
        return self.process.returncode


def arguments(data_dir, workdir, **fields):
    # Networks this narrow multiply the last digits of float32 by ten or more at every step, the more so at a high rate.
    fields = {"train.steps": STEPS, "optimizer.learning_rate": 1e-3, "eval.every_epochs": 0.0} | fields
    fields = {"checkpoint.every_epochs": 0.0} | fields
    return [*command(data_dir, workdir), *(f"--config.{field}={value}" for field, value in fields.items())]


def together(data_dir, workdir, *more, processes=2, **fields) -> list[Host]:
    common = [f"--coordinator_address=127.0.0.1:{free_port()}", f"--num_processes={processes}"]
    line = [*arguments(data_dir, workdir, **fields), *more]
    return [Host([*line, *common, f"--process_id={i}"]) for i in range(processes)]


def losses(text: str) -> dict[int, float]:
    """Loss by step, of the steps that were reported."""
    found = {}
    for line in text.splitlines():
        if ": loss " in line:
            step = int(line.partition("step ")[2].partition("/")[0])
            found[step] = float(line.partition(": loss ")[2].partition(",")[0])
    return found


def predictions(workdir) -> np.ndarray:
    with np.load(workdir / evaluate.PREDICTIONS_FILE) as saved:
        return saved["atomic_logits"]


def train_alone(data_dir, workdir, devices: int, seconds: float = 240):
    """(workdir, what was said) of one process."""
    host = Host(arguments(data_dir, workdir), devices)
    assert host.end(seconds) == 0, host.text
    return workdir, host.text


@pytest.fixture(scope="module")
def alone(data_dir, tmp_path_factory):
    """(workdir, what was said) of one process with four devices."""
    return train_alone(data_dir, tmp_path_factory.mktemp("alone"), devices=4)


def assert_losses_as_alone(text, alone, steps) -> None:
    found, expected = losses(text), losses(alone[1])
    for step in steps:
        assert found[step] == pytest.approx(expected[step], rel=3e-3)


def assert_as_alone(workdir, alone) -> None:
    np.testing.assert_allclose(predictions(workdir), predictions(alone), rtol=1e-3, atol=1e-3)
    figure = json.loads((workdir / evaluate.METRICS_FILE).read_text())["heads"]["atomic"]["top1"]
    assert figure["count"] == 12


@pytest.mark.slow
def test_two_processes_do_what_one_does(data_dir, alone, tmp_path):
    hosts = together(data_dir, tmp_path)
    assert [host.end() for host in hosts] == [0, 0], hosts[0].text + hosts[1].text
    assert "on 4 cpu in 2 process(es)" in hosts[0].text
    assert_losses_as_alone(hosts[0].text, alone, range(2, 5))
    assert_as_alone(tmp_path, alone[0])
    (tmp_path / evaluate.PREDICTIONS_FILE).unlink()
    hosts = together(data_dir, tmp_path, "--mode=eval")
    assert [host.end() for host in hosts] == [0, 0], hosts[0].text + hosts[1].text
    assert_as_alone(tmp_path, alone[0])


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("mpirun"), reason="Open MPI is not installed: no mpirun")
def test_two_processes_of_open_mpi_do_what_one_does(data_dir, alone, tmp_path, monkeypatch):
    for allowed in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):  # as containers do
        monkeypatch.setenv(allowed, "1")
    both = Host(["mpirun", "--oversubscribe", "-n", "2", *arguments(data_dir, tmp_path), "--multihost"])
    assert both.end() == 0, both.text
    assert "on 4 cpu in 2 process(es)" in both.text
    assert_losses_as_alone(both.text, alone, range(2, 5))
    assert_as_alone(tmp_path, alone[0])


@pytest.mark.slow
def test_two_processes_killed_at_random_moments_end_as_if_nothing_happened(data_dir, alone, tmp_path):
    rng, killed, ended = np.random.default_rng(0), 0, []
    often = {"checkpoint.every_epochs": 0.25}  # at every step
    while killed < 8:
        workdir = tmp_path / str(len(ended))  # a run may end before it is killed: then the next begins
        hosts = together(data_dir, workdir, **often)
        if killed % 2:
            with contextlib.suppress(AssertionError):  # it went on from behind that step
                hosts[0].wait_for(f"step {rng.integers(1, STEPS)}/")
            time.sleep(float(rng.uniform(0, 0.2)))
        else:
            time.sleep(float(rng.uniform(4, 16)))
        for host in rng.permutation(hosts):
            host.process.kill()
        codes = [host.end() for host in hosts]
        killed += codes == [-signal.SIGKILL] * 2
        ended += [workdir] if codes == [0, 0] else []
    hosts = together(data_dir, workdir, **often)
    assert [host.end() for host in hosts] == [0, 0], hosts[0].text + hosts[1].text
    print(f"{killed} kills; {len(ended)} runs ended in between")
    for folder in {*ended, workdir}:
        assert_as_alone(folder, alone[0])


def test_flags_that_go_together(data_dir, tmp_path):
    host = Host([*arguments(data_dir, tmp_path), "--num_processes=2"])
    assert host.end() != 0
    assert "go together" in host.text


@pytest.mark.parametrize(
    ("number", "to"),
    [
        pytest.param(signal.SIGTERM, [1], marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, [1], marks=pytest.mark.slow),
        (signal.SIGINT, [0, 1]),  # Ctrl-C reaches all processes of the terminal
    ],
)
def test_a_signal_stops_both_at_one_step_and_one_alone_goes_on(data_dir, alone, tmp_path, number, to):
    hosts = together(data_dir, tmp_path)
    hosts[0].wait_for("step 2/")
    for host in to:
        hosts[host].process.send_signal(number)
    if number == signal.SIGINT:
        hosts[to[0]].wait_for("SIGINT: saving a checkpoint and exiting")
    # JAX looks for a signal once a second: another process is held for so long, or the run would end before it does.
    other = hosts[1 - to[0]].process
    other.send_signal(signal.SIGSTOP)
    time.sleep(2)
    other.send_signal(signal.SIGCONT)
    assert [host.end() for host in hosts] == [EXIT_INTERRUPTED] * 2, hosts[0].text + hosts[1].text
    (step,) = (int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    for host in hosts:
        assert f"all save a checkpoint at step {step} and exit" in host.text
    assert ": loss" not in hosts[1].text  # only process 0 says how it goes
    assert "process 1: W" in hosts[1].text
    assert "process 0" not in hosts[0].text
    assert 2 <= step < STEPS
    assert "on 4 cpu in 2 process(es)" in hosts[0].text
    assert_losses_as_alone(hosts[0].text, alone, range(2, min(step, 4) + 1))
    host = Host(arguments(data_dir, tmp_path), devices=1)  # another number of processes and devices
    assert host.end() == 0, host.text
    assert f"resuming from the checkpoint at step {step}" in host.text
    assert_as_alone(tmp_path, alone[0])


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_process_at_once_where_it_waits_for_another_that_hangs(data_dir, tmp_path):
    hosts = together(data_dir, tmp_path, **{"train.steps": 10_000})
    hosts[0].wait_for("step 3/")
    hosts[1].process.send_signal(signal.SIGSTOP)
    try:
        hosts[0].process.send_signal(signal.SIGINT)
        hosts[0].wait_for("SIGINT: saving a checkpoint and exiting")
        hosts[0].wait_for("waiting for the other processes: ")
        hosts[0].process.send_signal(signal.SIGINT)
        assert hosts[0].end(10) == -signal.SIGINT
    finally:
        hosts[1].process.kill()
        hosts[1].end()


@pytest.mark.slow
def test_a_process_that_dies_takes_the_others_along_with_a_word(data_dir, tmp_path):
    hosts = together(data_dir, tmp_path, **{"train.steps": 10_000})
    hosts[0].wait_for("step 3/")
    hosts[1].process.kill()
    killed = time.monotonic()
    assert hosts[0].end() not in (0, EXIT_INTERRUPTED)
    assert time.monotonic() - killed < 150  # JAX's heartbeat takes 100 s where the connection itself does not end
    assert "one of them may be gone" in hosts[0].text or "another task died" in hosts[0].text


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_others_with_a_word(data_dir, tmp_path):
    hosts = together(data_dir, tmp_path, **{"train.steps": 10_000})
    hosts[0].wait_for("step 3/")
    hosts[1].process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        hosts[0].wait_for("waiting for the other processes: step ")
        assert hosts[0].end() not in (0, EXIT_INTERRUPTED)
        assert time.monotonic() - stopped < 200
        print(hosts[0].text[-2000:])
    finally:
        hosts[1].process.kill()
        hosts[1].end()


@pytest.mark.slow
def test_a_process_that_never_comes_is_waited_for_in_vain(data_dir, tmp_path):
    (host, other) = together(data_dir, tmp_path, processes=2)
    other.process.kill()
    other.end()
    host.wait_for("waiting for the other processes, 300 s at most")
    assert host.end(400) not in (0, EXIT_INTERRUPTED)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_four_processes_do_what_one_does(data_dir, alone, tmp_path):
    hosts = together(data_dir, tmp_path, processes=4)
    assert [host.end(500) for host in hosts] == [0] * 4, hosts[0].text
    assert_as_alone(tmp_path, alone[0])
