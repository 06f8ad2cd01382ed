"""Weight files of every format, written here byte by byte (PyTorch is not installed where the tests run)."""

import dataclasses
import functools
import io
import logging
import os
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors

from haa_jax.weights import safe_pickle, stand_ins, torch_file
from haa_jax.weights.readers import WeightsError, read_tensors

# A writer of pickles, protocol 2, that can name functions which are not installed


@dataclasses.dataclass(frozen=True)
class Call:
    """What a pickle calls: a dotted name and its arguments."""

    name: str
    args: tuple = ()
    state: object = None  # handed over afterwards, as by __setstate__


@dataclasses.dataclass(frozen=True)
class Name:
    name: str


@dataclasses.dataclass(frozen=True)
class Reference:
    to: tuple


def encode(value) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(number)]) + number
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case bytes():  # as Python 2 wrote them
            return b"T" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(encode, value)) + b"t"
        case list():
            return b"](" + b"".join(map(encode, value)) + b"e"
        case dict():
            return b"}(" + b"".join(encode(key) + encode(each) for key, each in value.items()) + b"u"
        case Name():
            return b"c" + "{}\n{}\n".format(*value.name.rsplit(".", 1)).encode()
        case Reference():
            return encode(value.to) + b"Q"
        case Call():
            state = b"" if value.state is None else encode(value.state) + b"b"
            return encode(Name(value.name)) + encode(value.args) + b"R" + state
    raise TypeError(value)


def dumps(value) -> bytes:
    return b"\x80\x02" + encode(value) + b"."


KINDS = {  # dtype -> torch's storage
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
}


class TorchFile:
    """Collects the storages of a PyTorch file while its tree is made, and writes both."""

    def __init__(self, layout: str):
        self.storages: dict[str, np.ndarray] = {}
        self._layout = layout

    def store(self, array: np.ndarray, count: int | None = None) -> Reference:
        """`count`: the size to claim, if it is to be a lie."""
        key = str(94_000_000 + len(self.storages))
        self.storages[key] = array
        kind = Name(f"torch.{KINDS[array.dtype.name]}Storage")
        view = (None,) if self._layout == "legacy" else ()
        return Reference(("storage", kind, key, "cpu", array.size if count is None else count, *view))

    def tensor(self, array: np.ndarray) -> Call:
        array = np.asarray(array)
        return window(self.store(array.ravel()), 0, array.shape, [s // array.itemsize for s in array.strides])

    def write(self, tree, byteorder: str = "little") -> bytes:
        return self._legacy(tree, byteorder) if self._layout == "legacy" else self._zip(tree, byteorder)

    def _legacy(self, tree, byteorder: str) -> bytes:
        """The layout of PyTorch 0.4 to 1.5."""
        sizes = {"short": 2, "int": 4, "long": 4}
        system = {"protocol_version": 1001, "little_endian": byteorder == "little", "type_sizes": sizes}
        data = dumps(torch_file.LEGACY_MAGIC) + dumps(1001) + dumps(system) + dumps(tree)
        data += dumps(sorted(self.storages))
        for _, array in sorted(self.storages.items()):
            data += struct.pack("<q", array.size) + array.tobytes()
        return data

    def _zip(self, tree, byteorder: str) -> bytes:
        """The layout of PyTorch 1.6 and later."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("net/data.pkl", dumps(tree))
            archive.writestr("net/byteorder", byteorder)
            for key, array in self.storages.items():
                archive.writestr(f"net/data/{key}", array.tobytes())
            archive.writestr("net/version", b"3\n")
        return file.getvalue()


def window(storage: Reference, offset: int, shape, strides, function="_rebuild_tensor_v2") -> Call:
    rest = () if function == "_rebuild_tensor" else (False, Call("collections.OrderedDict"))
    return Call(f"torch._utils.{function}", (storage, offset, tuple(shape), tuple(strides), *rest))


LAYOUTS = ("legacy", "zip")
BASE = np.arange(24, dtype=np.float32) / 2


def small() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.normal(size=(2, 3, 1, 2)).astype(np.float32),
        "bn.running_mean": rng.normal(size=3),
        "bn.num_batches_tracked": np.array(7),
    }


def torch_bytes(layout: str, tensors: dict[str, np.ndarray]) -> bytes:
    file = TorchFile(layout)
    return file.write({name: file.tensor(array) for name, array in tensors.items()})


def npz_bytes(tensors: dict[str, np.ndarray], save=np.savez) -> bytes:
    file = io.BytesIO()
    save(file, **tensors)
    return file.getvalue()


def safetensors_bytes(tensors: dict[str, np.ndarray]) -> bytes:
    """A length, a JSON header, the elements."""
    specs = {
        name: safetensors.TensorSpec(dtype=a.dtype.name, shape=a.shape, data_ptr=a.ctypes.data, data_len=a.nbytes)
        for name, a in tensors.items()
    }
    return bytes(safetensors.serialize(specs))


def caffe2_tree(tensors: dict[str, np.ndarray]) -> dict:
    """As Python 2 pickled it: bytes as text, dtypes with a byte order in their state."""
    blobs = {}
    for name, array in tensors.items():
        dtype = Call("numpy.dtype", (array.dtype.str[1:], 0, 1), (3, "<", None, None, None, -1, -1, 0))
        state = (1, array.shape, dtype, False, array.tobytes())
        blobs[name] = Call("numpy.core.multiarray._reconstruct", (Name("numpy.ndarray"), (0,), b"b"), state)
    return {"blobs": blobs, "cfg": "MODEL: slowfast"}


WRITERS = {
    "legacy": functools.partial(torch_bytes, "legacy"),
    "zip": functools.partial(torch_bytes, "zip"),
    "npz": npz_bytes,
    "compressed npz": functools.partial(npz_bytes, save=np.savez_compressed),
    "safetensors": safetensors_bytes,
    "caffe2": lambda tensors: dumps(caffe2_tree(tensors)),
    "pickle protocol 4": lambda tensors: pickle.dumps(tensors, 4),
    "pickle protocol 5": lambda tensors: pickle.dumps(tensors, 5),
}
CHECKSUMMED = ("zip", "npz", "compressed npz")


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file whose name says nothing."""

    def read_bytes(data: bytes) -> dict[str, np.ndarray]:
        (tmp_path / "weights").write_bytes(data)
        return read_tensors(tmp_path / "weights")

    return read_bytes


@pytest.fixture
def problem(tmp_path, read):
    """What the error says of the file that it names."""

    def problem_of(data: bytes) -> str:
        with pytest.raises(WeightsError) as error:
            read(data)
        path, message = str(tmp_path / "weights"), str(error.value)
        assert path in message
        return message.replace(path, "")

    return problem_of


def assert_same(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape), name
        assert tensors[name].tobytes() == array.tobytes(), name


# What is read


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_tensors_back(read, name):
    assert_same(read(WRITERS[name](small())), small())


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in ("legacy", "zip", "safetensors")
        for dtype in KINDS
        if (name, dtype) != ("safetensors", "complex128")  # which it does not have
    ],
)
def test_every_dtype(read, name, dtype):
    array = np.array([[0, 1, 2], [100, 4, 0]]).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert_same(read(WRITERS[name]({"x": array})), {"x": array})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_on_a_shared_storage(read, layout):
    file = TorchFile(layout)
    storage = file.store(BASE)
    tree = {
        "whole": window(storage, 0, (2, 3, 4), (12, 4, 1)),
        "slice": window(storage, 13, (3, 2), (4, 1)),
        "transposed": window(storage, 0, (4, 3, 2), (1, 4, 12), "_rebuild_tensor"),
        "expanded": window(storage, 5, (3, 2), (0, 0)),
        "scalar": window(storage, 23, (), ()),
        "empty": window(storage, 24, (0, 3), (3, 1)),
        "parameter": Call("torch._utils._rebuild_parameter", (window(storage, 1, (2,), (2,)), True, {})),
    }
    tensors = read(file.write(tree))
    cube = BASE.reshape(2, 3, 4)
    expected = {
        "whole": cube,
        "slice": cube[1, :, 1:3],
        "transposed": cube.transpose(2, 1, 0),
        "expanded": np.full((3, 2), BASE[5]),
        "scalar": BASE[23],
        "empty": np.zeros((0, 3), np.float32),
        "parameter": BASE[[1, 3]],
    }
    assert_same(tensors, expected)


def wrapped(tree):
    """A training checkpoint as published code writes it."""
    return {
        "epoch": 7,
        "best_acc": 41.5,
        "arch": "resnet50",
        "args": Call("argparse.Namespace", (), {"lr": 0.1}),
        "cfg": Call("fvcore.common.config.CfgNode"),
        "counts": Call("collections.defaultdict", (Name("__builtin__.long"),)),  # of int, at protocol 2
        "state_dict": tree,
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_network_is_taken_out_of_a_training_checkpoint(read, layout, caplog):
    file = TorchFile(layout)
    state = {"state": {0: {"momentum_buffer": file.tensor(np.ones(3))}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    network = {name: file.tensor(array) for name, array in small().items()}
    average = {name: file.tensor(array) for name, array in small().items()}
    with caplog.at_level(logging.INFO):
        tensors = read(file.write(wrapped(network) | {"optimizer": state, "state_dict_ema": average}))
    assert_same(tensors, small())
    assert "left out: optimizer (optimizer state)" in caplog.text
    assert "left out: state_dict_ema ('state_dict' is read instead; to use what was left out, save it" in caplog.text


@pytest.mark.parametrize("key", ["state_dict", "model_state", "model_state_dict", "model", "params", "blobs"])
def test_wrappers(read, key):
    file = TorchFile("zip")
    nested = {"a": {"weight": file.tensor(BASE)}, "b": [file.tensor(BASE[:2])], "name": "x"}
    assert_same(read(file.write({key: nested, "epoch": 3})), {"a.weight": BASE, "b.0": BASE[:2]})


def test_statistics_beside_params_are_kept(read):
    tree = {"params": {"kernel": BASE}, "batch_stats": {"mean": BASE[:2]}, "opt_state": {}, "optimizer": {"m": BASE}}
    assert_same(read(pickle.dumps(tree)), {"params.kernel": BASE, "batch_stats.mean": BASE[:2]})


def test_what_is_no_tensor_is_not_kept():
    """An Opaque takes everything that a pickle can do to an object, and has nowhere to put it."""
    data = dumps({"args": Call("argparse.Namespace", (1, 2), {"lr": 0.1}), "x": 1})
    tree, _, _ = safe_pickle.unpickle(data)
    assert isinstance(tree["args"], stand_ins.Opaque)
    assert not hasattr(tree["args"], "__dict__")


# What is refused


ATTACKS = {
    "system": lambda path: Call("os.system", (f"touch {path}",)),
    "posix": lambda path: Call("posix.mkdir", (str(path),)),
    "eval": lambda path: Call("builtins.eval", (f"__import__('os').mkdir({str(path)!r})",)),
    "exec": lambda path: Call("__builtin__.exec", (f"import os; os.mkdir({str(path)!r})",)),
    "getattr": lambda path: Call("builtins.getattr", (Call("builtins.__import__", ("os",)), "mkdir")),
    "runstring": lambda path: Call("numpy.testing._private.utils.runstring", (f"open({str(path)!r}, 'w')", {})),
    "torch.load": lambda path: Call("torch.storage._load_from_bytes", (b"",)),
    "hub": lambda path: Call("torch.hub.load", (str(path), "x")),
}


@pytest.mark.parametrize("place", ["plain", "legacy", "zip", "optimizer"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_code_is_refused_by_name_and_not_run(tmp_path, problem, attack, place):
    marker, file = tmp_path / "marker", TorchFile("legacy" if place == "legacy" else "zip")
    call = ATTACKS[attack](marker)
    tree = {"state_dict": {"x": file.tensor(BASE)}, "extra": call}
    if place == "optimizer":
        tree = {"state_dict": {"x": file.tensor(BASE)}, "optimizer": {"state": {0: [{"m": (call,)}]}}}
    message = problem(dumps(call) if place == "plain" else file.write(tree))
    assert call.name in message
    assert "not executed" in message
    assert not marker.exists()


class MakesFolder:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_real_attack(tmp_path, problem, protocol):
    """Python itself would run it."""
    marker = tmp_path / "marker"
    data = pickle.dumps({"x": BASE, "optimizer": {"state": MakesFolder(marker)}}, protocol)
    assert "posix.mkdir" in problem(data)
    assert not marker.exists()
    pickle.loads(data)
    assert marker.exists()


TAMPERED = {  # state that a pickle tries to put on what it was given
    "tensor": lambda file: dataclasses.replace(file.tensor(BASE), state={"offset": -(10**6)}),
    "slots": lambda file: dataclasses.replace(file.tensor(BASE), state=(None, {"shape": (10**6,)})),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_checked_tensor_cannot_be_changed(problem, kind):
    file = TorchFile("zip")
    assert "Tensor has no state" in problem(file.write({"x": TAMPERED[kind](file)}))


@pytest.mark.parametrize("name", ["torch._utils._rebuild_tensor_v2", "collections.OrderedDict", "numpy.dtype"])
def test_a_function_cannot_be_changed(problem, name):
    before = dict(vars(safe_pickle._ALLOWED[name]))
    problem(b"\x80\x02" + encode(Name(name)) + encode((None, {"__init__": 1, "_function": 1})) + b"b.")
    assert vars(safe_pickle._ALLOWED[name]) == before


FLOAT8 = Call(
    "torch._utils._rebuild_tensor_v3",
    (Reference(("storage", Name("torch.storage.UntypedStorage"), "0", "cpu", 4)), 0, (4,), (1,), False, {}),
)
LAYER = Call("torch.nn.modules.conv.Conv2d", (), {"training": True, "_state_dict_hooks": {}})
MODEL = Call("mynet.Net", (), {"conv": LAYER})
LOADED = "torch.load(FILE, map_location='cpu', weights_only=False)"
WHOLE = (
    f"A whole pickled model was saved; if you trust who made it, load it, {LOADED}, and save the model's state_dict()"
)
ASKING = {  # what a file of PyTorch's holds beside or instead of plain tensors -> what to do
    "whole model": (MODEL, [WHOLE]),
    "model in a dict": ({"epoch": 3, "model": MODEL}, ["mynet.Net, torch.nn.modules.conv.Conv2d", WHOLE]),
    "Lightning": (
        {"state_dict": {}, "hyper_parameters": Call("omegaconf.dictconfig.DictConfig", (), {"lr": 0.1})},
        [
            "omegaconf.dictconfig.DictConfig",
            f"save its tensors alone: torch.save({LOADED}['state_dict'], 'weights.pt')",
        ],
    ),
    "Lightning with a loss": (
        {"state_dict": {}, "hyper_parameters": {"loss": Call("torch.nn.modules.loss.CrossEntropyLoss")}},
        [
            "torch.nn.modules.loss.CrossEntropyLoss",
            f"save its tensors alone: torch.save({LOADED}['state_dict'], 'weights.pt')",
        ],
    ),
    "fp8": ({"x": FLOAT8}, ["dtype that is not known here: save each tensor's float() with PyTorch"]),
    "quantized": (
        {"x": Call("torch._utils._rebuild_qtensor", (Name("torch.per_tensor_affine"),))},
        ["quantized: take the weights before that, or save each tensor's dequantize()"],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ASKING)
def test_what_to_do_about_a_file_that_asks_for_more_than_tensors(problem, kind, layout):
    tree, said = ASKING[kind]
    message = problem(TorchFile(layout).write(tree))
    assert all(part in message for part in said)
    assert "refused, not executed" in message


def test_a_whole_model_names_its_own_classes_first_and_not_all_of_pytorchs(problem):
    layers = [Call(f"torch.nn.modules.layer{number}.Layer") for number in range(30)]
    message = problem(TorchFile("zip").write(Call("mynet.Net", (), {"layers": layers})))
    assert "asks for mynet.Net, torch.nn.modules.layer0.Layer" in message
    assert "and 23 more" in message


def huge_npz() -> bytes:
    data = npz_bytes({"x": np.zeros(1, np.float32)}, np.savez)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (25 * 10**11,)})
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + old.read("x.npy")[-4:])
    return file.getvalue()


def huge_torch(layout: str, what: str) -> bytes:
    file, many = TorchFile(layout), 25 * 10**11
    storage = file.store(BASE, many if what == "storage" else None)
    return file.write({"x": window(storage, 0, (many,), (0 if what == "repeats" else 1,))})


def huge_safetensors() -> bytes:
    header = b'{"x":{"dtype":"F32","shape":[2500000000000],"data_offsets":[0,10000000000000]}}'
    return struct.pack("<Q", len(header)) + header + b"\0" * 4


def huge_caffe2() -> bytes:
    return dumps(caffe2_tree({"x": BASE})).replace(encode((24,)), encode((24 * 10**12,)))


HUGE = {  # and a part of what is said
    "npz": (huge_npz, "has shape (2500000000000,) and dtype float32 in its header, but 4 bytes"),
    "legacy storage": (lambda: huge_torch("legacy", "storage"), "needs 10000000000000 bytes"),
    "legacy window": (lambda: huge_torch("legacy", "window"), "reaches beyond the 24 elements"),
    "zip storage": (lambda: huge_torch("zip", "storage"), "has 96 bytes, but its tensors need 10000000000000"),
    "zip window": (lambda: huge_torch("zip", "window"), "reaches beyond the 24 elements"),
    "repeats": (lambda: huge_torch("zip", "repeats"), "shape (2500000000000,) repeats the 24 elements"),
    "safetensors": (huge_safetensors, "file not fully covered"),
    "caffe2": (huge_caffe2, "of shape (24000000000000,) and dtype float32 has 96 bytes"),
    "memo": (lambda: b"\x80\x02}r\xff\xff\xff\x7f.", "memo position of 2147483647"),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_claim_of_terabytes_is_an_error_at_once(problem, name):
    data, said = HUGE[name]
    assert said in problem(data())


def nested_tuples(depth: int) -> bytes:
    """Pushes a tuple of two references to a tuple of two references ...: small in memory, endless as text."""
    data = b")q\x010"
    for number in range(1, depth):
        data += b"h%ch%c\x86q%c0" % (number, number, number + 1)
    return data + b"h%c" % depth


@pytest.mark.parametrize("what", ["dtype", "size"])
def test_an_error_is_not_longer_than_it_can_be_read(problem, what):
    call = {"dtype": b"cnumpy\ndtype\n%b\x85R", "size": b"ctorch._utils\n_rebuild_tensor_v2\n(%b%bK\x00%b)tR"}[what]
    file = TorchFile("zip")
    storage = encode(file.store(BASE))
    data = call % nested_tuples(60) if what == "dtype" else call % (b"", storage, nested_tuples(60))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("net/data.pkl", b"\x80\x02" + data + b".")
    assert len(problem(archive.getvalue())) < 1000


def misshapen() -> dict[str, bytes]:
    """Files that are whole but not right, and a part of what is said about them."""
    file = TorchFile("zip")
    storage, tensor = file.store(BASE), file.tensor(BASE)
    other = Reference((*storage.to[:4], 12))
    loop = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."
    array = pickle.dumps({"x": np.array([None, 1])})
    return {
        "strides": (file.write({"x": window(storage, 0, (2, 3), (1,))}), "strides"),
        "beyond": (file.write({"x": window(storage, 20, (5,), (1,))}), "reaches beyond"),
        "negative": (file.write({"x": window(storage, -1, (5,), (1,))}), "offset"),
        "big endian": (file.write({"x": tensor}, "big"), "byte order is big"),
        "big endian, legacy": (TorchFile("legacy").write({}, "big"), "big-endian machine"),
        "two sizes": (
            file.write({"x": tensor, "y": window(other, 0, (1,), (1,)), "z": window(storage, 0, (), ())}),
            "two",
        ),
        "no storages": (dumps({"x": tensor}), "not in it"),
        "bare": (file.write(tensor), "not names"),
        "no tensors": (dumps({"epoch": 3}), "no tensors in it; it holds: epoch"),
        "only optimizer": (file.write({"optimizer": {"m": tensor}}), "only optimizer state"),
        "two wrappers": (file.write({"model": {"x": tensor}, "state_dict": {"x": tensor}}), "state_dict, model"),
        "same name": (file.write({"a": {"b": tensor}, "a.b": tensor}), "two of its tensors are called a.b"),
        "loop": (loop, "nested"),
        "objects": (array, "not a number type"),
        "module": (file.write({"x": Reference(("module", "Net", "net.py", ""))}), WHOLE),
        "text in npz": (npz_bytes({"names": np.array(["a"])}), "not a number type"),
    }


@pytest.mark.parametrize("name", misshapen())
def test_what_is_wrong_is_said(problem, name):
    data, said = misshapen()[name]
    assert said in problem(data)


OTHER_FILES = {
    b"": "empty",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x93NUMPY\x01\x00": "single array",
    b"version https://git-lfs.github.com/spec/v1\n": "Git LFS",
    b"<!DOCTYPE html>": "web page",
    b"\0" * 257 + b"ustar\x00": "tar file",
    b"lr: 0.1\n": r"begins with b'lr: 0.1\n'",
}


@pytest.mark.parametrize("data", OTHER_FILES)
def test_other_files_are_told_apart(problem, data):
    assert OTHER_FILES[data] in problem(data)


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="nothing.pth is missing"):
        read_tensors(tmp_path / "nothing.pth")


# Damage


@pytest.mark.parametrize("name", WRITERS)
def test_every_truncation_is_an_error(read, name):
    data = WRITERS[name](small())
    for length in range(len(data)):
        with pytest.raises(WeightsError) as error:
            read(data[:length])
        assert length < 16 or str(error.value).endswith("; download or copy it again"), length


def test_a_file_that_was_cut_off_says_so_and_after_how_much(problem):
    data = torch_bytes("zip", {"x": np.zeros(5000, np.float32)})
    said = problem(data[:12345])
    assert "its end is missing after 12,345 bytes: it is truncated or damaged" in said


def test_safetensors_in_fp8_say_what_to_do(problem):
    header = b'{"x":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}'
    said = problem(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    assert "x has dtype F8_E4M3" in said
    assert "tensor.float(), or take the file before it was quantized" in said


@pytest.mark.parametrize("name", WRITERS)
def test_a_flipped_byte_is_an_error_or_does_no_harm(read, name):
    """Formats without checksums cannot notice another number; they give arrays, or WeightsError, but nothing else."""
    data, rng = WRITERS[name](small()), np.random.default_rng(1)
    errors = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            tensors = read(bytes(damaged))
        except WeightsError:
            errors += 1
            continue
        assert all(isinstance(array, np.ndarray) for array in tensors.values())
        if name in CHECKSUMMED:
            assert {key: array.tobytes() for key, array in tensors.items()} == {
                key: array.tobytes() for key, array in small().items()
            }
    assert errors > 40


# TensorFlow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The prefix of a checkpoint in a folder of its own."""
    tf = pytest.importorskip("tensorflow")
    prefix = tmp_path_factory.mktemp("tensorflow") / "model.ckpt"
    arrays = small() | {"half": np.arange(4).astype(ml_dtypes.bfloat16)}
    tensors = [tf.constant("not a number")] + [tf.constant(array) for array in arrays.values()]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["a_text", *arrays],
        shape_and_slices=[""] * len(tensors),
        tensors=tensors,
    )
    return prefix


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001", ""])
def test_tensorflow_by_any_of_its_names(checkpoint, name):
    tensors = read_tensors(checkpoint.parent / name)
    assert_same(tensors, dict(sorted((small() | {"half": np.arange(4).astype(ml_dtypes.bfloat16)}).items())))


def copy_of(checkpoint, folder, change=None, suffix=".data-00000-of-00001"):
    for path in checkpoint.parent.iterdir():
        data = path.read_bytes()
        (folder / path.name).write_bytes(change(data) if change and path.name.endswith(suffix) else data)
    return folder / checkpoint.name


def test_tensorflow_folders_must_hold_one(checkpoint, tmp_path):
    with pytest.raises(WeightsError, match="0 TensorFlow checkpoints"):
        read_tensors(tmp_path)
    copy_of(checkpoint, tmp_path)
    (tmp_path / "other.index").write_bytes(b"")
    with pytest.raises(WeightsError, match="model.ckpt.index, other.index"):
        read_tensors(tmp_path)


def test_tensorflow_parts_that_are_missing(checkpoint, tmp_path):
    prefix = copy_of(checkpoint, tmp_path)
    (tmp_path / "model.ckpt.index").unlink()
    with pytest.raises(WeightsError, match="model.ckpt.index is not next to it"):
        read_tensors(f"{prefix}.data-00000-of-00001")
    prefix = copy_of(checkpoint, tmp_path)
    (tmp_path / "model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match="its data files have 0"):
        read_tensors(prefix)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_tensorflow_damage_is_noticed(checkpoint, tmp_path, suffix):
    expected, rng = read_tensors(checkpoint), np.random.default_rng(2)
    size = (checkpoint.parent / f"{checkpoint.name}{suffix}").stat().st_size
    for length in range(0, size, 5):
        with pytest.raises(WeightsError, match=str(tmp_path)):
            read_tensors(copy_of(checkpoint, tmp_path, lambda data, n=length: data[:n], suffix))
    errors = 0
    for place in rng.integers(size, size=60):
        prefix = copy_of(checkpoint, tmp_path, lambda d, i=place: d[:i] + bytes([d[i] ^ 16]) + d[i + 1 :], suffix)
        try:
            assert_same(read_tensors(prefix), expected)
        except WeightsError:
            errors += 1
    assert errors > 40
