"""Data and workdir in a bucket whose store fails now and then, and runs that are killed in their saves.

The bucket is a stand-in, object_store.py; docs/operations.md says what that leaves untried.
"""

import concurrent.futures
import json
import signal
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils import epath

from haa_jax import evaluate
from haa_jax.runtime import checkpoint_reader, seal
from haa_jax.runtime.checkpoint import DAMAGED_FOLDER
from tests.runs.test_multihost import together
from tests.runs.test_resume import STEPS, command, run, start
from tests.runs.test_train import assert_bitwise_equal, final_state, scalars
from tfds_haa500.runtime.bucket import upload

# Where in a save a run is killed, by step: before an array, the checksums, or the mark of completeness is there.
MOMENTS = {2: "checkpoints/2/state/ocdbt", 4: f"checkpoints/4/{seal.SEAL_FILE}", 6: f"checkpoints/6/{seal.COMMITTED}"}


class Control:
    """The faults of the store, and what it counted since they were set."""

    def __init__(self, address: str):
        self._address = f"{address}/control"

    def set(self, **faults) -> None:
        urllib.request.urlopen(f"{self._address}?{urllib.parse.urlencode(faults)}", data=b"").read()

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(self._address) as answer:
            return json.load(answer)


@pytest.fixture(autouse=True)
def _shallow(shallow_i3d):
    """The network that the runs were of."""


def kill_in_save(arguments, control: Control, moment: str) -> str:
    """Starts a run and kills it when it uploads an object whose name has `moment` in it; what it had logged."""
    before = control.counts().get("held", 0)
    control.set(hold=moment)
    process = start(arguments)
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        logged = reader.submit(process.stderr.read)
        while process.poll() is None and control.counts().get("held", 0) == before:
            time.sleep(0.05)
        process.kill()
    assert process.wait() == -signal.SIGKILL, logged.result()
    control.set(hold="")
    return logged.result()


@pytest.mark.slow
def test_killed_in_its_saves_with_a_store_that_fails_it_ends_as_on_a_disk(
    tiny_config, data_dir, bucket, object_store, tmp_path, capsys
):
    code, errors = run(command(data_dir, tmp_path))
    assert code == 0, errors
    control, workdir = Control(object_store), epath.Path(bucket) / "runs" / "a"
    control.set(fail=0.1, delay=0.02)
    upload(tfds.builder("haa500/tiny", data_dir=data_dir).data_path, f"{bucket}/tfds/haa500/tiny/1.1.0")
    arguments = command(f"{bucket}/tfds", workdir, "--config.data.threads=16")  # most wait for the store
    for step, moment in MOMENTS.items():
        errors = kill_in_save(arguments, control, moment)
        assert "is in a bucket and not locked" in errors
        assert checkpoint_reader.steps_in(workdir / "checkpoints") == list(range(2, step, 2))
        assert (workdir / "checkpoints" / str(step)).exists()  # some of it
    code, errors = run(arguments)
    assert code == 0, errors
    assert "resuming from the checkpoint at step 4\n" in errors
    control_counts = control.counts()
    assert control_counts["failed before"] > 10
    assert control_counts["failed after"] > 10

    tiny_config.train.update(epochs=0.0, steps=STEPS)
    reference, found = final_state(tiny_config, tmp_path), final_state(tiny_config, workdir)
    assert_bitwise_equal(reference.state, found.state)
    assert (tmp_path / evaluate.METRICS_FILE).read_bytes() == (workdir / evaluate.METRICS_FILE).read_bytes()
    arrays, others = (np.load(folder / evaluate.PREDICTIONS_FILE) for folder in (tmp_path, _copied(workdir, tmp_path)))
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays.files)
    assert sorted(scalars(tmp_path / "copy")["train/loss"]) == list(range(1, STEPS + 1))
    assert seal.faults(workdir / "checkpoints" / str(STEPS)) == []

    damaged = seal.all_files(workdir / "checkpoints" / str(STEPS))
    name = max((name for name in damaged if "/d/" in name), key=lambda name: damaged[name].stat().length)
    data = bytearray(damaged[name].read_bytes())
    data[len(data) // 2] ^= 1
    damaged[name].write_bytes(data)
    tiny_config.data.data_dir = f"{bucket}/tfds"
    assert evaluate.evaluate_workdir(tiny_config, workdir)["step"] == STEPS - 2  # and changes nothing
    code, errors = run(arguments)
    assert code == 0, errors
    assert f"CHECKPOINT {STEPS} IS DAMAGED: {name} is damaged" in errors
    assert seal.all_files(workdir / DAMAGED_FOLDER / f"{STEPS}-0").keys() == damaged.keys()
    assert_bitwise_equal(reference.state, final_state(tiny_config, workdir).state)
    with capsys.disabled():
        print(f"\n{control.counts()}")


@pytest.mark.slow
def test_each_further_process_adds_few_requests(data_dir, bucket, object_store, capsys):
    """Of two steps and a test; what their clips cost does not depend on the number of processes."""
    control, requests = Control(object_store), {}
    upload(tfds.builder("haa500/tiny", data_dir=data_dir).data_path, f"{bucket}/tfds/haa500/tiny/1.1.0")
    for processes in (2, 4, 8):
        control.set(fail=0)  # which begins to count anew
        fields = {"train.steps": 2, "data.threads": 2}
        hosts = together(f"{bucket}/tfds", f"{bucket}/runs/{processes}", processes=processes, **fields)
        assert [host.end(900) for host in hosts] == [0] * processes, hosts[0].text
        requests[processes] = control.counts()["requests"]
    with capsys.disabled():
        print(f"\nrequests by number of processes: {requests}")
    assert (requests[8] - requests[2]) / 6 < 120


def _copied(workdir: epath.Path, tmp_path):
    """The files of a workdir, without its subfolders, on this machine."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in workdir.iterdir():
        if not path.is_dir():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder
