"""The table of benchmarks/compile_for.py from programs compiled for this machine's CPU, and its refusals."""

import importlib.util
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks import collectives, compile_for
from haa_jax import config_flag
from haa_jax.runtime import mesh

GPU = 'gpu_device_info {\n  device_memory_size: 1000\n}\nplatform_name: "CUDA"\n'


def summed_over_devices():
    """A traced program: 4 kB of bfloat16 on each device, summed over all of them."""
    device_mesh = mesh.make_mesh()
    rows = jax.ShapeDtypeStruct((device_mesh.size * 2, 1024), jnp.bfloat16)
    layouts = {"in_shardings": mesh.batch_sharding(device_mesh), "out_shardings": mesh.replicated(device_mesh)}
    return jax.jit(lambda rows: rows.astype(jnp.float32).sum(0), **layouts).trace(rows)


def test_what_a_program_takes_of_a_device_is_read_from_it():
    found = compile_for.measure(summed_over_devices().lower().compile())
    assert found.collectives == {"all-reduce": (1, {"f32": 4096})}
    assert found.arguments == 4096
    assert found.peak >= 4096 + 4096  # the arguments and the result
    assert 1024 <= found.flops < 10 * 1024
    assert found.moved >= 4096 + 4096


def test_a_row_has_what_the_compiler_said(monkeypatch):
    monkeypatch.setattr(collectives, "trace_step", lambda *_: (summed_over_devices(), 12 * 10**6))
    config = config_flag.load("i3d.py")
    config.model.dtype = "bfloat16"
    row = compile_for.row(config, "cpu:8", compile_for.Target(jax.devices(), None), 2, 0.0)
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert len(cells) == compile_for.HEADER.splitlines()[0].count("|") - 1
    assert cells[:5] == ["i3d", "cpu:8", "bfloat16", "2", "yes"]
    assert cells[7:10] == ["12.0", "1 all-reduce (0.0 f32)", "0.0"]
    assert cells[-1] == "0"


def test_a_program_larger_than_the_device_does_not_fit():
    found = compile_for.Measured(
        2 * 10**6, 3 * 10**9, 4 * 10**9, None, 5e9, {"all-reduce": (2, {"f32": 10**6, "bf16": 0})}
    )
    measured = ["2", "3,000", "1.0", "2 all-reduce (0.0 bf16 + 1.0 f32)", "-", "5.0"]
    assert compile_for.cells(found, 5 * 10**9, 10**6, 8) == ["yes", *measured]
    assert compile_for.cells(found, 3 * 10**9, 10**6, 8) == ["no: 4.0 of 3.0 GB", *measured]


def test_what_the_compiler_refuses_for_its_size_does_not_fit_and_other_errors_are_raised():
    message = (
        "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 41.46G of 15.75G hbm. Exceeded by 25.71G."
    )
    assert compile_for.refused(message) == "Used 41.46G of 15.75G hbm"
    assert compile_for.cells("Used 41.46G of 15.75G hbm", None, 10**6, 8)[:2] == ["no: Used 41.46G of 15.75G hbm", "-"]
    with pytest.raises(RuntimeError, match="INTERNAL: a bug"):
        compile_for.refused("INTERNAL: a bug")


@pytest.mark.parametrize("topology", ["v5e", "v5e:8", "cuda", "cuda:2x4", "h100:8", ""])
def test_an_unknown_topology_is_refused(topology):
    with pytest.raises(SystemExit, match=r"^error: --topology=.*: expected .* such as v5e:2x4 or .*, or cuda:8$"):
        compile_for.find_target(topology, None)


@pytest.mark.parametrize(("topology", "extra"), [("v5e:2x4", "tpu"), ("cuda:8", "cuda")])
def test_without_the_compiler_one_line_tells_what_to_install(monkeypatch, topology, extra):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name.partition('.')[0]!r}")

    for find in (lambda name: None, missing):
        monkeypatch.setattr(importlib.util, "find_spec", find)
        with pytest.raises(SystemExit, match=rf'^error: .* is not installed: pip install "haa_jax\[{extra}\]"$'):
            compile_for.find_target(topology, None)


def test_cuda_needs_the_description_of_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    (tmp_path / "no_memory.txtpb").write_text('platform_name: "CUDA"\n')
    for path, fault in {
        None: "CUDA needs --gpu_target=FILE",
        "missing.txtpb": "No such file or directory",
        "no_memory.txtpb": "names no device_memory_size",
    }.items():
        with pytest.raises(SystemExit, match=rf"^error: .*{fault}.* such as h100_sxm\.txtpb$"):
            compile_for.find_target("cuda:8", path and str(tmp_path / path))
    (tmp_path / "gpu.txtpb").write_text(GPU)
    asked = {}
    monkeypatch.setattr(
        compile_for.topologies, "get_topology_desc", lambda **options: asked.update(options) or jax.sharding
    )
    monkeypatch.setattr(jax.sharding, "devices", ["a GPU"], raising=False)
    assert compile_for.find_target("cuda:8", str(tmp_path / "gpu.txtpb")) == (["a GPU"], 1000)
    assert (asked["platform"], asked["topology"], asked["target_config"]) == ("cuda", "1x1x8", GPU)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason='no libtpu: pip install "haa_jax[tpu]"')
def test_libtpu_compiles_and_prints_the_table_alone():
    command = [sys.executable, "-m", "benchmarks.compile_for", "--config=configs/stgcn.py:demo", "--effort=0"]
    run = subprocess.run([*command, "--topology=v5e:2x4"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    header, _, row = run.stdout.splitlines()
    assert header == compile_for.HEADER.splitlines()[0]
    assert row.startswith("| stgcn | v5e:2x4 | float32 | 8 | yes | ")
    assert "all-reduce (" in row
    refused = subprocess.run([*command, "--topology=v5e:3x5"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: --topology=v5e:3x5: INVALID_ARGUMENT: ")
    assert refused.stderr.count("\n") == 1
