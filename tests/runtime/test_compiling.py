import importlib.metadata
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from haa_jax.runtime import compiling

PROGRAM = """
from haa_jax.runtime import compiling
compiling.prepare()
import jax
from haa_jax.runtime import mesh
jax.jit(lambda x: x + 1, compiler_options=compiling.options(mesh.make_mesh()))(1.0)
"""

CONVOLUTION = """
from haa_jax.runtime import compiling
compiling.prepare()
import jax
import jax.numpy as jnp
x, kernel = jnp.ones((64, 28, 28, 24)), jnp.ones((3, 3, 24, 48))
lowered = jax.jit(jax.lax.conv_general_dilated, static_argnums=(2, 3), static_argnames="dimension_numbers").lower(
    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
)
print(lowered.compile().as_text())
"""


def test_xla_takes_the_settings_beside_those_of_the_user(tmp_path):
    flags = f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"
    subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, "XLA_FLAGS": flags}, check=True)
    dumped = "".join(path.read_text() for path in tmp_path.glob("*debug_options*"))
    assert "xla_cpu_disable_loop_unrolling" in dumped
    assert ("-disable-lsr" in dumped) == (not importlib.metadata.entry_points(group="jax_plugins"))
    assert ("xla_cpu_use_fusion_emitters: false" in dumped) == compiling.IS_0_10


def test_no_convolution_is_one_of_ynnpacks_that_use_one_thread():
    text = subprocess.check_output([sys.executable, "-c", CONVOLUTION], env={**os.environ, "XLA_FLAGS": ""})
    assert b"convolution" in text
    assert not (compiling.IS_0_10 and b"__ynn_fusion" in text)


def test_what_the_user_has_set_wins(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling=false")
    compiling.prepare()
    assert os.environ["XLA_FLAGS"].split()[-1].endswith("unrolling=false")


@pytest.mark.parametrize("plugins", [[], ["xla_cuda13"]])
def test_llvm_is_told_to_skip_a_pass_where_no_other_compiler_would_hear_it(monkeypatch, plugins):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: plugins)
    compiling.prepare()
    assert ("-disable-lsr" in os.environ["XLA_FLAGS"]) == (not plugins)


def test_other_platforms_are_left_alone():
    device = types.SimpleNamespace(platform="gpu")
    assert compiling.options(types.SimpleNamespace(devices=np.array([[device]]))) == {}
