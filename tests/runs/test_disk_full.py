"""A disk that fills up while a run saves and while a dataset is built: a file system of its own, really full."""

import shlex
import shutil
import subprocess
import sys

import pytest

from haa_jax import evaluate
from tests.runs.test_resume import ROOT, command, one_device

MOUNT = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount(folder) -> bool:
    if not shutil.which("unshare"):
        return False
    line = [*MOUNT, "mount", "-t", "tmpfs", "none", str(folder)]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """Runs shell lines with a file system of 40 MB in place of an empty folder; it is gone when they end."""
    (tmp_path / "disk").mkdir()
    if not can_mount(tmp_path / "disk"):
        pytest.skip("no small file system can be mounted here: it needs Linux with user namespaces")

    def run(*lines: str) -> str:
        script = "\n".join([f"mount -t tmpfs -o size=40m none {tmp_path}/disk", *lines])
        environment = {**one_device(), "DISK": f"{tmp_path}/disk", "OUT": str(tmp_path)}
        done = subprocess.run(
            [*MOUNT, "bash", "-uc", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout.decode(errors="replace")

    run.folder = tmp_path
    return run


# Fills the disk but for a number of kilobytes.
FILL = 'head -c "$(($(df --output=avail -k $DISK | tail -1) - {}))k" /dev/zero > $DISK/fill'


# A line is printed as one piece, since threads write errors in between.
SAVES = """
import sys
from haa_jax.runtime.checkpoint import CheckpointError
from tests.runtime.test_checkpoint import restored_step, saved
try:
    saved(sys.argv[1], range(1, 100), keep=100)
except CheckpointError as error:
    print(f"full: {error}\\n", end="", flush=True)
print("whole:", restored_step(sys.argv[1]).step)
"""


def test_a_save_on_a_full_disk_leaves_those_before_it_whole(disk):
    python = shlex.join([sys.executable, "-c", SAVES])
    said = disk(FILL.format(200), f"{python} $DISK/run", "rm $DISK/fill", f"{python} $DISK/run")
    first, second = said.split("whole: ")[1:]
    saved = int(first.split()[0])
    assert 2 <= saved < 99
    assert f"full: checkpoint {saved + 1} could not be saved in" in said
    assert f"the same command resumes from checkpoint {saved}." in said
    assert "No space left on device" in said
    assert second.split()[0] == "99"


SCORE = """
import sys
from haa_jax.runtime import seal
from haa_jax.runtime.checkpoint import CheckpointError, FOLDER
from tests.runtime.test_checkpoint import restored_step, saved
for step, scores in ((1, {}), (1, {1: 0.5}), (2, {1: 0.5})):
    try:
        saved(sys.argv[1], [step], scores)
    except CheckpointError as error:
        print(f"full: {error}\\n", end="", flush=True)
    found = restored_step(sys.argv[1])
    print("whole:", found and (found.step, found.meta["history"], seal.faults(f"{sys.argv[1]}/{FOLDER}/{found.step}")))
    if not scores and sys.argv[2] == "fill":
        with open(f"{sys.argv[1]}/fill", "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 12)):
                    pass
            except OSError:
                pass
"""


def test_a_score_that_finds_the_disk_full_leaves_the_only_checkpoint_whole(disk):
    python = shlex.join([sys.executable, "-c", SCORE])
    said = disk(f"mkdir $DISK/run; {python} $DISK/run fill", "rm $DISK/run/fill", f"echo room; {python} $DISK/run no")
    full, room = said.split("room\n")
    assert full.count("whole: (1, {}, [])") == 3, said
    assert "full: the validation score of checkpoint 1 could not be saved in" in full
    assert "full: checkpoint 2 could not be saved in" in full
    assert ["No space left on device" in line for line in full.splitlines() if line.startswith("full: ")] == [True] * 2
    assert full.count("The earlier checkpoints are untouched: the same command resumes from checkpoint 1.") == 2
    assert "whole: (1, {'1': 0.5}, [])" in room.splitlines(), said  # the same command, now that there is room


def test_a_first_save_on_a_full_disk_does_not_speak_of_others(disk):
    python = shlex.join([sys.executable, "-c", SAVES.replace("restored_step(sys.argv[1]).step", "None")])
    said = disk("mkdir $DISK/run", FILL.format(8), f"{python} $DISK/run")
    assert "full: checkpoint 1 could not be saved in" in said
    assert "There is no checkpoint yet: the same command starts from the beginning." in said


@pytest.mark.slow
def test_a_run_on_a_full_disk_keeps_its_last_checkpoint_and_goes_on_when_there_is_room(disk, data_dir):
    main = shlex.join(command(data_dir, disk.folder / "disk" / "run", "--config.train.steps=8"))
    said = disk(
        FILL.format(1000),  # two checkpoints of 0.4 MB, not three
        f"{main} 2>&1; echo code $?",
        "echo kept $(ls $DISK/run/checkpoints)",
        "rm $DISK/fill",
        f"{main} 2>&1; echo code $?",
        "cp $DISK/run/metrics.json $OUT",
    )
    stopped, gone_on, rest = said.split("code ")
    assert gone_on.startswith("1\n"), said
    assert rest.startswith("0\n"), said
    assert "error: " in stopped, said
    assert "No space left on device" in stopped
    assert "Traceback (most recent call last)" not in stopped.rpartition("error: ")[2]
    kept = [int(name) for name in gone_on.partition("kept ")[2].splitlines()[0].split() if name.isdigit()]
    # TensorBoard's files or a checkpoint: either may be the first that finds no room.
    assert f"the same command resumes from checkpoint {max(kept)}." in stopped or "Once there is space" in stopped, said
    assert f"resuming from the checkpoint at step {max(kept)}" in gone_on
    assert (disk.folder / evaluate.METRICS_FILE).exists()


def test_a_build_on_a_full_disk_leaves_nothing_and_touches_nothing(disk, archive_dir, data_dir):
    build = [sys.executable, "-m", "tfds_haa500.build", f"--manual_dir={archive_dir.parent}", "--workers=1"]
    build = shlex.join([*build, f"--data_dir={disk.folder}/disk"])
    said = disk(
        f"cp -r {data_dir}/haa500 $DISK",
        "find $DISK -type f | xargs sha256sum > $OUT/sums",
        FILL.format(40),
        f"{build} --classes=CPR,play_erhu --name=after; echo code $?",
        "sha256sum --quiet --check $OUT/sums && echo intact",
        "test -e $DISK/haa500/after || echo nothing left",
        "rm $DISK/fill",
        f"{build} --classes=CPR,play_erhu --name=after; echo code $?",
    )
    assert [part.split()[0] for part in said.split("code ")[1:]] == ["1", "0"], said
    assert "error: the disk is full: " in said
    assert "Traceback" not in said
    assert "intact\nnothing left\n" in said
    assert "haa500/after/1.1.0: 40 clips" in said
