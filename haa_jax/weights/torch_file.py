"""PyTorch's checkpoint files, read without PyTorch: where each tensor's elements are in the file."""

import math
import reprlib
import zipfile
from collections.abc import Callable

import numpy as np

from haa_jax.weights.safe_pickle import AGAIN, unpickle
from haa_jax.weights.stand_ins import Storage, Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
_MAX_EXPANDED = 2**24  # elements of a tensor that repeats those of a smaller storage (strides of 0)


def is_legacy(data: bytes) -> bool:
    """Whether a pickle begins like the files of PyTorch up to 1.5."""
    return LEGACY_MAGIC.to_bytes(10, "little") in data[:32]


def read_legacy(data: bytes) -> tuple[object, Callable[[Tensor], np.ndarray]]:
    """A file of PyTorch 0.4 to 1.5: five pickles, then the length and the elements of each storage.

    Returns:
      The tree with its Tensor leaves, and a function that reads one of them.

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
            held = f"the file has {len(data)}: it is truncated; {AGAIN}"
            raise ValueError(f"storage {key} needs {size} bytes at byte {end + 8}, but {held}")
        if (count := int.from_bytes(data[end : end + 8], "little")) != storage.count:
            raise ValueError(f"storage {key} has {count} elements, but its tensors need {storage.count}")
        contents[key] = _elements(storage, memoryview(data)[end + 8 : end + 8 + size])
        end += 8 + size
    return tree, lambda tensor: _view(tensor, contents[tensor.storage.key])


def read_zip(archive: zipfile.ZipFile, pickle_name: str) -> tuple[object, Callable[[Tensor], np.ndarray]]:
    """A file of PyTorch since 1.6: `<top>/data.pkl`, and each storage in `<top>/data/<key>`.

    Returns:
      As `read_legacy`.

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
            raise ValueError(f"storage {key} has {member.file_size} bytes, but its tensors need {size}")
    contents: dict[str, np.ndarray] = {}

    def to_numpy(tensor: Tensor) -> np.ndarray:
        storage = tensor.storage
        if storage.key not in contents:
            contents[storage.key] = _elements(storage, archive.read(f"{top}data/{storage.key}"))
        return _view(tensor, contents[storage.key])

    return tree, to_numpy


def _elements(storage: Storage, data) -> np.ndarray:
    """The elements of a storage: (count,), of its dtype, read-only."""
    if storage.dtype == np.bool_:
        return np.frombuffer(data, np.uint8) != 0
    elements = np.frombuffer(data, storage.dtype)
    return elements if elements.flags.aligned else elements.copy()


def _view(tensor: Tensor, elements: np.ndarray) -> np.ndarray:
    """A tensor as a read-only view of its storage's elements, which takes no memory of its own."""
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
