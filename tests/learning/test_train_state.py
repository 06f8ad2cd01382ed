import functools

import jax
import numpy as np
import optax
import pytest

from haa_jax.learning import train_state
from haa_jax.models.parameters import abstract_variables, initializer, shapes_of
from haa_jax.runtime import mesh
from tests.learning.test_steps import SHAPE, Tiny


@pytest.mark.parametrize("norm", [True, False])
def test_the_abstract_state_is_that_of_a_fresh_one(norm, monkeypatch):
    monkeypatch.setattr(mesh, "MIN_SHARDED_BYTES", 64)  # so that even this network is split
    model, optimizer = Tiny(norm), optax.adam(0.1)
    abstract = train_state.abstract_state(abstract_variables(model, SHAPE), optimizer, mesh.make_mesh(2))
    shardings = mesh.shardings_of(abstract)
    fresh = train_state.fresh_state(3, SHAPE, init=initializer(model), optimizer=optimizer, shardings=shardings)
    jax.tree.map(lambda shape, array: _assert_alike(shape, array), abstract, fresh)
    assert jax.tree.structure(abstract) == jax.tree.structure(fresh)
    assert any("model" in sharding.spec for sharding in jax.tree.leaves(shardings))
    assert (fresh.batch_stats == {}) == (not norm)


def _assert_alike(shape, array):
    assert (shape.shape, shape.dtype, shape.sharding) == (array.shape, array.dtype, array.sharding)


def test_a_fresh_state_starts_at_step_0_with_the_parameters_of_its_seed():
    options = {"init": initializer(Tiny()), "optimizer": optax.sgd(0.1)}
    shardings = mesh.replicated(mesh.make_mesh())
    fresh = train_state.fresh_state(3, SHAPE, **options, shardings=shardings)
    other = train_state.fresh_state(4, SHAPE, **options, shardings=shardings)
    alone = jax.jit(functools.partial(train_state.init_state, 3, SHAPE, **options))()
    assert int(fresh.step) == 0
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(fresh), jax.device_get(alone))
    assert not np.array_equal(fresh.params["Conv_0"]["kernel"], other.params["Conv_0"]["kernel"])
    assert fresh.variables == {"params": fresh.params, "batch_stats": fresh.batch_stats}


def test_a_network_is_traced_once_for_its_shapes_and_its_random_parameters():
    traces = []

    class Counted(Tiny):
        def __call__(self, *args, **named):
            traces.append(args)
            return super().__call__(*args, **named)

    init, optimizer = initializer(Counted()), optax.sgd(0.1)
    shapes = [shapes_of(init, SHAPE) for _ in range(2)][-1]
    shardings = mesh.shardings_of(train_state.abstract_state(shapes, optimizer, mesh.make_mesh()))
    fresh = train_state.lower_fresh_state(3, SHAPE, init=init, optimizer=optimizer, shardings=shardings)()
    assert len(traces) == 1
    assert jax.tree.map(lambda x: x.shape, fresh.variables) == jax.tree.map(lambda x: x.shape, shapes)
