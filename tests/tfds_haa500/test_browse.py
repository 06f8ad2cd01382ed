"""The page of a built data set's clips."""

import re
import subprocess
import sys

from tfds_haa500 import browse


def test_a_page_of_stored_clips(data_dir):
    text = browse.browse("haa500/tiny", data_dir, splits=["test"], clips=6)
    assert "Showing 6 of 12 clips" in text
    titles = re.findall(r"<h2>(.*?)_\d\d\d</h2>", text)
    assert len(titles) == 6
    assert set(titles) == {"CPR", "battle-rope_jumping-jack", "play_ otamatone", "play_erhu"}
    assert text.count('role="img"') == 6


def test_the_command(data_dir, tmp_path):
    def call(*args):
        command = [sys.executable, "-m", "tfds_haa500.browse", f"--data_dir={data_dir}", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    failed = call("--dataset=haa500/none", f"--out={tmp_path / 'a.html'}")
    assert failed.returncode == 1
    assert "error: 'haa500/none' is not" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list(tmp_path.iterdir())
