"""What the tests know of the HAA500 paper without this project's code."""

import csv
import json
import pathlib

import numpy as np

from haa_jax.metrics import accuracy
from haa_jax.paper.printed import AREAS, INSTRUMENTS, SPORTS

# Every figure of the paper's Tables 3 and 5 to 12, copied from its text: table, row, column, figure ("" for a dash).
FACTS = pathlib.Path(__file__).parent.parent / "facts" / "paper_tables.csv"
# Area, "" for all -> its test clips.
CLIPS = {"": 1500, SPORTS: 636, INSTRUMENTS: 153, "games_hobbies": 246, "daily_actions": 465}


def facts(*numbers):
    """(table, row, column) -> figure, of the paper's tables with these numbers; None for a dash."""
    with FACTS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["table"]) in numbers]
    found = {(f"table{row['table']}", row["row"], row["column"]): row["figure"] for row in rows}
    assert len(found) == len(rows) > 0
    return {key: float(figure) if figure else None for key, figure in found.items()}


def write_metrics(folder, correct, total, split="test"):
    """The metrics.json of a finished run, with the same figure everywhere."""
    figure = accuracy(np.arange(total) < correct)
    head = {"top1": figure, "top3": figure, "area": dict.fromkeys(AREAS.values(), figure)}
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(
        json.dumps({"split": split, "evaluated_head": "atomic", "heads": {"atomic": head}})
    )
