"""PyTorch's checkpoint files, and other pickled arrays, read without PyTorch and without running what they hold.

A pickle is a program that may call any function it names. Here it can reach only what stands in `_ALLOWED`: functions
of this file that note down where a tensor lies, and `Opaque`, which takes the place of configuration objects and keeps
nothing of them. Every other name is refused. NumPy's own functions for unpickling are not among the allowed ones,
since they trust the sizes and flags they are given.

What is read first is a tree of dicts and lists whose leaves are `Tensor` and `Array`; they become NumPy arrays one by
one, when they are asked for, so that an optimizer's state costs nothing.
"""

import dataclasses
import io
import math
import pickle
import pickletools
import re
import reprlib
import struct
import zipfile
from collections.abc import Callable

import ml_dtypes
import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
AGAIN = "download or copy it again"  # what to do about a file that is damaged
# What damaged pickles make the unpickler raise, apart from UnpicklingError.
PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)

_STORAGES = {  # torch's class -> dtype of its elements, little endian
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
    "ComplexFloatStorage": np.dtype("<c8"),
    "ComplexDoubleStorage": np.dtype("<c16"),
}


STATE_DICTS = ("state_dict", "model_state_dict")  # keys of the network in a training checkpoint
_LISTED = 8  # names in an error
_MAX_EXPANDED = 2**24  # elements of a tensor that repeats those of a smaller storage (strides of 0)


class _Sealed:
    """A pickle may not change what it was given: sizes are checked once, when the object is made."""

    def __setstate__(self, state):
        raise ValueError(f"a {type(self).__name__} has no state")


@dataclasses.dataclass(frozen=True)
class Storage(_Sealed):
    """A run of `count` elements in the file; tensors are windows on it, several may share one."""

    key: str
    dtype: np.dtype
    count: int


@dataclasses.dataclass(frozen=True)
class Tensor(_Sealed):
    """Where a tensor lies in its storage; `offset` and `strides` count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Array:
    """A NumPy array of a pickle, not yet made."""

    def __init__(self, *_):
        self._state = None

    def __setstate__(self, state):
        self._state = state

    def to_numpy(self) -> np.ndarray:
        """Read-only array. Raises ValueError where the pickle does not say what NumPy would have written."""
        match self._state:
            case (_, tuple() as shape, _Dtype() as dtype, bool() | int() as fortran, bytes() | str() as data):
                shape = _counts("shape", shape)
                data = data if isinstance(data, bytes) else data.encode("latin1")  # Python 2 wrote bytes as text
                if math.prod(shape) * dtype.dtype.itemsize != len(data):
                    raise ValueError(f"an array of shape {shape} and dtype {dtype.dtype} has {len(data)} bytes")
                return np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")
        raise ValueError("an array is not stored as NumPy stores arrays of numbers")


class Opaque:
    """Stands for an object that is no tensor (a configuration, say): takes anything, keeps and does nothing."""

    __slots__ = ()

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass


class _Dict(dict):
    """Any of the standard library's kinds of dict; attributes that hang on it (`_metadata`) are left out."""

    def __setstate__(self, state):
        pass


@dataclasses.dataclass(frozen=True)
class _StorageType(_Sealed):
    dtype: np.dtype


class _Dtype:
    """numpy.dtype of a number type; nothing else is let through."""

    def __init__(self, code, *_):
        if not (isinstance(code, str) and re.fullmatch(r"[<>|=]?([biufc]\d{1,2}|\?)", code)):
            raise ValueError(f"an array has dtype {reprlib.repr(code)}, which is not a number type")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError(f"an array has byte order {reprlib.repr(state[1])}")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Call(_Sealed):
    """A function that a pickle may call but, unlike a function, not set attributes of."""

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)


def _rebuild_tensor(storage, offset, shape, strides, *_) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError(f"a tensor's storage is a {type(storage).__name__}")
    (offset,) = _counts("offset", (offset,))
    return Tensor(storage, offset, _counts("shape", shape), _counts("strides", strides))


def _rebuild_parameter(tensor, *_) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise ValueError(f"a parameter's tensor is a {type(tensor).__name__}")
    return tensor


def _from_buffer(data, dtype, shape, order) -> Array:
    """How protocol 5 writes an array."""
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise ValueError("an array is not stored as NumPy stores arrays of numbers")
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes that are not stored as latin1 text")
    return text.encode("latin1")


_DTYPES = "float16 float32 float64 bfloat16 uint8 int8 int16 int32 int64 bool complex64 complex128"
_BUILTINS = "dict list tuple int long float bool str unicode bytes"  # factories of defaultdicts; Python 2's names too
_OPAQUE = (
    *(f"torch.{name}" for name in ("device", *_DTYPES.split())),
    "argparse.Namespace",
    "types.SimpleNamespace",
    "addict.addict.Dict",
    "easydict.EasyDict",
    "fvcore.common.config.CfgNode",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "yacs.config.CfgNode",
    "collections.deque",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS.split()),
    *(f"numpy.{module}.multiarray.scalar" for module in ("core", "_core")),
)
_ALLOWED = {
    "collections.OrderedDict": _Dict,
    "collections.Counter": _Dict,
    "collections.defaultdict": _Call(lambda *_: _Dict()),
    "builtins.set": _Call(frozenset),
    "__builtin__.set": _Call(frozenset),
    "_codecs.encode": _Call(_encode),
    "torch.Size": _Call(lambda sizes=(): tuple(sizes)),
    "torch._utils._rebuild_tensor": _Call(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": _Call(_rebuild_tensor),
    "torch._utils._rebuild_parameter": _Call(_rebuild_parameter),
    "numpy.ndarray": Opaque,  # the first argument of _reconstruct
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": Array,
    "numpy._core.multiarray._reconstruct": Array,
    "numpy.core.numeric._frombuffer": _Call(_from_buffer),
    "numpy._core.numeric._frombuffer": _Call(_from_buffer),
    **{f"torch.{name}": _StorageType(dtype) for name, dtype in _STORAGES.items()},
    **dict.fromkeys(_OPAQUE, Opaque),
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, key: str):
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.storages: dict[str, Storage] = {}
        self._key = key

    def find_class(self, module: str, name: str):
        if f"{module}.{name}" not in _ALLOWED:
            raise pickle.UnpicklingError(refusal([f"{module}.{name}"], self._key))
        return _ALLOWED[f"{module}.{name}"]

    def persistent_load(self, reference):
        match reference:
            case ("storage", _StorageType() as kind, str() as key, str(), int() as count, *view):
                if any(each is not None for each in view):
                    raise ValueError(f"storage {key} is a view of another, as PyTorch before 0.4 wrote them")
                storage = Storage(key, kind.dtype, *_counts("size of storage", (count,)))
                if self.storages.setdefault(key, storage) != storage:
                    raise ValueError(f"storage {key} is described in two ways")
                return storage
            case ("module", *_):
                raise ValueError(f"it was refused, not executed. {WHOLE_MODEL}")
        raise ValueError("a reference to something that is not a storage")


def refusal(names: list[str], key: str = "") -> str:
    """What to say of a pickle that asks for names which are not allowed, and what to do about it.

    Args:
      key: the one of STATE_DICTS that stands in the pickle, if one does.
    """
    names = sorted(set(names), key=lambda name: (name.startswith("torch."), name))
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    said = f"it asks for {listed}, which a file of plain tensors does not need; it was refused, not executed."
    of_torch = " ".join(name for name in names if name.startswith("torch."))
    if re.search("qtensor|QU?Int|torch.per_(tensor|channel)", of_torch):
        return f"{said} Its tensors are quantized: take the weights before that, or save each tensor's dequantize()"
    if re.search("float8|uint(16|32|64)|_rebuild_tensor_v3", of_torch):
        return f"{said} Its tensors have a dtype that is not known here: save each tensor's float() with PyTorch"
    if key:
        return f"{said} If you trust who made it, save its tensors alone: torch.save({_LOADED}[{key!r}], 'weights.pt')"
    if "torch.nn." in of_torch:
        return f"{said} {WHOLE_MODEL}"
    return f"{said} If you trust who made it, load it, {_LOADED}, and save the tensors in it alone"


_LOADED = "torch.load(FILE, map_location='cpu', weights_only=False)"
WHOLE_MODEL = (
    f"A whole pickled model was saved; if you trust who made it, load it, {_LOADED}, and save the model's state_dict()"
)


def unpickle(data: bytes, start: int = 0) -> tuple[object, dict[str, Storage], int]:
    """Reads the pickle that begins at byte `start`.

    Returns:
      Its tree, the storages that its tensors refer to by key, and where it ends.

    Raises:
      One of PICKLE_ERRORS; for a name that is not allowed, an UnpicklingError that says so.
    """
    end, key = _check(data, start)
    unpickler = _Unpickler(data[start:end], key)
    return unpickler.load(), unpickler.storages, end


# Instructions that neither PyTorch nor NumPy writes: objects made in the manner of Python 1, numbered names, buffers.
_UNUSED = frozenset({"INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID"})


def _check(data: bytes, start: int) -> tuple[int, str]:
    """Walks through a pickle without executing it, and returns where it ends and the key of STATE_DICTS in it, if any.

    Here for what the unpickler itself would trust: memo positions (it makes a table as long as the highest one).
    """
    stream, refused, key = io.BytesIO(data), [], ""
    stream.seek(start)
    for opcode, argument, position in _instructions(stream):
        if argument in STATE_DICTS:
            key = argument
        if opcode.name in _UNUSED:
            raise ValueError(f"it has the instruction {opcode.name} at byte {position}")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= argument <= len(data):
            raise ValueError(f"it has a memo position of {argument} at byte {position}")
        if opcode.name == "GLOBAL" and argument.replace(" ", ".") not in _ALLOWED:
            refused.append(argument.replace(" ", "."))
    if refused:
        raise pickle.UnpicklingError(refusal(refused, key))
    return stream.tell(), key


def _instructions(stream: io.BytesIO):
    try:
        yield from pickletools.genops(stream)
    except ValueError as error:
        raise ValueError(f"it is cut off or damaged ({error}); {AGAIN}") from error


def is_legacy(data: bytes) -> bool:
    """Whether a pickle begins as PyTorch's files did up to 1.5."""
    return LEGACY_MAGIC.to_bytes(10, "little") in data[:32]


def read_legacy(data: bytes) -> tuple[object, Callable[[Tensor], np.ndarray]]:
    """A file as PyTorch 0.4 to 1.5 wrote it: five pickles, then for each storage its length and its elements.

    Returns:
      The tree, and a function that makes a tensor of it.

    Raises:
      One of PICKLE_ERRORS.
    """
    magic, _, end = unpickle(data)
    protocol, _, end = unpickle(data, end)
    system, _, end = unpickle(data, end)
    if (magic, protocol) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise ValueError(f"magic number and protocol are {reprlib.repr(magic)} and {reprlib.repr(protocol)}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("it was written on a big-endian machine")
    tree, storages, end = unpickle(data, end)
    keys, _, end = unpickle(data, end)
    if not isinstance(keys, list) or set(keys) != set(storages) or len(keys) != len(storages):
        raise ValueError("the list of storages does not agree with the tensors")
    contents = {}
    for key in keys:
        storage = storages[key]
        size = storage.count * storage.dtype.itemsize
        if len(data) < end + 8 + size:
            held = f"the file has {len(data)}: it is cut off; {AGAIN}"
            raise ValueError(f"storage {key} needs {size} bytes at byte {end + 8}, but {held}")
        if (count := int.from_bytes(data[end : end + 8], "little")) != storage.count:
            raise ValueError(f"storage {key} has {count} elements, and {storage.count} for its tensors")
        contents[key] = _elements(storage, memoryview(data)[end + 8 : end + 8 + size])
        end += 8 + size
    return tree, lambda tensor: _window(tensor, contents[tensor.storage.key])


def read_zip(archive: zipfile.ZipFile, pickle_name: str) -> tuple[object, Callable[[Tensor], np.ndarray]]:
    """A file as PyTorch writes it since 1.6: `<top>/data.pkl` and each storage as `<top>/data/<key>`; as `read_legacy`.

    Raises:
      One of PICKLE_ERRORS, or what zipfile raises for a damaged archive.
    """
    top = pickle_name.removesuffix("data.pkl")
    names = set(archive.namelist())
    if f"{top}constants.pkl" in names:
        raise ValueError("it is a TorchScript program; save the state_dict() of the model that torch.jit.load gives")
    if f"{top}byteorder" in names and (order := archive.read(f"{top}byteorder")) != b"little":
        raise ValueError(f"its byte order is {order.decode('latin1')}")
    tree, storages, _ = unpickle(archive.read(pickle_name))
    for key, storage in storages.items():
        if f"{top}data/{key}" not in names:
            raise ValueError(f"storage {key} is missing")
        member, size = archive.getinfo(f"{top}data/{key}"), storage.count * storage.dtype.itemsize
        if member.compress_type != zipfile.ZIP_STORED or not member.file_size == member.compress_size == size:
            raise ValueError(f"storage {key} has {member.file_size} bytes, and {size} for its tensors")
    contents: dict[str, np.ndarray] = {}

    def to_numpy(tensor: Tensor) -> np.ndarray:
        storage = tensor.storage
        if storage.key not in contents:
            contents[storage.key] = _elements(storage, archive.read(f"{top}data/{storage.key}"))
        return _window(tensor, contents[storage.key])

    return tree, to_numpy


def _elements(storage: Storage, data) -> np.ndarray:
    """The elements of a storage: (count,), read-only."""
    if storage.dtype == np.bool_:
        return np.frombuffer(data, np.uint8) != 0
    elements = np.frombuffer(data, storage.dtype)
    return elements if elements.flags.aligned else elements.copy()


def _window(tensor: Tensor, elements: np.ndarray) -> np.ndarray:
    """A tensor as a read-only view of its storage's elements; never larger in memory than they are."""
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides):
        raise ValueError(f"a tensor of shape {shape} has strides {strides}")
    steps = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and tensor.offset + steps >= len(elements):
        raise ValueError(
            f"a tensor of shape {shape}, strides {strides} at {tensor.offset} reaches beyond the {len(elements)} "
            f"elements of storage {tensor.storage.key}"
        )
    if math.prod(shape) > max(len(elements), _MAX_EXPANDED):
        raise ValueError(
            f"a tensor of shape {shape} repeats the {len(elements)} elements of storage {tensor.storage.key}"
        )
    if 0 in shape:
        return np.zeros(shape, elements.dtype)
    in_bytes = [stride * elements.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(elements[tensor.offset :], shape, in_bytes, writeable=False)


def _counts(what: str, values) -> tuple[int, ...]:
    """`values` as a tuple of sizes that NumPy can hold."""
    if not isinstance(values, tuple | list) or not all(type(each) is int and 0 <= each < 2**63 for each in values):
        raise ValueError(f"a tensor's {what} is {reprlib.repr(values)}")
    return tuple(values)
