import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import collectives
from haa_jax.models import layers
from haa_jax.runtime import mesh


def reference(x, kernel, stride, padding, groups=1):
    return jax.lax.conv_general_dilated(
        *(x, kernel, stride, [(each, each) for each in padding]),
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        feature_group_count=groups,
        precision="highest",
    )


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((3, 1, 1), (1, 1, 1), None),
        ((3, 1, 1), (2, 1, 1), (1, 0, 0)),
        ((1, 1, 1), (1, 1, 1), None),
        ((1, 1, 1), (2, 2, 2), None),
        ((1, 3, 3), (1, 2, 2), None),
        ((3, 3, 5), (2, 2, 1), (0, 1, 2)),
    ],
)
def test_every_form_is_the_convolution_of_three_axes(kernel, stride, padding, groups):
    layer = layers.Conv(8, kernel, stride, padding, groups)
    x = jax.random.normal(jax.random.key(0), (2, 6, 7, 9, 12))
    variables = layer.init(jax.random.key(1), x)
    weights = variables["params"]["kernel"]
    assert weights.shape == (*kernel, 12 // groups, 8)
    padding = padding or [extent // 2 for extent in kernel]
    expected = reference(x, weights, stride, padding, groups)
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-5, atol=1e-5)


def test_groups_sum_in_float32():
    x = jax.random.normal(jax.random.key(0), (2, 4, 3, 3, 64)).astype(jnp.bfloat16)
    layer = layers.Conv(32, (3, 1, 1), groups=2, dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(1), x)
    found = layer.apply(variables, x)
    assert found.dtype == jnp.bfloat16
    weights = variables["params"]["kernel"].astype(jnp.bfloat16).astype(jnp.float32)
    expected = reference(x.astype(jnp.float32), weights, (1, 1, 1), (1, 0, 0), 2)
    np.testing.assert_array_equal(found, expected.astype(jnp.bfloat16))  # rounded once, at the end


def test_groups_do_not_gather_the_batch():
    device_mesh = mesh.make_mesh()
    rows, whole = mesh.batch_sharding(device_mesh), mesh.replicated(device_mesh)
    shapes = jax.ShapeDtypeStruct((8, 4, 3, 3, 64), jnp.float32), jax.ShapeDtypeStruct((3, 1, 1, 16, 32), jnp.float32)

    pads = [(1, 1), (0, 0), (0, 0)]

    def loss(x, kernel):
        return (layers._convolve_groups(x, kernel, (1, 1, 1), pads, groups=4) ** 2).sum()

    step = jax.jit(jax.grad(loss, argnums=(0, 1)), in_shardings=(rows, whole), out_shardings=(rows, whole))
    assert set(collectives.collectives(step.lower(*shapes).compile().as_text())) == {"all-reduce"}
