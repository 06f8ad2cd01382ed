"""What a pickle may make here: records of where tensors are, and stand-ins for everything else.

None of these objects runs anything from the file. NumPy's own functions for unpickling are replaced as well, since they
trust the sizes and flags that they are given.
"""

import dataclasses
import math
import re
import reprlib
from collections.abc import Callable

import numpy as np


class _Sealed:
    """Has no state that a pickle could change: sizes are checked only once, when the object is created."""

    def __setstate__(self, state):
        raise ValueError(f"a {type(self).__name__} has no state")


@dataclasses.dataclass(frozen=True)
class Storage(_Sealed):
    """`count` consecutive elements in the file; tensors are views of a storage, and several may share it."""

    key: str
    dtype: np.dtype
    count: int


@dataclasses.dataclass(frozen=True)
class Tensor(_Sealed):
    """Where a tensor is in its storage; `offset` and `strides` are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Array:
    """A NumPy array in a pickle, not yet created."""

    def __init__(self, *_):
        self._state = None

    def __setstate__(self, state):
        self._state = state

    def to_numpy(self) -> np.ndarray:
        """Returns a read-only array. Raises ValueError if the pickle is not as NumPy would have written it."""
        match self._state:
            case (_, tuple() as shape, Dtype() as dtype, bool() | int() as fortran, bytes() | str() as data):
                shape = counts("shape", shape)
                data = data if isinstance(data, bytes) else data.encode("latin1")  # Python 2 wrote bytes as text
                if math.prod(shape) * dtype.dtype.itemsize != len(data):
                    raise ValueError(f"an array of shape {shape} and dtype {dtype.dtype} has {len(data)} bytes")
                return np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")
        raise ValueError("an array is not stored as NumPy stores arrays of numbers")


class Opaque:
    """Replaces an object that is not a tensor, such as a configuration: accepts everything, and drops it."""

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


class Dict(dict):
    """Replaces the standard library's dict subclasses; drops attributes set on them (`_metadata`)."""

    def __setstate__(self, state):
        pass


@dataclasses.dataclass(frozen=True)
class StorageType(_Sealed):
    dtype: np.dtype


class Dtype:
    """Replaces numpy.dtype; only number types are accepted."""

    def __init__(self, code, *_):
        if not (isinstance(code, str) and re.fullmatch(r"[<>|=]?([biufc]\d{1,2}|\?)", code)):
            raise ValueError(f"an array has dtype {reprlib.repr(code)}, which is not a number type")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError(f"an array has byte order {reprlib.repr(state[1])}")
        self.dtype = self.dtype.newbyteorder(state[1])


class Call(_Sealed):
    """A function that a pickle may call; a plain function would also let it set attributes."""

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)


def rebuild_tensor(storage, offset, shape, strides, *_) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError(f"a tensor's storage is a {type(storage).__name__}")
    (offset,) = counts("offset", (offset,))
    return Tensor(storage, offset, counts("shape", shape), counts("strides", strides))


def rebuild_parameter(tensor, *_) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise ValueError(f"a parameter's tensor is a {type(tensor).__name__}")
    return tensor


def from_buffer(data, dtype, shape, order) -> Array:
    """Replaces NumPy's _frombuffer, with which protocol 5 writes an array."""
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise ValueError("an array is not stored as NumPy stores arrays of numbers")
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def encode(text: str, encoding: str = "latin1") -> bytes:
    """Replaces _codecs.encode, with which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes that are not stored as latin1 text")
    return text.encode("latin1")


def counts(what: str, values) -> tuple[int, ...]:
    """Returns `values` as a tuple. Raises ValueError unless they are sizes that NumPy can represent."""
    if not isinstance(values, tuple | list) or not all(type(each) is int and 0 <= each < 2**63 for each in values):
        raise ValueError(f"a tensor's {what} is {reprlib.repr(values)}")
    return tuple(values)
