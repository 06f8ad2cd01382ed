"""However a build ends, nothing of it runs on, and nothing of it stays for long."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import tensorflow_datasets as tfds

import tfds_haa500
from tests.conftest import heed_interrupts
from tfds_haa500.runtime import build_lock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
WITHIN = 300.0  # seconds until something must have happened: a busy machine imports TensorFlow for a minute
DRAWN = """
import sys, tfds_haa500
config = tfds_haa500.Haa500Config(name="drawn", classes=("squat_down", "squat_up"), streams=("pose",), generated=True)
tfds_haa500.Builder(config=config, data_dir=sys.argv[1]).download_and_prepare()
"""


def until(condition, what: str):
    deadline = time.monotonic() + WITHIN
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


def processes_of(session: int) -> list[int]:
    """The processes that were started in a session and run still."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = (folder / "stat").read_text().rpartition(") ")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(folder.name))
    return found


@contextlib.contextmanager
def started(tmp_path, *arguments):
    """A build in a session of its own, whose temporary folder is `tmp_path/tmp`, with its output in `tmp_path`."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "TFDS_HAA500_WORKERS": "2"}
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def small_build(archive_dir, data_dir) -> list[str]:
    line = ["-m", "tfds_haa500.build", f"--manual_dir={archive_dir}", f"--data_dir={data_dir}"]
    return [*line, "--classes=CPR,play_erhu", "--name=two", "--streams=flow"]


def is_at_work(data_dir, process):
    """Whether a build writes, and has its two workers."""
    return list(data_dir.glob("*/*/incomplete.*")) and len(processes_of(process.pid)) >= 3


def remains(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_killed_build_leaves_no_process_and_the_next_clears_what_it_wrote(tmp_path):
    data_dir = tmp_path / "data"
    with started(tmp_path, "-c", DRAWN, str(data_dir)) as process:
        until(lambda: list(data_dir.glob("**/*.mp4")), "drawn clips")
        until(lambda: is_at_work(data_dir, process), "workers")
        process.kill()
        process.wait()
        until(lambda: not processes_of(process.pid), "the end of the workers")
    assert remains(tmp_path / "tmp") == []
    assert remains(data_dir)
    other = data_dir / "haa500" / "other" / "incomplete.ABCDEF_1.1.0"
    other.mkdir(parents=True)
    config = tfds_haa500.Haa500Config(name="drawn", classes=("squat_down",), streams=("pose",), generated=True)
    tfds_haa500.Builder(config=config, data_dir=str(data_dir)).download_and_prepare()
    assert [path.name for path in (data_dir / "haa500" / "drawn").iterdir()] == ["1.1.0"]
    assert not list(data_dir.glob("**/*.mp4"))
    assert other.exists()  # of another dataset, whose build may be running
    assert tfds.builder("haa500/drawn", data_dir=str(data_dir)).info.splits["train"].num_examples == 16


def is_starting_workers(data_dir, process):
    """Whether a worker is at its imports: NumPy is there, and OpenCV, which comes next, is not."""
    for number in set(processes_of(process.pid)) - {process.pid}:
        with contextlib.suppress(OSError):
            maps = pathlib.Path(f"/proc/{number}/maps").read_text()
            if "_multiarray_umath" in maps and "cv2" not in maps:
                return True
    return False


@pytest.mark.parametrize("moment", [is_starting_workers, is_at_work])
def test_ctrl_c_is_one_line(tmp_path, archive_dir, moment):
    data_dir = tmp_path / "data"
    with started(tmp_path, *small_build(archive_dir, data_dir)) as process:
        until(lambda: moment(data_dir, process), "workers")
        process.send_signal(signal.SIGSTOP)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
        time.sleep(0.5)  # workers that took it to be for them would say so now
        process.send_signal(signal.SIGCONT)
        assert process.wait(WITHIN) == 130
        until(lambda: not processes_of(process.pid), "the end of the workers")
    *before, last = (tmp_path / "output").read_text().strip().splitlines()
    assert last == "Interrupted: no half of this dataset was left. Run the same command to build it."
    assert not [line for line in before if "Error" in line or "Traceback" in line or "Interrupt" in line]
    assert not data_dir.exists()
    assert remains(tmp_path / "tmp") == []


def test_a_second_build_of_a_dataset_waits_for_the_first(tmp_path, archive_dir):
    data_dir = tmp_path / "data"
    (tmp_path / "second").mkdir()
    with started(tmp_path, *small_build(archive_dir, data_dir)) as first:
        until(lambda: is_at_work(data_dir, first), "workers")
        first.send_signal(signal.SIGSTOP)
        with started(tmp_path / "second", *small_build(archive_dir, data_dir)) as second:
            output, waits = tmp_path / "second" / "output", "Waiting for another build of haa500/two to end."
            until(lambda: waits in output.read_text(), "the second build")
            assert list(data_dir.glob("haa500/two/incomplete.*"))  # the first's, which lives
            first.send_signal(signal.SIGCONT)
            assert (first.wait(WITHIN), second.wait(WITHIN)) == (0, 0)
    for folder in (tmp_path, tmp_path / "second"):
        assert "haa500/two/1.1.0: 40 clips (32 train, 2 validation, 6 test)" in (folder / "output").read_text()
    assert [path.name for path in (data_dir / "haa500" / "two").iterdir()] == ["1.1.0"]


def test_folders_of_a_build_that_failed_go_and_others_stay(tmp_path):
    @build_lock.build_lock(tmp_path / "data" / "haa500" / "one" / "1.1.0")
    def build():
        """What TFDS does before the dataset's own code."""
        (tmp_path / "data" / "haa500" / ".config").mkdir(exist_ok=True)
        (tmp_path / "data" / "haa500" / ".config" / "metadata.json").write_text("{}")
        (tmp_path / "data" / "downloads" / "extracted").mkdir(parents=True, exist_ok=True)
        assert (tmp_path / "data" / "haa500" / "one" / build_lock.LOCK_FILE).exists()
        raise ZeroDivisionError

    def fail():
        with pytest.raises(ZeroDivisionError):
            build()

    fail()
    assert not (tmp_path / "data").exists()
    (tmp_path / "data" / "haa500" / "other" / "1.1.0").mkdir(parents=True)
    fail()
    assert sorted(path.name for path in (tmp_path / "data" / "haa500").iterdir()) == [".config", "other"]
    (tmp_path / "data" / "haa500" / "one").mkdir()
    fail()
    assert list((tmp_path / "data" / "haa500" / "one").iterdir()) == []
