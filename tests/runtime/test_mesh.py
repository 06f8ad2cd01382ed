import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from benchmarks import collectives
from haa_jax import evaluate, experiment, overview, train
from haa_jax.configs import i3d
from haa_jax.models import convolution, cpu_kernel_gradient
from haa_jax.runtime import mesh


def test_the_mesh_takes_all_devices():
    assert dict(mesh.make_mesh(2).shape) == {"data": 4, "model": 2}
    with pytest.raises(mesh.MeshError, match="mesh.model=3 does not divide the 8 devices"):
        mesh.make_mesh(3)


def test_batches_must_split_evenly():
    device_mesh = mesh.make_mesh()
    mesh.check_batch_size("train.batch_size", 16, device_mesh, accumulation_steps=2)
    with pytest.raises(mesh.MeshError, match="train.batch_size=20 must be a multiple of 8 .* nearest: 16 or 24"):
        mesh.check_batch_size("train.batch_size", 20, device_mesh)
    with pytest.raises(mesh.MeshError, match="multiple of 16 .*2 accumulation steps.* nearest: 16"):
        mesh.check_batch_size("train.batch_size", 8, device_mesh, accumulation_steps=2)


def test_fsdp_splits_the_largest_axis_that_divides():
    device_mesh = mesh.make_mesh(4)
    big = {"a": (3, 512, 512), "b": (510, 1024), "c": (513, 515), "d": (1024, 8, 512), "small": (4, 4)}
    shapes = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in big.items()}
    specs = {name: sharding.spec for name, sharding in mesh.state_shardings(shapes, device_mesh).items()}
    assert specs == {
        "a": PartitionSpec(None, "model", None),
        "b": PartitionSpec(None, "model"),
        "c": PartitionSpec(),
        "d": PartitionSpec("model", None, None),
        "small": PartitionSpec(),
    }


def test_one_way_is_replicated():
    shapes = jax.ShapeDtypeStruct((1024, 1024), jnp.float32)
    assert mesh.state_shardings(shapes, mesh.make_mesh()).spec == PartitionSpec()


def test_local_rows_become_a_global_array():
    device_mesh = mesh.make_mesh()
    rows = np.arange(16 * 3).reshape(16, 3)
    placed = mesh.to_global({"x": rows}, device_mesh)["x"]
    assert placed.sharding.spec == PartitionSpec(("data", "model"))
    assert np.array_equal(np.asarray(placed), rows)


def test_what_each_device_holds():
    device_mesh = mesh.make_mesh(jax.device_count())
    split = mesh.state_shardings(jax.ShapeDtypeStruct((1024, 1024), jnp.float32), device_mesh)
    abstract = [
        jax.ShapeDtypeStruct((1024, 1024), jnp.float32, sharding=split),
        jax.ShapeDtypeStruct((1000,), jnp.float32, sharding=mesh.replicated(device_mesh)),
    ]
    assert mesh.bytes_per_device(abstract) == 4 * 1024 * 1024 // jax.device_count() + 4000
    assert "state of 4.2 MB" in mesh.describe_state(abstract)


def test_split_parameters_do_what_whole_ones_do_with_less_memory(tiny_config, shallow_i3d, tmp_path, monkeypatch):
    monkeypatch.setattr(mesh, "MIN_SHARDED_BYTES", 100)
    tiny_config.train.update(epochs=0.0, steps=3)
    tiny_config.optimizer.learning_rate = 1e-3  # so narrow a network multiplies rounding at every step
    tiny_config.eval.every_epochs = 0.0
    train.train_and_evaluate(tiny_config, tmp_path / "whole")
    whole = bytes_on_device_0(tiny_config)
    tiny_config.mesh.model = 4
    train.train_and_evaluate(tiny_config, tmp_path / "split")
    assert bytes_on_device_0(tiny_config) < 0.5 * whole
    assert "arrays are split" in overview.describe(experiment.create_experiment(tiny_config))

    logits = [logits_in(tmp_path / name) for name in ("whole", "split")]
    np.testing.assert_allclose(*logits, rtol=1e-3, atol=1e-4)
    assert np.abs(logits[0]).max() > 0.01
    tiny_config.mesh.model = 1  # and what was saved in parts is restored whole
    evaluate.evaluate_workdir(tiny_config, tmp_path / "split")
    np.testing.assert_allclose(logits_in(tmp_path / "split"), logits[1], rtol=1e-4, atol=1e-5)


def logits_in(workdir) -> np.ndarray:
    with np.load(workdir / evaluate.PREDICTIONS_FILE) as saved:
        return saved["atomic_logits"]


def bytes_on_device_0(config) -> int:
    """Of a state that is really there."""
    exp = experiment.create_experiment(config)
    leaves = jax.tree.leaves(exp.fresh_state())
    shards = [shard for leaf in leaves for shard in leaf.addressable_shards if shard.device == jax.devices()[0]]
    held = sum(shard.data.nbytes for shard in shards)
    assert held == mesh.bytes_per_device(exp.abstract_state)
    return held


@pytest.mark.parametrize("clip_by_clip", [False, True])
def test_devices_exchange_gradients_and_statistics_and_nothing_else(shallow_i3d, monkeypatch, clip_by_clip):
    if clip_by_clip:  # a CPU's form of each convolution
        monkeypatch.setattr(convolution, "SMALL", 0)
        monkeypatch.setattr(cpu_kernel_gradient, "AT_ONCE", 0)
    config = i3d.get_config()
    config.model.width, config.data.frames, config.data.resize, config.data.crop = 0.125, 8, 36, 32
    compiled, held = collectives.compile_step(config, mesh.make_mesh(), clips_per_device=2)
    found = collectives.collectives(compiled.as_text())
    assert set(found) == {"all-reduce"}
    parameters = held / 2  # the rest is momentum
    _, by_dtype = found["all-reduce"]
    assert set(by_dtype) == {"f32"}
    assert parameters * 0.95 < by_dtype["f32"] < parameters * 1.2


def test_collectives_are_read_from_a_program():
    program = """
      %r = (f32[3,4]{1,0:T(4,128)}, /*index=1*/bf16[]) all-reduce(%a, %b), replica_groups={{0,1}}, to_apply=%sum
      ROOT %g = f32[8]{0} all-gather(f32[4]{0} %r), dimensions={0}
      %h = f32[2]{0} all-reduce-start(%c)
      %d = f32[2]{0} all-reduce-done(%h)
      %s = (f32[4]{0}, f32[8]{0}) all-gather-start(%r), dimensions={0}
      %e = f32[8]{0} all-gather-done(%s)
      %n = f32[9]{0} add(%all-reduce.1, %g)
    """
    assert collectives.collectives(program) == {
        "all-reduce": (2, {"f32": 48 + 8, "bf16": 2}),
        "all-gather": (2, {"f32": 32 + 32}),
    }
