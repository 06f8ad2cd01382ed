import numpy as np
import pytest

from benchmarks import train_memory


@pytest.mark.slow  # compiles a step, and waits for what is read ahead
def test_reading_takes_the_batches_that_are_held_and_the_state_is_that_of_the_device(tiny_config, shallow_i3d):
    tiny_config.train.batch_size, tiny_config.data.crop, tiny_config.data.resize = 64, 224, 256
    tiny_config.data.prefetch = 3
    batch = np.prod((64, tiny_config.data.frames, 224, 224, 3))
    before, reading = train_memory.host(tiny_config)
    assert before > 100e6
    assert 3 * batch < reading < 7 * batch
    state, temporary = train_memory.device(tiny_config, 2)
    assert temporary > state > 1e4
