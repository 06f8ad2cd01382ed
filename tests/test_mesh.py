import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from haa_jax import mesh

eight = pytest.mark.skipif(jax.device_count() != 8, reason="needs 8 devices: run it with `make test`")


@eight
def test_the_mesh_takes_all_devices():
    assert dict(mesh.make_mesh(2).shape) == {"data": 4, "model": 2}
    with pytest.raises(mesh.MeshError, match="mesh.model=3 does not divide the 8 devices"):
        mesh.make_mesh(3)


@eight
def test_batches_must_split_evenly():
    device_mesh = mesh.make_mesh()
    mesh.check_batch_size("train.batch_size", 16, device_mesh, parts=2)
    with pytest.raises(mesh.MeshError, match="train.batch_size=20 must be a multiple of 8 .* nearest: 16 or 24"):
        mesh.check_batch_size("train.batch_size", 20, device_mesh)
    with pytest.raises(mesh.MeshError, match="multiple of 16 .*2 accumulation steps.* nearest: 16"):
        mesh.check_batch_size("train.batch_size", 8, device_mesh, parts=2)


@eight
def test_fsdp_splits_the_largest_axis_that_divides():
    device_mesh = mesh.make_mesh(4)
    big = {"a": (3, 512, 512), "b": (510, 1024), "c": (513, 515), "small": (4, 4)}
    shapes = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in big.items()}
    specs = {name: sharding.spec for name, sharding in mesh.state_shardings(shapes, device_mesh).items()}
    assert specs == {
        "a": PartitionSpec(None, "model", None),
        "b": PartitionSpec(None, "model"),
        "c": PartitionSpec(),
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
