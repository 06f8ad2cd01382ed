"""The command lines of haa_jax.paper and its rehearsal: a mistake is reported in one line."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["haa_jax.paper"], "name at least one table; the tables are table3, "),
        (["haa_jax.paper", "table13"], "unknown table table13; the tables are table3, "),
        (["haa_jax.paper", "table6", "--rnu"], "Unknown command line flag 'rnu'. Did you mean: run"),
        (["haa_jax.paper.rehearsal", "table6"], "unexpected argument 'table6'; options are --workdir and --tables"),
        (["haa_jax.paper.rehearsal"], "--workdir must be given"),
    ],
)
def test_a_mistake_is_reported_in_one_line(arguments, message):
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {message}")
    assert not done.stdout
