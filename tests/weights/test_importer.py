"""Every published tensor finds its variable, from every source; nothing is lost on either side without being named."""

import csv
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from haa_jax import models
from haa_jax.configs import base, i3d, stgcn
from haa_jax.learning.train_state import init_state
from haa_jax.models.parameters import initializer
from haa_jax.models.skeleton import SKELETONS, spatial_adjacency
from haa_jax.weights import __main__ as command
from haa_jax.weights import importer, names
from haa_jax.weights.readers import WeightsError
from tests import golden

INPUTS = {  # table, column of shapes -> model, variant, input
    ("i3d", "shape"): ("i3d", "", (16, 64, 64, 3)),
    ("slowfast", "shape_4x16"): ("slowfast", "4x16", (32, 64, 64, 3)),
    ("slowfast", "shape_8x8"): ("slowfast", "8x8", (32, 64, 64, 3)),
    ("tsn_resnet50", "shape"): ("tsn", "resnet50", (3, 64, 64, 3)),
    ("tsn_bninception", "shape"): ("tsn", "bninception", (3, 64, 64, 3)),
    ("tpn", "shape_slowonly"): ("tpn", "slowonly", (8, 64, 64, 3)),
    ("tpn", "shape_tsm"): ("tpn", "tsm", (8, 64, 64, 3)),
    ("stgcn", "shape"): ("stgcn", "openpose18", (2, 64, 18, 3)),
}
SOURCES = [
    (*table, source)
    for table, (model, *_) in INPUTS.items()
    for source in names.SOURCES[model]
    if source in golden.names(table[0])[0]
]
TENSORS = {"i3d": 287, "slowfast": 552, "tsn_resnet50": 267, "tsn_bninception": 416, "tpn": 317, "stgcn": 148}


def network(name: str, variant: str, shape, classes: int = 400):
    """(config.model, shapes of the variables)."""
    config = base.get_config().model
    config.update({"name": name, "variant": variant})
    return config, jax.tree.map(lambda leaf: leaf, _variables(name, variant, shape, classes))


@functools.cache  # tracing is most of the work here
def _variables(name: str, variant: str, shape, classes: int):
    config = base.get_config().model
    config.update({"name": name, "variant": variant})
    module = models.build(config, {"atomic": classes})
    clips = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), clips)


def shapes_in(table: str, column: str, source: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the published checkpoint of `source`."""
    column = "shape_tf" if source == "kinetics-i3d" else column
    return {row[source]: golden.shape_of(row[column]) for row in golden.names(table) if row[source]}


@pytest.mark.parametrize(("table", "column", "source"), SOURCES)
def test_every_tensor_of_every_source_finds_its_variable(table, column, source):
    config, variables = network(*INPUTS[table, column])
    shapes = shapes_in(table, column, source)
    fit = importer.match(shapes, config.name, variables, "atomic")
    assert fit.source == source
    assert not fit.missing
    assert not fit.mismatched
    assert not fit.unused
    assert sorted([*fit.taken.values(), *fit.gammas.values()]) == sorted(shapes)
    assert len(fit.taken) == len(jax.tree.leaves(variables))
    assert len(shapes) == (230 if source == "kinetics-i3d" else TENSORS[table])
    # The same variables as those that the first source's names lead to: row by row, the tables agree.
    first = next(iter(golden.names(table)[0]))
    reference = importer.match(shapes_in(table, column, first), config.name, variables, "atomic")
    translated = {row[source]: row[first] for row in golden.names(table)}
    assert {path: translated[name] for path, name in fit.taken.items()} == reference.taken
    # Behind the prefix of a wrapper they are found too, and beside a tensor that is no part of the network.
    prefix = "RGB/inception_i3d/" if source == "kinetics-i3d" else "module.model."
    behind = {prefix + name: shape for name, shape in shapes.items()} | {"queue": (3,)}
    wrapped = importer.match(behind, config.name, variables, "atomic")
    assert (wrapped.source, wrapped.prefix, wrapped.missing, wrapped.mismatched) == (source, prefix, [], [])
    assert wrapped.taken == {path: prefix + name for path, name in fit.taken.items()}
    assert wrapped.gammas == {path: prefix + name for path, name in fit.gammas.items()}
    assert wrapped.unused == {"queue": "not a tensor of this network"}
    assert f"names as in {source} with prefix {prefix!r}: " in importer.describe(wrapped)


def tensorflow_i3d() -> dict[str, np.ndarray]:
    """The formula's checkpoint under TensorFlow's names and in its layout."""
    tensors, found = golden.state_dict("i3d", "shape"), {}
    for row in golden.names("i3d"):
        tensor = tensors[row["pytorch-i3d"]]
        if row["kinetics-i3d"]:  # it has no gammas
            found[row["kinetics-i3d"]] = np.moveaxis(tensor, (0, 1), (-1, -2)) if tensor.ndim == 5 else tensor
    return found


def test_tensorflows_layout_and_pytorchs_come_to_the_same(tmp_path):
    config, variables = network("i3d", "", (16, 64, 64, 3))
    torch, _ = importer.load(save(tmp_path / "t.npz", golden.state_dict("i3d", "shape")), config, variables, "atomic")
    tensorflow, fit = importer.load(save(tmp_path / "f.npz", tensorflow_i3d()), config, variables, "atomic")
    assert fit.source == "kinetics-i3d"
    jax.tree.map(np.testing.assert_array_equal, tensorflow, torch)


def test_names_of_a_source_are_distinct():
    for table, column in INPUTS:
        config, variables = network(*INPUTS[table, column])
        for name_of in names.SOURCES[config.name].values():
            every = [
                name_of(path) for collection in variables.values() for path in traverse_util.flatten_dict(collection)
            ]
            if table == "tsn_bninception" and name_of is names.tsn_mmaction2:
                continue  # it has no BN-Inception
            assert len(set(every)) == len(every)


@pytest.fixture(scope="module")
def stgcn_network():
    return network("stgcn", "openpose18", (2, 16, 18, 3))


@pytest.fixture
def stgcn_tensors():
    return golden.state_dict("stgcn", "shape")


def save(path, tensors):
    np.savez(path, **tensors)
    return path


def test_heads_stay_new(stgcn_network, stgcn_tensors, tmp_path):
    config, _ = stgcn_network
    _, variables = network("stgcn", "openpose18", (2, 16, 18, 3), classes=7)
    loaded, fit = importer.load(save(tmp_path / "w.npz", stgcn_tensors), config, variables)
    assert fit.unused == dict.fromkeys(["fcn.weight", "fcn.bias"], "classification layer")
    assert loaded["params"]["Logits"] == variables["params"]["Logits"]
    assert isinstance(loaded["params"]["block3"]["gcn_conv"]["kernel"], np.ndarray)


def test_a_file_of_tsm_as_its_authors_publish_it():
    """DataParallel's prefix, and `.net` behind the convolutions that see shifted features."""
    _, variables = network("tsn", "tsm", (8, 64, 64, 3))
    published = {}
    for name, shape in shapes_in("tsn_resnet50", "shape", "tsn-pytorch").items():
        if name.startswith("base_model.layer") and name.endswith(".conv1.weight"):
            name = name.replace("conv1.weight", "conv1.net.weight")
        published[f"module.{name}"] = shape
    fit = importer.match(published, "tsn", variables, "atomic")
    assert fit.fits
    assert (fit.source, fit.prefix, fit.unused) == ("tsn-pytorch", "module.", {})
    assert "'.net', which TSM inserts into names, removed from 16" in importer.describe(fit)


def test_tsms_wrapper_is_taken_off():
    assert names.clean("base_model.layer1.0.conv1.net.weight") == "base_model.layer1.0.conv1.weight"
    assert names.clean("backbone.layer1.0.conv1.conv.net.weight") == "backbone.layer1.0.conv1.conv.weight"


def test_kinetics_600s_extra_dimensions_and_slots(tmp_path):
    config, variables = network("i3d", "", (16, 64, 64, 3))
    tensors = {}
    for name, tensor in tensorflow_i3d().items():
        tensors[name] = tensor.reshape(1, 1, 1, 1, -1) if "batch_norm" in name else tensor
        if "moving" not in name:
            tensors[f"{name}/Momentum"] = tensors[name]
    assert len(tensors) == 230 + 116
    loaded, fit = importer.load(save(tmp_path / "w.npz", tensors), config, variables, "atomic")
    assert set(fit.unused.values()) == {"optimizer state"}
    assert len(fit.unused) == 116
    assert loaded["params"]["Mixed_5b"]["Branch_2"]["Conv3d_0a_3x3"]["batch_norm"]["bias"].shape == (128,)


def test_what_is_missing_is_named_with_the_nearest_in_the_file(stgcn_network, stgcn_tensors, tmp_path):
    config, variables = stgcn_network
    stgcn_tensors["st_gcn_networks.3.tcn.2.wieght"] = stgcn_tensors.pop("st_gcn_networks.3.tcn.2.weight")
    del stgcn_tensors["data_bn.bias"]
    with pytest.raises(WeightsError) as error:
        importer.load(save(tmp_path / "w.npz", stgcn_tensors), config, variables)
    message = str(error.value)
    assert "missing: data_bn.bias" in message
    assert "missing: st_gcn_networks.3.tcn.2.weight (nearest in the file: st_gcn_networks.3.tcn.2.wieght)" in message
    assert "not a tensor of this network: 1 (st_gcn_networks.3.tcn.2.wieght)" in message


def test_every_shape_that_differs_is_named(stgcn_network, stgcn_tensors, tmp_path):
    config, variables = stgcn_network
    stgcn_tensors["data_bn.bias"] = np.zeros(51)
    stgcn_tensors["st_gcn_networks.3.tcn.2.weight"] = np.zeros((64, 64, 3, 1))
    with pytest.raises(WeightsError) as error:
        importer.load(save(tmp_path / "w.npz", stgcn_tensors), config, variables)
    assert "shape: data_bn.bias is 51 in the file, 54 here" in str(error.value)
    assert "shape: st_gcn_networks.3.tcn.2.weight is 64x64x3x1 in the file, 9x1x64x64 here" in str(error.value)


def test_a_foreign_checkpoint_is_said_not_to_fit(stgcn_tensors, tmp_path):
    config, variables = network("tsn", "resnet50", (3, 64, 64, 3))
    with pytest.raises(WeightsError, match="does not fit tsn resnet50"):
        importer.load(save(tmp_path / "w.npz", stgcn_tensors), config, variables)


def test_flow_weights_do_not_fit_an_rgb_network(tmp_path):
    config, variables = network("slowfast", "4x16", (32, 64, 64, 3))
    tensors = golden.state_dict("slowfast", "shape_4x16", channels=2)
    with pytest.raises(WeightsError, match=r"s1\.pathway0_stem\.conv\.weight is 64x2x1x7x7.*1x7x7x3x64 here"):
        importer.load(save(tmp_path / "w.npz", tensors), config, variables)


@pytest.mark.parametrize("name", ["A", "backbone.gcn.0.gcn.A"])
def test_the_graph_that_a_file_was_trained_on_is_compared(stgcn_network, stgcn_tensors, tmp_path, name):
    config, variables = stgcn_network
    stgcn_tensors[name] = spatial_adjacency(SKELETONS["openpose18"], "released")
    _, fit = importer.load(save(tmp_path / "w.npz", stgcn_tensors), config, variables)
    assert fit.unused[name] == "adjacency (compared)"
    config = config.copy_and_resolve_references()
    config.partition = "paper"
    with pytest.raises(WeightsError, match=rf"another graph: {name} is not .*partition='paper'") as error:
        importer.load(tmp_path / "w.npz", config, variables)
    assert "set config.model.variant='openpose18', config.model.partition='released'" in str(error.value)


def test_a_gamma_is_folded_so_that_evaluation_stays_the_same(tmp_path):
    """With running statistics, BatchNorm with gamma equals our BatchNorm behind a scaled kernel."""
    config, variables = network("i3d", "", (8, 32, 32, 3))
    tensors = golden.state_dict("i3d", "shape")
    gammas = [name for name in tensors if name.endswith("bn.weight")]
    assert len(gammas) == 57
    plain, _ = importer.load(save(tmp_path / "plain.npz", tensors), config, variables, "atomic")
    gamma = np.linspace(-1, 2, 64)
    tensors["Conv3d_1a_7x7.bn.weight"] = gamma
    folded, fit = importer.load(save(tmp_path / "scaled.npz", tensors), config, variables, "atomic")
    assert len(fit.gammas) == 57
    unit = models.i3d.Unit3D(64, (7, 7, 7), (2, 2, 2), dtype=jnp.float32)
    clips = golden.clips(1, 3, 8, 16, 16)

    def normalized(values):
        parts = {name: values[name]["Conv3d_1a_7x7"] for name in ("params", "batch_stats")}
        parts["params"] = {**parts["params"], "batch_norm": {"bias": np.full(64, 100.0, np.float32)}}  # above ReLU
        return np.asarray(unit.apply(parts, clips, train=False)) - 100

    np.testing.assert_allclose(normalized(folded), normalized(plain) * gamma, atol=2e-4)


def test_training_starts_from_a_checkpoint_with_new_heads(tmp_path):
    config = stgcn.get_config("openpose18")
    model = models.build(config.model, {"atomic": 7})
    fresh = init_state(0, (2, 8, 18, 3), init=initializer(model), optimizer=optax.sgd(0.1))
    path = save(tmp_path / "w.npz", golden.state_dict("stgcn", "shape"))
    started, fit = importer.start_from(path, config.model, fresh)
    assert len(fit.taken) == 146
    expected = golden.weight("st_gcn_networks.4.residual.0.weight", (128, 64, 1, 1))[:, :, 0, 0].T
    np.testing.assert_allclose(started.params["block4"]["residual_conv"]["kernel"][0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        started.params["Logits"]["atomic"]["kernel"], fresh.params["Logits"]["atomic"]["kernel"]
    )
    assert jax.tree.structure(started) == jax.tree.structure(fresh)


def test_the_command_lists_and_compares(tmp_path, capsys):
    path = save(tmp_path / "w.npz", golden.state_dict("stgcn", "shape"))
    assert command.report(str(path))
    assert command.report(str(path), stgcn.get_config("openpose18"))
    printed = capsys.readouterr().out
    assert "st_gcn_networks.0.tcn.2.weight" in printed
    assert "148 tensors" in printed
    assert "It fits config.model.name='stgcn'" in printed
    assert not command.report(str(path), stgcn.get_config(""))  # 17 joints
    assert not command.report(str(path), i3d.get_config(""))
    assert "does not fit" in capsys.readouterr().out


REFERENCE = pathlib.Path(__file__).resolve().parents[3] / "shared" / "reference"


@pytest.mark.skipif(not REFERENCE.exists(), reason="the listings of DeepMind's checkpoints are not here")
@pytest.mark.parametrize("name", ["rgb_imagenet", "rgb_scratch", "flow_imagenet", "flow_scratch", "rgb_scratch_kin600"])
def test_deepminds_own_listings(name):
    with open(REFERENCE / f"i3d_tf_{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["dtype"] for row in rows} == {"float32"}
    shapes = {row["name"]: golden.shape_of(row["shape"]) for row in rows}
    channels, classes = 2 if "flow" in name else 3, 600 if "kin600" in name else 400
    _, variables = network("i3d", "", (16, 64, 64, channels), classes)
    fit = importer.match(shapes, "i3d", variables, "atomic")
    assert fit.source == "kinetics-i3d"
    assert fit.prefix == ("" if "kin600" in name else f"{'Flow' if 'flow' in name else 'RGB'}/inception_i3d/")
    assert not fit.missing
    assert not fit.mismatched
    assert len(fit.taken) == 230
    assert set(fit.unused.values()) <= {"optimizer state"}
    assert len(fit.unused) == (116 if "kin600" in name else 0)
