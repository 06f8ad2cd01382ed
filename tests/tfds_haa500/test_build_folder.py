"""The command that packages a folder of videos."""

import subprocess
import sys

from tests.tfds_haa500.sources.test_clip_folder import touch


def test_the_command(tmp_path):
    touch(tmp_path / "folder", "train/run/a.txt")

    def call(*args):
        command = [sys.executable, "-m", "tfds_haa500.build_folder", f"--data_dir={tmp_path / 'data'}", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    failed = call(f"--dir={tmp_path / 'folder'}", "--name=mine")
    assert failed.returncode == 1
    assert "train/run/a.txt: not a video" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "data").exists()
