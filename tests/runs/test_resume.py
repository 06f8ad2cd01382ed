"""Runs as a user starts them, and as a scheduler ends them."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

from haa_jax import evaluate, train
from haa_jax.runtime import seal
from haa_jax.runtime.lock import WorkdirInUse
from haa_jax.runtime.signals import EXIT_INTERRUPTED
from tests.runs.test_train import assert_bitwise_equal, final_state, scalars

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 12


def command(data_dir, workdir, *more):
    """The command line that is `tiny_config` for STEPS steps, a checkpoint after each second one."""
    settings = {
        "data.dataset": "haa500/tiny",
        "data.data_dir": data_dir,
        "data.frames": 4,
        "data.resize": 36,
        "data.crop": 32,
        "model.width": 0.05,
        "train.epochs": 0.0,
        "train.steps": STEPS,
        "train.batch_size": 16,
        "eval.batch_size": 1,
        "eval.every_epochs": 1.0,
        "checkpoint.every_epochs": 0.5,
        "log_every_seconds": 0.0,
    }
    flags = [f"--config.{field}={value}" for field, value in settings.items()]
    main = [sys.executable, "-m", "tests.shallow_main", "--config=configs/i3d.py", f"--workdir={workdir}"]
    return [*main, *flags, *more]


def one_device() -> dict[str, str]:
    """The environment in which steps are the same in every process whatever this one was started with."""
    flags = os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=8", "")
    return {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


def start(arguments):
    return subprocess.Popen(arguments, cwd=ROOT, env=one_device(), stderr=subprocess.PIPE, text=True)


def run(arguments):
    process = start(arguments)
    _, errors = process.communicate()
    return process.returncode, errors


def interrupt_at(arguments, step: int, number: signal.Signals):
    """Starts a run and sends it a signal once it has reported a step."""
    process = start(arguments)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if f"step {step}/" in line:
            process.send_signal(number)
            break
    lines += process.stderr.readlines()
    return process.wait(), "".join(lines)


def being_saved(workdir) -> list[str]:
    """Checkpoints that are on their way to the disk."""
    folder = workdir / "checkpoints"
    return [path.name for path in folder.iterdir() if not path.name.isdigit()] if folder.exists() else []


def kill_in_a_save(arguments, workdir, delay: float = 0.0) -> bool:
    """Starts a run and kills it while it saves; whether it was still running then."""
    process = start(arguments)
    stale = set(being_saved(workdir))
    while process.poll() is None and (set(being_saved(workdir)) <= stale):
        stale &= set(being_saved(workdir))  # left by the run before, until this one removes them
        time.sleep(0.0005)
    time.sleep(delay)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d):
    """The network that the runs were of."""


@pytest.fixture(scope="module")
def straight(data_dir, tmp_path_factory):
    """The workdir of a run that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("straight")
    code, errors = run(command(data_dir, workdir))
    assert code == 0, errors
    return workdir


def assert_same_end(tiny_config, straight, workdir):
    tiny_config.train.update(epochs=0.0, steps=STEPS)
    reference, found = final_state(tiny_config, straight), final_state(tiny_config, workdir)
    assert reference.step == found.step == STEPS
    assert_bitwise_equal(reference.state, found.state)
    for name in (evaluate.METRICS_FILE, evaluate.PREDICTIONS_FILE):
        assert (straight / name).read_bytes() == (workdir / name).read_bytes()


def test_a_training_loads_no_tensorflow_and_leaves_its_curves(straight):
    """That none is loaded is what shallow_main.py checks when the run ends."""
    plotted = scalars(straight)
    assert sorted(plotted["train/loss"]) == list(range(1, STEPS + 1))
    timed = sorted(plotted["train/clips_per_second"])
    assert timed == list(range(2, STEPS + 1))  # the first step's time is that of compiling
    assert list(plotted["test/atomic_top1"]) == [STEPS]


def test_killed_in_a_save_and_interrupted_it_ends_bitwise_the_same(tiny_config, data_dir, straight, tmp_path):
    arguments = command(data_dir, tmp_path)
    assert kill_in_a_save(arguments, tmp_path)
    assert being_saved(tmp_path)  # it was half-written
    code, errors = interrupt_at(arguments, 5, signal.SIGTERM)
    assert code == EXIT_INTERRUPTED, errors
    assert "SIGTERM: saving a checkpoint and exiting" in errors
    tiny_config.train.update(epochs=0.0, steps=STEPS)
    step = evaluate.evaluate_workdir(tiny_config, f"file://{tmp_path}")["step"]  # changes nothing
    assert 5 <= step < STEPS
    assert (tmp_path / f"step_{step}" / evaluate.PREDICTIONS_FILE).exists()
    assert not (tmp_path / evaluate.METRICS_FILE).exists()  # which is of finished runs
    code, errors = run(arguments)
    assert code == 0, errors
    assert f"resuming from the checkpoint at step {step}\n" in errors
    assert_same_end(tiny_config, straight, tmp_path)


@pytest.mark.slow
def test_twenty_evaluations_beside_a_training_that_saves_all_the_time(tiny_config, data_dir, tmp_path):
    fields = ["train.steps=100000", "checkpoint.every_epochs=0.25", "checkpoint.keep=1"]
    process = start(command(data_dir, tmp_path, *(f"--config.{field}" for field in fields)))
    for line in process.stderr:
        if "step 4: validation" in line:
            break
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    tiny_config.train.update(epochs=0.0, steps=100000)
    steps = []
    for number in range(20):
        tiny_config.eval.checkpoint = ("last", "best")[number % 2]
        steps.append(evaluate.evaluate_workdir(tiny_config, tmp_path)["step"])
    process.send_signal(signal.SIGTERM)
    drain.join()
    assert process.wait() == EXIT_INTERRUPTED
    assert steps[0] < steps[18]
    folders = [path for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()]
    assert folders
    assert [seal.faults(folder) for folder in folders] == [[]] * len(folders)
    assert {path.name for path in tmp_path.glob("step_*")} == {f"step_{step}" for step in steps}


def test_a_second_run_is_refused_before_it_prepares_anything(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "create_experiment", lambda config: pytest.fail("data and model were prepared"))
    hold = "import sys\nfrom haa_jax.runtime.lock import locked\n"
    hold += "with locked(sys.argv[1]): print('held', flush=True); input()"
    line = [sys.executable, "-c", hold, str(tmp_path)]
    other = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(WorkdirInUse, match=f"is in use by process {other.pid} on "):
            train.train_and_evaluate(tiny_config, f"file://{tmp_path}")
    finally:
        other.kill()
        other.wait()


@pytest.mark.slow
def test_ctrl_c_saves_where_it_is(tiny_config, data_dir, tmp_path):
    code, errors = interrupt_at(command(data_dir, tmp_path, "--config.checkpoint.every_epochs=0"), 2, signal.SIGINT)
    assert code == EXIT_INTERRUPTED, errors
    tiny_config.train.update(epochs=0.0, steps=STEPS)
    assert 2 <= final_state(tiny_config, tmp_path).step < STEPS


@pytest.mark.slow
def test_killed_at_twenty_random_moments(tiny_config, data_dir, straight, tmp_path):
    """Half of them within a save, the others at any time from the start of the process to its end."""
    rng = np.random.default_rng(0)
    killed, in_saves, folders = 0, 0, []
    for round_number in range(100):
        workdir = tmp_path / str(len(folders))  # one run is done after a few kills: then the next begins
        if round_number % 2:
            in_save = kill_in_a_save(command(data_dir, workdir), workdir, float(rng.uniform(0, 0.05)))
            killed, in_saves, ended = killed + in_save, in_saves + in_save, not in_save
        else:
            process = start(command(data_dir, workdir))
            time.sleep(float(rng.uniform(5, 20)))
            process.kill()
            process.communicate()
            ended = process.returncode == 0
            killed += not ended
        folders += [workdir] if ended else []
        if killed >= 20 and in_saves >= 8:
            break
    print(f"{killed} kills, {in_saves} of them within a save; {len(folders)} runs ended in between")
    code, errors = run(command(data_dir, workdir))
    assert code == 0, errors
    for folder in {*folders, workdir}:
        assert_same_end(tiny_config, straight, folder)
    assert killed >= 20
    assert in_saves >= 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["config.seed=3"], "unexpected argument 'config.seed=3'"),
        (["--config.trian.steps=3"], "did you mean config.train.steps?"),
        (["--config.train.steps=3"], "set exactly one of them above 0"),
        (["--config.objective=atmic"], "did you mean 'atomic'"),
        (["--config.data.dataset=haa500/demo", "--config.data.data_dir=/nowhere"], "tfds_haa500.build --config=demo"),
    ],
)
def test_a_wrong_command_line_stops_before_any_work(tmp_path, arguments, message):
    main = [sys.executable, "-m", "haa_jax.main", "--config=configs/i3d.py", f"--workdir={tmp_path / 'w'}"]
    done = subprocess.run([*main, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "w").exists()


def test_eval_mode_gives_the_same_figures(data_dir, straight):
    before = json.loads((straight / evaluate.METRICS_FILE).read_text())
    code, errors = run(command(data_dir, straight, "--mode=eval"))
    assert code == 0, errors
    assert json.loads((straight / evaluate.METRICS_FILE).read_text()) == before


def test_this_process_can_compare_states():
    """The comparison that the tests above rest on notices one bit."""
    leaves = {str(i): np.ones(3, np.float32) for i in range(101)}
    other = {**leaves, "7": np.nextafter(leaves["7"], 2)}
    assert_bitwise_equal(leaves, jax.tree.map(np.copy, leaves))
    with pytest.raises(AssertionError):
        assert_bitwise_equal(leaves, other)
