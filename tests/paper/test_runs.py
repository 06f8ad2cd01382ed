"""The paper's runs: every one can start, and every one is used."""

from haa_jax import checks
from haa_jax.paper import commands
from haa_jax.paper.runs import FUSIONS, RUNS
from haa_jax.paper.tables import TABLES


def test_every_run_has_a_config_that_can_work():
    for name in RUNS:
        checks.check_config(commands.config(name))


def test_every_cell_has_a_run_and_every_run_a_cell():
    used = commands.needed(cell.run for table in TABLES.values() for cell in table.cells)
    assert set(used) == set(RUNS) | set(FUSIONS)
    assert len(RUNS) > 80
