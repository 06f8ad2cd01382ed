import os
import subprocess
import sys
import types

import numpy as np

from haa_jax.runtime import compiling

PROGRAM = """
from haa_jax.runtime import compiling
compiling.prepare()
import jax
from haa_jax.runtime import mesh
jax.jit(lambda x: x + 1, compiler_options=compiling.options(mesh.make_mesh()))(1.0)
"""


def test_xla_takes_the_settings_beside_those_of_the_user(tmp_path):
    flags = f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"
    subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, "XLA_FLAGS": flags}, check=True)
    dumped = "".join(path.read_text() for path in tmp_path.glob("*debug_options*"))
    assert "xla_cpu_disable_loop_unrolling" in dumped
    assert ("xla_cpu_use_fusion_emitters: false" in dumped) == compiling.HAS_FUSION_EMITTERS


def test_what_the_user_has_set_wins(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling=false")
    compiling.prepare()
    assert os.environ["XLA_FLAGS"].split()[-1].endswith("unrolling=false")


def test_other_platforms_are_left_alone():
    device = types.SimpleNamespace(platform="gpu")
    assert compiling.options(types.SimpleNamespace(devices=np.array([[device]]))) == {}
