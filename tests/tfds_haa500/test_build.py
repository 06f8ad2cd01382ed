"""The command that packages the release."""

import subprocess
import sys


def test_command_line(tmp_path, archive_dir):
    def run(*arguments):
        command = [sys.executable, "-m", "tfds_haa500.build", f"--data_dir={tmp_path}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(f"--manual_dir={archive_dir}", "--classes=CPR", "--name=one")
    assert done.returncode == 0, done.stderr
    assert "haa500/one/1.1.0: 20 clips (16 train, 1 validation, 3 test)" in done.stdout
    assert "100%" in done.stderr
    done = run(f"--manual_dir={archive_dir}", "--config=full", "--classes=CPR", "--name=two")
    assert done.returncode == 1
    assert "pose: no such folder" in done.stderr
    done = run("--streams=flow,depth", "--name=three", "--manual_dir=x")
    assert done.returncode == 1
    assert "--streams='flow,depth', must be" in done.stdout + done.stderr
    done = run()
    assert done.returncode == 1
    assert "haa500_v1_1.zip" in done.stdout + done.stderr
    done = run(f"--manual_dir={tmp_path}")
    assert done.returncode == 1
    assert "no raw/ and video/ here" in done.stderr
    assert run("stray").returncode == 1
