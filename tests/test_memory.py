import jax
import pytest

from haa_jax import experiment, memory, models
from haa_jax.checks import ConfigError
from haa_jax.configs import i3d, slowfast, stgcn, tpn, tsn
from haa_jax.learning import train_state
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.models.parameters import abstract_variables
from haa_jax.runtime import mesh

GB = 10**9


@pytest.fixture(autouse=True)
def _sixteen_gigabytes(monkeypatch):
    monkeypatch.setattr(memory, "host_bytes", lambda: 16 * GB)


@pytest.mark.parametrize("module", [i3d, slowfast, tsn, tpn, stgcn], ids=lambda module: module.__name__)
def test_every_recipe_can_be_held_by_a_small_machine(module):
    for words in ("", "demo"):
        memory.check_batches(module.get_config(words), 1, 8)


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        # 65 batches of 64 clips of 32 * 224 * 224 * 3 bytes.
        (
            {"data.prefetch": 64},
            ["65 batches", "rgb (32, 224, 224, 3) uint8", "take 20.0 GB", "this machine has 16.0 GB"],
        ),
        ({"data.frames": 10**9}, ["(1000000000, 224, 224, 3)", "take 48,169.0 TB"]),
        ({"train.batch_size": 10**9}, ["config.train.batch_size=1,000,000,000", "lower config.train.batch_size,"]),
        ({"data.crop": 10**6, "data.resize": 10**6}, ["(32, 1000000, 1000000, 3)"]),
        ({"data.resize": 10**6}, ["one picture with a short side of 1,000,000 pixels takes 3.0 TB"]),
        ({"data.resize_max": 10**6}, ["one picture with a short side of 1,000,000"]),
        (
            {"eval.batch_size": 10**9},
            ["5 batches of config.eval.batch_size=1,000,000,000 views on each of 8 devices"],
        ),
        ({"eval.frames": 10**9}, ["config.data.crop or config.data.prefetch", "eval.frames"]),
    ],
)
def test_clips_that_no_memory_holds_are_refused_with_the_arithmetic(fields, messages):
    config = i3d.get_config()
    config.update_from_flattened_dict(fields)
    with pytest.raises(ConfigError) as error:
        memory.check_batches(config, 1, 8)
    for message in messages:
        assert message in str(error.value)


def test_several_processes_hold_their_shares():
    config = i3d.get_config()
    config.train.batch_size = 1024  # 5 batches: 24.7 GB
    with pytest.raises(ConfigError, match="take 24.7 GB; this machine"):
        memory.check_batches(config, 1, 8)
    memory.check_batches(config, 2, 8)
    config.train.batch_size = 4096
    with pytest.raises(ConfigError, match="take 49.3 GB in each of 2 processes"):
        memory.check_batches(config, 2, 8)


def abstract_state(config):
    model = models.build(config.model, {"atomic": 5})
    variables = abstract_variables(model, experiment.clip_shape(config))
    optimizer = make_optimizer(config.optimizer, 16, 10, models.parameter_roles(config.model.name, variables))
    return train_state.abstract_state(variables, optimizer, mesh.make_mesh())


def test_parameters_that_no_device_holds_are_refused(shallow_i3d):
    config = i3d.get_config("demo")
    memory.check_state(abstract_state(config), config.model.width)
    config.model.width = 1e6
    state = abstract_state(config)
    with pytest.raises(ConfigError, match=r"config.model.width=1e\+06 makes [\d,]{20,} parameters; .* on each device"):
        memory.check_state(state, config.model.width)


def test_devices_of_a_processor_share_its_memory():
    assert memory.device_bytes() == 16 * GB // jax.local_device_count()
