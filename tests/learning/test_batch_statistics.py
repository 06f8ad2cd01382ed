import functools

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.learning.batch_statistics import running_statistics


def test_running_statistics_follow_short_trainings_and_are_the_published_ones_in_long_ones():
    rng, momentum = np.random.default_rng(0), 0.99
    follow = jax.jit(functools.partial(running_statistics, momentum=momentum))
    expected = ours = np.float32(rng.random(5))
    for step in range(1000):
        batch = np.float32(step / 100 + rng.random(5))
        own = min(momentum, (1 + step) / (10 + step))
        expected = own * expected + (1 - own) * batch
        ours = follow({"mean": ours}, {"mean": momentum * ours + (1 - momentum) * batch}, jnp.int32(step))["mean"]
        if step == 50:  # 60 % of the published average would still be what it began with
            np.testing.assert_allclose(ours, batch, atol=1.0)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    before, after = np.float32(rng.random(5)), np.float32(rng.random(5))
    for step, same in ((889, False), (890, True), (10**6, True)):
        assert np.array_equal(follow(before, after, jnp.int32(step)), after) == same


def test_statistics_that_a_step_did_not_touch_stay_bitwise():
    frozen = np.float32(np.random.default_rng(0).random(100))
    kept = running_statistics(frozen, frozen, jnp.int32(3), 0.999)
    assert np.array_equal(kept, frozen)
