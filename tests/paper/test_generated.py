"""Table 8's own commands finish on small generated copies of every dataset that users package themselves."""

import subprocess

import pytest

from haa_jax.data import dataset
from haa_jax.paper import commands, generated, report
from haa_jax.paper.runs import FOLDERS
from haa_jax.paper.tables import TABLES

# Of a network that has every layer, in seconds.
SMALL = (
    *("--config.train.epochs=0", "--config.train.steps=2", "--config.train.batch_size=8", "--config.model.width=0.05"),
    *("--config.data.frames=4", "--config.data.resize=36", "--config.data.crop=32"),
)
ROWS = ("None", "AVA", "Gym288")  # with a single label and several; HAA500's own commands need the release


@pytest.mark.slow
def test_the_commands_of_table_8_finish_on_every_target(tmp_path):
    generated.build([f"clip_folder/{name}" for name in FOLDERS.values()], tmp_path)
    splits = {
        name: set(dataset.open_builder(f"clip_folder/{name}", str(tmp_path / "data")).info.splits)
        for name in FOLDERS.values()
    }
    assert {name for name, own in splits.items() if "test" not in own} == {"activitynet100", "gym288", "ava"}
    cells = [cell for cell in TABLES["table8"].cells if cell.row in ROWS]
    for name in commands.needed(cell.run for cell in cells):
        line = commands.command(name, tmp_path / "runs", str(tmp_path / "data"))
        subprocess.run([*line, *SMALL], check=True)
    for cell in cells:
        assert report.figure(cell, tmp_path / "runs")["count"] == 8 * len(generated.CLIPS["test"])
