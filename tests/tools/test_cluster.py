"""The job file of tools/cluster, run by Slurm: stopped before its time limit, requeued, ended."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from tests.conftest import QUICK_TO_COMPILE
from tests.runs.test_multihost import STEPS, arguments, assert_as_alone, train_alone
from tests.runs.test_resume import ROOT
from tests.runs.test_train import scalars
from tests.tools import slurm

JOB_FILE = ROOT / "tools" / "cluster" / "train.sbatch"
# What the job file asks for, but for the size and the limit.
SIZE = ("--nodes=1", "--ntasks-per-node=2", "--gpus-per-node=0", "--time=60")
SECONDS_BEFORE = 300  # of `--signal` in the job file
PATIENCE = 20 * 60.0  # seconds, for what takes one minute on a machine that has nothing else to do

needs_slurm = pytest.mark.skipif(bool(slurm.MISSING), reason=f"Slurm is not installed: no {', '.join(slurm.MISSING)}")


@pytest.fixture(scope="module")
def cluster():
    with slurm.running_cluster() as running:
        one_device = f"{QUICK_TO_COMPILE} --xla_force_host_platform_device_count=1"
        running.environment |= {"XLA_FLAGS": one_device, "PYTHONPATH": str(ROOT)}
        _shallow_python(running)
        yield running
    assert running.processes() == []


def _shallow_python(cluster) -> None:
    """Puts a `python` on the path that runs shallow_main.py for haa_jax.main: most of a start is compiling."""
    python = cluster.folder / "bin" / "python"
    python.parent.mkdir()
    lines = [
        '[ "$1 $2" = "-m haa_jax.main" ] || exit 1',
        "shift 2",
        f'exec {sys.executable} -m tests.shallow_main "$@"',
    ]
    python.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    python.chmod(0o755)
    cluster.environment["PATH"] = f"{python.parent}:{cluster.environment['PATH']}"


@pytest.fixture(scope="module")
def alone(data_dir, tmp_path_factory):
    """(workdir, what was said) of one process with two devices."""
    return train_alone(data_dir, tmp_path_factory.mktemp("alone"), 2, PATIENCE)


class Job:
    """A training that has been submitted."""

    def __init__(self, cluster, data_dir, workdir, log):
        self.cluster, self.log = cluster, log
        options = [*SIZE, f"--chdir={ROOT}", f"--output={log}"]
        flags = arguments(data_dir, workdir)[3:]  # without "python -m tests.shallow_main"
        self.number = cluster.run("sbatch", "--parsable", *options, str(JOB_FILE), *flags).strip()

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, words: str) -> None:
        def said() -> bool:
            ended = self.field("JobState") in slurm.ENDED  # before its log is read for the last time
            assert words in self.text() or not ended, self.text()
            return words in self.text()

        slurm.wait_until(said, f"{words!r} in {self.log}", PATIENCE)

    def field(self, name: str) -> str:
        return self.cluster.job(self.number)[name]

    def wait_for_state(self, state: str) -> None:
        slurm.wait_until(lambda: self.field("JobState") in (state, *slurm.ENDED), f"the job is {state}", PATIENCE)
        assert self.field("JobState") == state, self.text()

    def process(self, task: int) -> int:
        """The number of the process of a task."""
        listed = self.cluster.run("scontrol", "listpids", f"{self.number}.0").splitlines()[1:]
        (found,) = (int(line.split()[0]) for line in listed if line.split()[-1] == str(task))
        assert found > 0  # it is -1 where there is none yet: a signal to that would reach every process
        return found

    def update(self, *fields: str) -> None:
        self.cluster.run("scontrol", "update", f"JobId={self.number}", *fields)


def points(workdir) -> list[tuple[str, int]]:
    """(tag, step) of everything in TensorBoard's files."""
    files = sorted(workdir.glob("events.out.tfevents.*"))
    events = [event for file in files for event in EventFileLoader(str(file)).Load()]
    return [(value.tag, event.step) for event in events for value in event.summary.value]


@contextlib.contextmanager
def held(process: int):
    """Stops a process within the context: the others wait for it, and the run is not over before it is signaled."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def has_been_sent(number: signal.Signals, process: int) -> bool:
    """Whether a signal waits for a process that is held; or it has ended, if something else has continued it."""
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    (pending,) = re.findall(r"^ShdPnd:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(pending, 16) >> (number - 1) & 1)


@pytest.mark.slow
@needs_slurm
def test_a_job_that_is_stopped_before_its_time_limit_goes_on_when_requeued(cluster, data_dir, alone, tmp_path):
    workdir = tmp_path / "run"
    job = Job(cluster, data_dir, workdir, tmp_path / "job.log")
    job.wait_for("compiling the training step")
    task = job.process(1)
    with held(task):
        job.update(f"EndTime=now+{SECONDS_BEFORE + 30}")  # Slurm looks at the limits every 30 s
        slurm.wait_until(lambda: has_been_sent(signal.SIGTERM, task), "SIGTERM before the time limit", 120)
        time.sleep(2)  # JAX looks for a signal once a second
    job.wait_for_state("PENDING")
    assert set(re.findall(r"Exited with exit code (\d+)", job.text())) == {"75"}
    (step,) = (int(path.name) for path in (workdir / "checkpoints").iterdir())
    assert 1 <= step < STEPS
    assert job.text().count(f"all save a checkpoint at step {step} and exit") == 2
    assert (job.field("Requeue"), job.field("Restarts")) == ("1", "1")

    job.update("TimeLimit=60", "StartTime=now")  # Slurm waits for two minutes before it starts a job again
    job.wait_for_state("COMPLETED")
    first, second = job.text().split("requeued 1 times")
    assert "requeued 0 times" in first
    assert f"resuming from the checkpoint at step {step}" in second
    assert job.field("ExitCode") == "0:0"
    found, expected = (scalars(folder)["train/loss"] for folder in (workdir, alone[0]))
    for number in range(1, 5):
        assert found[number] == pytest.approx(expected[number], rel=3e-3)
    assert_as_alone(workdir, alone[0])
    of_loss = [step for tag, step in points(workdir) if tag == "train/loss"]
    assert of_loss == list(range(1, STEPS + 1))  # no gap and no step twice


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (75, True), (137, False)])
def test_the_job_ends_with_the_code_of_the_training_and_is_requeued_for_one_only(tmp_path, code, requeued):
    for name, line in {"srun": f"exit {code}", "scontrol": 'echo "scontrol $*"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]"}
    done = subprocess.run(["bash", JOB_FILE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("scontrol requeue 7" in done.stdout) == requeued
