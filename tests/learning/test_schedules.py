import numpy as np
import pytest

from haa_jax.configs import base, i3d
from haa_jax.learning.schedules import learning_rate


def rates(config, batch_size, total):
    schedule = learning_rate(config.optimizer, batch_size, total)
    return [float(schedule(step)) for step in range(total)]


def test_i3ds_steps_are_scaled_to_the_length_of_training():
    config = i3d.get_config()
    found = rates(config, batch_size=384, total=1150)
    assert found[:970] == pytest.approx([0.1] * 970)
    assert found[971:1080] == pytest.approx([0.01] * 109)
    assert found[1081:] == pytest.approx([0.001] * 69)


def test_the_rate_follows_the_batch_size():
    config = base.get_config()
    assert rates(config, 96, 10)[0] == pytest.approx(0.1 * 96 / 384)
    config.optimizer.base_batch_size = 0
    assert rates(config, 96, 10)[0] == pytest.approx(0.1)


def test_cosine_with_warm_up():
    config = base.get_config()
    config.optimizer.update(schedule="cosine", warmup_fraction=0.1, base_batch_size=0)
    found = rates(config, 8, 100)
    half_periods = 0.1 * (1 + np.cos(np.pi * np.arange(100) / 100)) / 2
    assert found[10:] == pytest.approx(list(half_periods[10:]), abs=1e-7)
    assert found[:11] == pytest.approx(list(np.linspace(0, half_periods[10], 11)))
    config.optimizer.warmup_start_factor = 0.1
    assert rates(config, 8, 100)[:11] == pytest.approx(list(np.linspace(0.01, half_periods[10], 11)))


def test_the_rate_can_rise_again():
    config = base.get_config()
    config.optimizer.update(milestones=(0.5, 0.75), factors=(0.1, 1.0), base_batch_size=0, warmup_fraction=0.25)
    assert rates(config, 8, 8) == pytest.approx([0, 0.05, 0.1, 0.1, 0.01, 0.01, 0.1, 0.1])
