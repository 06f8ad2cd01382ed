import re
import subprocess
import sys

import pytest

from tests.runs.test_resume import ROOT, command, one_device


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_run_does_not_grow(data_dir, tmp_path):
    """A thousand steps with prefetching, evaluations and checkpoints; `python -m benchmarks.soak` shows how it goes."""
    fields = ["train.steps=1000", "eval.every_epochs=10.0", "checkpoint.every_epochs=5.0", "log_every_seconds=1.0"]
    arguments = [*command(data_dir, tmp_path)[3:], *(f"--config.{field}" for field in fields)]
    line = [sys.executable, "-m", "benchmarks.soak", "--every=0.5", "--", *arguments]
    done = subprocess.run(line, cwd=ROOT, env=one_device(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    growth = dict(re.findall(r"^(.*): \d+ in the second .* \(([+-][\d.]+)%\)", done.stdout, re.MULTILINE))
    assert set(growth) == {"MB resident", "open files", "threads"}
    assert float(growth["MB resident"]) < 5, done.stdout
    assert float(growth["threads"]) < 20, done.stdout
