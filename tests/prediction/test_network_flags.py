"""One network from a command line, or one line on what is wrong with it."""

import sys

import pytest
from absl import flags

from haa_jax import config_flag, restore
from haa_jax.configs import slowfast
from haa_jax.prediction import network_flags
from haa_jax.runtime import checkpoint_reader
from haa_jax.weights.class_names import ClassNamesError


class Loaded:
    """Stands for a TrainedNetwork: how it was asked for."""

    def __init__(self, *arguments):
        self.arguments = arguments


@pytest.fixture
def load(monkeypatch):
    """From the arguments of a command line to the network."""
    monkeypatch.setattr(checkpoint_reader, "read_meta", lambda run: {"config": {"eval": {"checkpoint": run.name}}})
    monkeypatch.setattr(restore, "load_run", Loaded)
    monkeypatch.setattr(restore, "load_published", Loaded)

    def loaded(*arguments):
        argv = ["program", *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        values = flags.FlagValues()
        network_flags.define(values)
        config_flag.parse(argv, flag_values=values)
        return network_flags.load(values).arguments

    return loaded


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--workdir=last"], ("last", "last")),  # the fixture's run is named by its config.eval.checkpoint
        (["--workdir=best"], ("best", "best")),
        (["--workdir=best", "--checkpoint=last"], ("best", "last")),
        (["--workdir=last", "--checkpoint=best"], ("last", "best")),
        (["--weights=kinetics-400"], ("kinetics-400",)),
    ],
)
def test_a_run_and_published_weights_by_name(load, arguments, expected):
    assert load(*arguments) == expected


def test_a_file_with_its_config_and_classes(load, tmp_path):
    (tmp_path / "names.txt").write_text("jump\nsit\n")
    path, config, names = load(
        "--weights=w.pt", "--config=slowfast.py", "--config.data.frames=16", f"--classes={tmp_path}/names.txt"
    )
    expected = slowfast.get_config()
    expected.data.frames = 16
    assert (path, config.to_dict(), names) == ("w.pt", expected.to_dict(), ("jump", "sit"))
    with pytest.raises(ClassNamesError, match="gone.txt is missing"):
        load("--weights=w.pt", "--config=slowfast.py", f"--classes={tmp_path}/gone.txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "give --workdir=RUN or --weights=kinetics-400|FILE"),
        ("--workdir=", "give --workdir=RUN or --weights=kinetics-400|FILE"),
        ("--workdir=a --weights=b", "give --workdir=RUN or --weights=kinetics-400|FILE, not both"),
        ("--workdir=a --classes=b", "--classes cannot be given with --workdir, which has its own"),
        ("--workdir=a --config=i3d.py", "--config cannot be given with --workdir, which has its own"),
        ("--weights=a --checkpoint=best", "--checkpoint cannot be given with --weights, which is one file"),
        (
            "--weights=kinetics-400 --classes=a --config=i3d.py",
            "--config and --classes cannot be given with --weights=kinetics-400, which has its own",
        ),
        ("--weights=a", "--weights=a needs --config and --classes; see --help"),
        ("--weights=a --config=i3d.py", "--weights=a needs --classes; see --help"),
    ],
)
def test_flags_that_do_not_name_one_network(load, arguments, message):
    with pytest.raises(network_flags.NetworkFlagsError) as error:
        load(*arguments.split())
    assert str(error.value) == message


def test_a_checkpoint_that_does_not_exist_is_a_wrong_flag(load):
    with pytest.raises(SystemExit, match="error: flag --checkpoint=first"):
        load("--workdir=a", "--checkpoint=first")
