"""The commands of docs/adding_a_class.md, as they stand there."""

import csv
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "adding_a_class.md"


@pytest.mark.slow
def test_from_annotated_lines_to_a_trained_network(tmp_path):
    """On generated videos; every command of the page's last section, in one shell that stops at the first error."""
    section = PAGE.read_text().partition("## The whole way on generated videos\n")[2]
    (commands,) = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    modules = os.pathsep.join(filter(None, (str(PAGE.parents[1]), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        ["bash", "-ec", commands.replace("configs/i3d.py", str(PAGE.parents[1] / "configs/i3d.py"))],
        cwd=tmp_path, env={**os.environ, "PATH": path, "PYTHONPATH": modules, "XLA_FLAGS": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 class, 20 rows and 0 clips checked" in done.stdout
    assert "20 clips cut; 60 were there before" in done.stdout
    assert "1 class, 20 rows and 20 clips checked" in done.stdout
    assert "haa500/grown/1.1.0: 80 clips of 4 classes (64 train, 4 validation, 12 test)" in done.stdout
    with (tmp_path / "four.csv").open() as table:
        names = [row["name"] for row in csv.DictReader(table)]
    assert names == ["kite_rise", "kite_sink", "squat_down", "squat_up"]
    results = json.loads((tmp_path / "run/metrics.json").read_text())
    assert results["heads"]["atomic"]["top1"]["count"] == 12
    assert re.search(rf"kite_rise_017.mp4 +0\.\d+ +({'|'.join(names)})$", done.stdout, re.MULTILINE)
