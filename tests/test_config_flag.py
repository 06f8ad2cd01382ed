"""`--config` as people type it: from any folder, and with every plain mistake."""

import os
import pathlib
import subprocess
import sys

import pytest
from absl import flags

from haa_jax import config_flag
from haa_jax.configs import i3d

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def parse(monkeypatch):
    """From the arguments of a command line to (config, what is no flag)."""

    def parsed(*arguments, **options):
        argv = ["program", *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        values = flags.FlagValues()
        config_flag.define(flag_values=values)
        rest = config_flag.parse(argv, flag_values=values, **options)
        config_flag.require("config", flag_values=values)
        return values.config, rest

    return parsed


@pytest.mark.parametrize("name", ["configs/i3d.py", "i3d.py"])
def test_the_package_brings_its_configs_along(name, parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, rest = parse(f"--config={name}:flow", "--config.data.frames=16", "file")
    expected = i3d.get_config("flow")
    expected.data.frames = 16
    assert config.to_dict() == expected.to_dict()
    assert rest == ["program", "file"]
    with pytest.raises(AttributeError):
        config.data.frame = 3  # locked


@pytest.mark.parametrize("where", ["{}/i3d.py", "file://{}/i3d.py", "i3d.py", "~/i3d.py"])
def test_a_file_that_is_there_comes_first(where, parse, tmp_path, monkeypatch):
    (tmp_path / "i3d.py").write_text(
        "from haa_jax.configs import base\ndef get_config(words=''):\n"
        "    config = base.get_config()\n    config.area = words\n    return config\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    config, _ = parse(f"--config={where.format(tmp_path)}:any:words")
    assert config.area == "any:words"


def test_a_default_and_its_fields(parse):
    config, _ = parse("--config.data.frames", "16", default="configs/slowfast.py")
    assert (config.model.name, config.data.frames) == ("slowfast", 16)
    config, _ = parse("--config", "tsn.py", default="configs/slowfast.py")
    assert config.model.name == "tsn"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--config must be given"),
        (("--config=configs/i3.py",), "there is no file configs/i3.py; did you mean i3d.py?"),
        (("--config=i3d",), "did you mean i3d.py?"),
        (("--config=qqqq.py",), "there are i3d.py, slowfast.py, stgcn.py, tpn.py, tsn.py"),
        (("--config=~no_such_user/i3d.py",), "there is no home folder of that name"),
        (("--config=i3d.py:jont",), "unknown config variant 'jont'; did you mean 'joint'?"),
        (("--config=base.py:demo",), "get_config() takes 0 positional arguments"),
        (
            ("--config=i3d.py", "--config.data.frame=3"),
            "config.data.frame is not a field; did you mean config.data.frames?",
        ),
        (
            ("--config=i3d.py", "--config.optim.learning_rate=3"),
            "config.optim.learning_rate is not a field; did you mean config.optimizer.learning_rate?",
        ),
        (("--config=i3d.py", "--config.frames=3"), "did you mean config.data.frames or config.eval.frames?"),
        (("--config=i3d.py", "--config.train.learning_rate=3"), "did you mean config.optimizer.learning_rate?"),
        (("--config=i3d.py", "--config.lr=3"), "config.lr is not a field; "),
        (
            ("--config=i3d.py", "--noconfig.data.flop"),
            "config.data.flop is not a field; did you mean config.data.flip?",
        ),
        (("--config=i3d.py", "--config.mesh=3"), "config.mesh is a section; its fields are model"),
        (("--config=i3d.py", "--config.data.frames=1e9"), "--config.data.frames=1e9: expected a whole number"),
        (("--config=i3d.py", "--config.train.epochs=many"), "--config.train.epochs=many: expected a number"),
        (("--config=i3d.py", "--config.data.flip=maybe"), "--config.data.flip=maybe: expected true or false"),
        (("--config=i3d.py", "--config.data.mean=1, x y"), "--config.data.mean=1, x y: expected a list such as"),
        (("--config=i3d.py", "--config.data.frames"), "Missing value for flag --config.data.frames"),
        (("--config.data.frames=3", "--config=i3d.py"), "before a value for --config was specified"),
        (("--config=i3d.py", "--wokdir=x"), "Unknown command line flag 'wokdir'"),
    ],
)
def test_a_mistake_is_reported_in_one_line(arguments, message, parse):
    with pytest.raises(SystemExit) as error:
        parse(*arguments)
    assert str(error.value).startswith("error: ")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x +\n", "mine.py, line 2: SyntaxError"),
        ("x = 1\ny = z\n", "mine.py, line 2: NameError: name 'z' is not defined"),
        ("def get_config():\n    return {}['a']\n", "mine.py, line 2: KeyError: 'a'"),
        ("def get_config():\n    return {}\n", "get_config() gives dict, not a ConfigDict"),
        ("", "has no attribute 'get_config'"),
    ],
)
def test_a_config_file_of_ones_own_is_named_with_its_line(text, message, parse, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(SystemExit, match="^error: ") as error:
        parse(f"--config={tmp_path}/mine.py")
    assert message in str(error.value)


def test_arguments_that_are_no_flags():
    with pytest.raises(SystemExit, match=r"unexpected argument 'config.data.frames=3'; options are given as --name"):
        config_flag.no_arguments(["program", "config.data.frames=3"])


def run_main(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(cwd)}
    command = [sys.executable, "-m", "haa_jax.main", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=i3d.py:demo"], "--workdir must be given"),
        (["--config=i3d.py:demo", "--workdir=w", "more"], "unexpected argument 'more'"),
        (
            ["--config=i3d.py:demo", "--workdir=a_file"],
            "--workdir=a_file cannot be used: nothing can be written to",
        ),
        (
            ["--config=i3d.py:demo", "--workdir=a_file/w"],
            "/a_file (it is a file)",
        ),
        (["--config=i3d.py:demo", "--workdir=none", "--mode=eval"], "--workdir=none is not a folder"),
        (["--config=i3d.py:demo", "--workdir=w", "--num_processes=2"], "go together"),
    ],
)
def test_main_ends_before_it_begins(arguments, message, tmp_path):
    (tmp_path / "a_file").touch()
    ended = run_main(*arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not ended.stdout


def test_main_refuses_a_size_from_another_folder_by_arithmetic(tmp_path):
    ended = run_main("--config=i3d.py:demo", "--workdir=~/w", "--config.data.frames=1000000000", cwd=tmp_path)
    assert ended.returncode == 1
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("error: "))
    assert "rgb (1000000000, 48, 48, 3) uint8" in line
    assert "lower config.train.batch_size, config.data.frames" in line
    assert "Traceback" not in ended.stderr
