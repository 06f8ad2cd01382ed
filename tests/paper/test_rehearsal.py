"""The rehearsal: every run of the paper has a small form on generated data."""

from haa_jax import checks
from haa_jax.paper import rehearsal
from haa_jax.paper.runs import RUNS


def test_every_run_has_a_small_config_that_can_work(tmp_path):
    for name in RUNS:
        config = rehearsal.small_config(name, tmp_path)
        checks.check_config(config)
        assert "demo" in config.data.dataset
        assert "demo" in (config.eval.dataset or "demo")
