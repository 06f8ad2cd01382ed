"""What `python -m haa_jax.weights FILE --config=` says of a file is what `config.init_from` does with it."""

import jax
import ml_dtypes
import numpy as np
import pytest
from flax import traverse_util

from haa_jax import models
from haa_jax.configs import stgcn
from haa_jax.models.skeleton import SKELETONS, spatial_adjacency
from haa_jax.weights import __main__ as command
from haa_jax.weights import faults, fit, importer, names
from haa_jax.weights.readers import WeightsError, read
from tests.weights.test_readers import TorchFile, torch_bytes

TAKEN = 146


def narrow():
    """ST-GCN on OpenPose's joints, a sixteenth as wide."""
    config = stgcn.get_config("openpose18")
    config.model.width = 0.0625
    return config


@pytest.fixture(scope="module")
def variables():
    return command.abstract_variables(narrow())


def published(variables) -> dict[str, np.ndarray]:
    """A file of that network as yysijie/st-gcn would write it: names, layout, graph and counters."""
    rng, found = np.random.default_rng(0), {}
    for path, leaf in traverse_util.flatten_dict(variables).items():
        shape = leaf.shape if path[-1] != "kernel" else (*leaf.shape[:-3:-1], *leaf.shape[:-2])
        found[names.stgcn_yysijie(path[1:])] = rng.uniform(0.5, 1, shape).astype(np.float32)
    counters = {"data_bn.num_batches_tracked": np.array(7)}
    return found | {"A": spatial_adjacency(SKELETONS["openpose18"], "released")} | counters


@pytest.fixture
def tensors(variables):
    return published(variables)


def behind(prefix: str):
    return lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()}


def as_type(dtype):
    return lambda tensors: {n: t.astype(dtype) if t.dtype == np.float32 else t for n, t in tensors.items()}


def changed(**changes):
    """One number of each tensor, its last, is another; dots are written as two underscores."""

    def change(tensors):
        tensors = {name: tensor.copy() for name, tensor in tensors.items()}
        for name, value in changes.items():
            name = name.replace("__", ".")
            dtype = tensors[name].dtype if abs(value) <= 3e38 or value != value else np.float64
            tensors[name] = tensors[name].astype(dtype)
            tensors[name].reshape(-1)[-1] = value
        return tensors

    return change


def without(*left_out: str):
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if name not in left_out}


def with_graph(variant: str, partition: str, dtype=np.float32):
    return lambda tensors: tensors | {"A": spatial_adjacency(SKELETONS[variant], partition).astype(dtype)}


WEIGHT, MEAN = "st_gcn_networks.3.tcn.2.weight", "st_gcn_networks.3.tcn.3.running_mean"
GOOD = {  # what is done to a file that fits -> what the account says then
    "as it is": (lambda tensors: tensors, "names as in st-gcn: 146 tensors taken, 0 missing"),
    "DataParallel": (behind("module."), "names as in st-gcn with prefix 'module.': 146 tensors taken, 0 missing"),
    "twice": (behind("module.module."), "with prefix 'module.module.'"),
    "Lightning": (behind("model."), "with prefix 'model.'"),
    "compiled": (behind("_orig_mod."), "with prefix '_orig_mod.'"),
    "nested": (behind("net."), "with prefix 'net.'"),
    "all of them": (behind("module._orig_mod.net.model."), "with prefix 'module._orig_mod.net.model.'"),
    "a stray beside": (lambda t: behind("module.")(t) | {"queue": t["A"]}, "not a tensor of this network: 1 (queue)"),
    "double": (as_type(np.float64), "adjacency (compared): 1 (A)"),
    "half": (as_type(np.float16), "adjacency (compared): 1 (A)"),
    "bfloat16": (as_type(ml_dtypes.bfloat16), "adjacency (compared): 1 (A)"),
    "average beside, without statistics": (
        lambda t: behind("model.")(t) | behind("ema.")({n: x for n, x in t.items() if "running" not in n}),
        "not used, another copy of the network, with prefix 'ema.': ",
    ),
    "a NaN that is not used": (changed(fcn__bias=np.nan), "146 tensors taken"),
}
BAD = {
    "a NaN": (changed(**{WEIGHT.replace(".", "__"): np.nan}), f"not finite: {WEIGHT} (1 of 144)\n"),
    "NaN and infinity": (
        changed(**{WEIGHT.replace(".", "__"): np.nan, MEAN.replace(".", "__"): -np.inf}),
        f"not finite: {MEAN} (1 of 4)\n",
    ),
    "too large for float32": (changed(data_bn__bias=1e200), "not finite: data_bn.bias (1 of 54)"),
    "a negative variance": (changed(data_bn__running_var=-1.0), "a negative variance: data_bn.running_var"),
    "quantized": (lambda t: t | {WEIGHT: t[WEIGHT].astype(np.int8)}, f"not floating-point: {WEIGHT} (int8)"),
    "another graph": (
        with_graph("openpose18", "paper"),
        "What to do: set config.model.variant='openpose18', config.model.partition='paper'",
    ),
    "another graph in half": (with_graph("openpose18", "paper", np.float16), "partition='paper'"),
    "another graph in bfloat16": (with_graph("openpose18", "paper", ml_dtypes.bfloat16), "partition='paper'"),
    "another skeleton": (
        with_graph("coco17", "released"),
        "What to do: set config.model.variant='coco17', config.model.partition='released'",
    ),
    "no graph of ours": (lambda t: t | {"A": t["A"] + np.float32(1e-3)}, "this one has another"),
    "a NaN in the graph": (changed(A=np.nan), "another graph: A is not that of"),
    "missing": (without(WEIGHT), f"missing: {WEIGHT}\n"),
    "another shape": (lambda t: t | {MEAN: t[MEAN][:3]}, f"shape: {MEAN} is 3 in the file, 4 here"),
    "twice in one": (
        lambda t: behind("model.")(t) | behind("ema.module.")(t),
        "it has the network 2 times, with the prefixes 'model.' and 'ema.module.'; save only",
    ),
    "two that would be one": (
        lambda t: t | {WEIGHT.replace("tcn.", "tcn.net."): t[WEIGHT]},
        f"two of its tensors, {WEIGHT} and st_gcn_networks.3.tcn.net.2.weight, would be the same tensor",
    ),
    "another network": (
        lambda t: {f"encoder.layer{n}.dense": x for n, x in enumerate(t.values())},
        "none of its names is known for config.model.name='stgcn'; in the file: encoder.layer0.dense, ",
    ),
}


def verdicts(path, capsys, config, variables):
    """(whether the report says that it fits, the account in the report, whether it is loaded, the account of that)."""
    fits = command.report(str(path), config)
    printed = capsys.readouterr().out
    assert ("It fits" in printed) == fits
    assert ("It does not fit" in printed) == (not fits)
    try:
        _, account = importer.load(path, config.model, variables)
        return fits, printed, True, importer.describe(account)
    except WeightsError as error:
        return fits, printed, False, str(error).partition(":\n")[2]


@pytest.mark.parametrize("case", [*GOOD, *BAD])
def test_the_report_says_what_loading_does(case, variables, tensors, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "abstract_variables", lambda config: variables)  # which takes time
    change, said = (GOOD | BAD)[case]
    (tmp_path / "w.pt").write_bytes(torch_bytes("zip", change(tensors)))
    fits, printed, loaded, account = verdicts(tmp_path / "w.pt", capsys, narrow(), variables)
    assert fits == loaded == (case in GOOD)
    assert account
    assert account in printed
    assert said in account + "\n"
    assert ("What to do: " in account or "save " in account) == (case in BAD)


def test_every_tensor_that_is_not_finite_is_named(variables, tensors, tmp_path):
    spoilt = [name for name in tensors if name.endswith(("running_mean", "tcn.2.weight"))]
    for name in spoilt:
        tensors[name] = np.full_like(tensors[name], np.nan)
    np.savez(tmp_path / "w.npz", **tensors)
    with pytest.raises(WeightsError) as error:
        importer.load(tmp_path / "w.npz", narrow().model, variables)
    assert len(spoilt) > 20
    assert all(
        f"not finite: {name} ({tensors[name].size} of {tensors[name].size})" in str(error.value) for name in spoilt
    )
    assert str(error.value).count("What to do: use another file or an earlier checkpoint") == 1


@pytest.mark.parametrize("prefix", ["module.module.", "net.", "model._orig_mod."])
def test_the_same_numbers_are_loaded_from_behind_a_prefix(variables, tensors, tmp_path, prefix):
    np.savez(tmp_path / "plain.npz", **tensors)
    np.savez(tmp_path / "wrapped.npz", **behind(prefix)(tensors))
    plain, wrapped = (
        importer.load(tmp_path / f"{name}.npz", narrow().model, variables)[0] for name in ("plain", "wrapped")
    )
    kept = {path for path in traverse_util.flatten_dict(variables) if not models.is_head("stgcn", path[1:])}
    plain, wrapped = traverse_util.flatten_dict(plain), traverse_util.flatten_dict(wrapped)
    assert len(kept) == TAKEN
    assert all(np.array_equal(plain[path], wrapped[path]) for path in kept)


def test_which_weights_are_taken_where_an_average_of_them_is_beside(variables, tensors, tmp_path, capsys):
    file = TorchFile("zip")
    raw, average = ({name: file.tensor(tensor + step) for name, tensor in tensors.items()} for step in (0, 0))
    (tmp_path / "w.pt").write_bytes(file.write({"model": raw, "model_ema": average, "optimizer": {"m": raw["A"]}}))
    assert command.report(str(tmp_path / "w.pt"), narrow())
    printed = capsys.readouterr().out
    assert "left out: model_ema ('model' is read instead; to use what was left out, save it alone" in printed
    assert "left out: optimizer (optimizer state)" in printed
    assert command.report(str(tmp_path / "w.pt"))  # without a config too
    assert "model_ema" in capsys.readouterr().out


def test_between_two_networks_in_a_file_their_shapes_decide(variables, tensors):
    wide = {f"wide.{name}": (9, *tensor.shape[1:]) for name, tensor in tensors.items()}
    narrow_ones = {f"narrow.{name}": tensor.shape for name, tensor in tensors.items()}
    account = importer.match(wide | narrow_ones, "stgcn", variables)
    assert (account.prefix, account.mismatched, account.faults) == ("narrow.", [], ())


def test_the_tolerance_of_a_graph_lies_between_rounding_and_another_graph():
    graphs = {
        (variant, partition): spatial_adjacency(SKELETONS[variant], partition)
        for variant in SKELETONS
        for partition in ("released", "paper")
    }
    for ours, graph in graphs.items():
        for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
            assert [other for other in graphs if faults._is_graph(graph.astype(dtype), *other)] == [ours]
    nearly = graphs["coco17", "released"] + np.float32(2e-5)
    assert not faults._is_graph(nearly, "coco17", "released")
    assert faults._is_graph(nearly.astype(np.float16), "coco17", "released")


def test_a_gamma_of_another_shape_does_not_fit():
    """Our I3D has none: it is folded into what it has."""
    from haa_jax.configs import i3d

    config = i3d.get_config()
    config.model.width = 0.0625
    variables = command.abstract_variables(config)
    shapes = {}
    for path, leaf in traverse_util.flatten_dict(variables).items():
        shape = leaf.shape if path[-1] != "kernel" else (*leaf.shape[:-3:-1], *leaf.shape[:-2])
        shapes[names.i3d_piergiaj(path[1:])] = shape
    gamma = "Conv3d_1a_7x7.bn.weight"
    assert importer.match(shapes | {gamma: (4,)}, "i3d", variables).fits
    assert importer.match(shapes | {gamma: (3,)}, "i3d", variables).mismatched == [(gamma, (3,), (4,))]


def test_a_network_without_published_names(variables, tensors, tmp_path, monkeypatch):
    """A new architecture can start from a run of ours, and from nothing else."""
    monkeypatch.setitem(models.MODELS, "mine", models.stgcn)
    config = narrow().model
    config.name = "mine"
    np.savez(tmp_path / "w.npz", **tensors)
    with pytest.raises(WeightsError, match="no published weights are known for config.model.name='mine'") as error:
        importer.load(tmp_path / "w.npz", config, variables)
    assert "What to do: start from the workdir of a run of this network, or add the file's names to SOURCES" in str(
        error.value
    )
    ours = {"/".join(path[1:]): leaf.shape for path, leaf in traverse_util.flatten_dict(variables).items()}
    assert importer.match(ours, "mine", variables).fits
    assert jax.tree.structure(importer.match(ours, "mine", variables).taken).num_leaves == TAKEN


def test_the_listing_names_tensors_as_the_file_does(tensors, tmp_path):
    np.savez(tmp_path / "w.npz", **behind("module.")(tensors))
    assert read(tmp_path / "w.npz").tensors.keys() == {f"module.{name}" for name in tensors}
    assert fit.Fit("x", "", {}, [], [], {}, {}).fits
