"""The rehearsal: every run of the paper has a small form on generated data."""

import pytest

from haa_jax import checks
from haa_jax.paper import generated, rehearsal
from haa_jax.paper.runs import RUNS
from haa_jax.paper.tables import TABLES


def test_every_run_has_a_small_config_that_can_work(tmp_path):
    for name in RUNS:
        config = rehearsal.small_config(name, tmp_path)
        checks.check_config(config)
        assert config.train.steps == rehearsal.STEPS
        assert config.init_from != "kinetics-400"
        for dataset in rehearsal.datasets_of(config):
            assert dataset in (generated.DEMO, "haa500/demo_relaxed") or dataset.startswith("clip_folder/")


def test_a_dataset_without_a_generated_one_is_named():
    assert generated.in_place_of("haa500/objects") == generated.DEMO
    with pytest.raises(ValueError, match="no generated dataset in place of clip_folder/mine"):
        generated.in_place_of("clip_folder/mine")


def test_what_starts_from_kinetics_needs_the_network_in_its_place():
    runs = rehearsal.runs_of(["kinetics"])
    assert runs[0] == rehearsal.KINETICS
    assert set(runs) == {cell.run for cell in TABLES["kinetics"].cells}
