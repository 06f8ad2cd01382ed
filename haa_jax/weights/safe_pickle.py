"""Unpickling without executing what a pickle asks for.

A pickle is a program that may call any function it names. Here it can reach only what is in `_ALLOWED`: the objects of
stand_ins.py, which record where a tensor is and drop everything else. Every other name is refused. The result is a tree
of dicts and lists whose leaves are `Tensor` and `Array`; they become NumPy arrays one by one on request, so that an
optimizer's state costs nothing.
"""

import io
import pickle
import pickletools
import re
import struct

import ml_dtypes
import numpy as np

from haa_jax.weights.stand_ins import (
    Array,
    Call,
    Dict,
    Dtype,
    Opaque,
    Storage,
    StorageType,
    counts,
    encode,
    from_buffer,
    rebuild_parameter,
    rebuild_tensor,
)

AGAIN = "download or copy it again"  # advice about a damaged file
# What damaged pickles make the unpickler raise, in addition to UnpicklingError.
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
STATE_DICTS = ("state_dict", "model_state_dict")  # keys of the network in a training checkpoint
_LISTED = 8  # names in an error

_STORAGES = {  # PyTorch's class -> dtype of its elements, little-endian
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
    "collections.OrderedDict": Dict,
    "collections.Counter": Dict,
    "collections.defaultdict": Call(lambda *_: Dict()),
    "builtins.set": Call(frozenset),
    "__builtin__.set": Call(frozenset),
    "_codecs.encode": Call(encode),
    "torch.Size": Call(lambda sizes=(): tuple(sizes)),
    "torch._utils._rebuild_tensor": Call(rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": Call(rebuild_tensor),
    "torch._utils._rebuild_parameter": Call(rebuild_parameter),
    "numpy.ndarray": Opaque,  # the first argument of _reconstruct
    "numpy.dtype": Dtype,
    "numpy.core.multiarray._reconstruct": Array,
    "numpy._core.multiarray._reconstruct": Array,
    "numpy.core.numeric._frombuffer": Call(from_buffer),
    "numpy._core.numeric._frombuffer": Call(from_buffer),
    **{f"torch.{name}": StorageType(dtype) for name, dtype in _STORAGES.items()},
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
            case ("storage", StorageType() as kind, str() as key, str(), int() as count, *view):
                if any(each is not None for each in view):
                    raise ValueError(f"storage {key} is a view of another, as PyTorch before 0.4 wrote them")
                storage = Storage(key, kind.dtype, *counts("size of storage", (count,)))
                if self.storages.setdefault(key, storage) != storage:
                    raise ValueError(f"storage {key} is described in two ways")
                return storage
            case ("module", *_):
                raise ValueError(f"it was refused, not executed. {WHOLE_MODEL}")
        raise ValueError("a reference to something that is not a storage")


def refusal(names: list[str], key: str = "") -> str:
    """The error message for a pickle that asks for names that are not allowed, with what to do about it.

    Args:
      names: module and name, joined by ".".
      key: the one of STATE_DICTS that is in the pickle; "" for none.
    """
    names = sorted(set(names), key=lambda name: (name.startswith("torch."), name))
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    start = f"it asks for {listed}, which a file of plain tensors does not need; it was refused, not executed."
    of_torch = " ".join(name for name in names if name.startswith("torch."))
    if re.search("qtensor|QU?Int|torch.per_(tensor|channel)", of_torch):
        return f"{start} Its tensors are quantized: take the weights before that, or save each tensor's dequantize()"
    if re.search("float8|uint(16|32|64)|_rebuild_tensor_v3", of_torch):
        return f"{start} Its tensors have a dtype that is not known here: save each tensor's float() with PyTorch"
    if key:
        return f"{start} If you trust who made it, save its tensors alone: torch.save({_LOADED}[{key!r}], 'weights.pt')"
    if "torch.nn." in of_torch:
        return f"{start} {WHOLE_MODEL}"
    return f"{start} If you trust who made it, load it, {_LOADED}, and save the tensors in it alone"


_LOADED = "torch.load(FILE, map_location='cpu', weights_only=False)"
WHOLE_MODEL = (
    f"A whole pickled model was saved; if you trust who made it, load it, {_LOADED}, and save the model's state_dict()"
)


def unpickle(data: bytes, start: int = 0) -> tuple[object, dict[str, Storage], int]:
    """Reads the pickle that begins at byte `start`.

    Returns:
      Its tree, key -> storage that its tensors refer to, and the position after its last byte.

    Raises:
      One of PICKLE_ERRORS; for a name that is not allowed, an UnpicklingError with `refusal`.
    """
    end, key = _check(data, start)
    unpickler = _Unpickler(data[start:end], key)
    return unpickler.load(), unpickler.storages, end


# Instructions that neither PyTorch nor NumPy writes: objects in Python 1 style, extension codes, buffers.
_UNUSED = frozenset({"INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID"})


def _check(data: bytes, start: int) -> tuple[int, str]:
    """Walks through a pickle without executing it; returns where it ends, and the key of STATE_DICTS in it or "".

    Checks what the unpickler itself would trust: memo positions (it allocates a table as long as the highest).
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
        raise ValueError(f"it is truncated or damaged ({error}); {AGAIN}") from error
