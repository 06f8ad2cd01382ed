"""What the tables cost: epochs x clips x FLOPs a clip, and docs/paper.md has the figures."""

import pathlib
import re

import pytest

from haa_jax.paper import commands, costs
from haa_jax.paper.runs import RUNS
from haa_jax.paper.tables import TABLES

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "paper.md"
FORWARD = 55_576_674_304  # multiply-adds of I3D on 32 frames with 500 classes: README's 55.6


def test_a_step_is_about_three_forward_passes_and_less_where_layers_are_frozen():
    whole = costs.flops_a_clip("i3d_rgb")
    assert 2.7 < whole / 2 / FORWARD < 3  # the first convolution needs no gradient of its input
    assert costs.flops_a_clip("i3d_rgb_ucf101") == whole
    assert 1 < costs.flops_a_clip("i3d_rgb_kinetics_probe") / 2 / FORWARD < 1.001
    assert 1.02 < costs.flops_a_clip("i3d_rgb_to_ucf101") / 2 / FORWARD < 1.2


def test_a_table_is_epochs_times_clips_times_flops(monkeypatch):
    monkeypatch.setattr(costs, "flops_a_clip", lambda run: 1e9)
    assert costs.of_tables(["table12"]) == costs.Cost(2, 2 * 184 * 8000 * 1e9, {})
    cost = costs.of_tables(["table9"])
    assert cost.runs == 8
    assert cost.haa500 == 4 * (184 + 248) * 816 * 1e9
    cost = costs.of_tables(["table7"])
    assert cost.haa500 == 3 * 184 * 8000 * 1e9
    assert cost.others == {"gym288": 3 * 184 * 1000 * 1e9}


def test_tables_together_cost_a_shared_run_once(monkeypatch):
    monkeypatch.setattr(costs, "flops_a_clip", lambda run: 1.0)
    assert costs.of_tables(["table12", "kinetics"]).runs == 2 + 4 - 1
    assert costs.of_tables(list(TABLES)).runs == len(RUNS)


def rows():
    """(title, trainings) of the docs' table, and its lines."""
    if not DOCS.exists():
        pytest.skip("docs/ is in the checkout")
    return re.findall(r"^(\| (Table \d+|HAA500 with I3D[^|]*) \| (\d+) \|.*)$", DOCS.read_text(), re.M)


TITLES = {table.title.partition(":")[0]: name for name, table in TABLES.items()}


@pytest.mark.slow
def test_the_costs_in_the_docs_are_those_of_the_networks():
    named = [TITLES[title] for _, title, _ in rows()]
    computed = costs.describe(named).splitlines()
    assert [line for line, _, _ in rows()] == computed[2:-1]


def test_the_docs_have_the_number_of_trainings():
    assert rows()
    for _, title, trainings in rows():
        needed = commands.needed(cell.run for cell in TABLES[TITLES[title]].cells)
        assert int(trainings) == sum(run in RUNS for run in needed), title
