"""Published weight files -> names and arrays; no code that a file may hold is ever executed.

The format is told by a file's first and last bytes, since suffixes say little: `.pth.tar` is no tar file, `.pkl` may be
anything.
"""

import dataclasses
import io
import logging
import math
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator

import ml_dtypes
import numpy as np
import safetensors
from etils import epath
from flax.traverse_util import flatten_dict

from haa_jax.runtime import checkpoint_reader
from haa_jax.weights import torch_file

log = logging.getLogger(__name__)

# Entries of a checkpoint that hold the network's tensors, in the habits of the published code.
WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "params", "blobs")
FORMATS = "NumPy (.npz), safetensors, TensorFlow (V2), PyTorch (0.4 or later) and pickled NumPy arrays (caffe2's .pkl)"

_OPTIMIZER = re.compile(r".*(optim|sched|scaler).*|amp", re.IGNORECASE)
_MAX_DEPTH, _MAX_ENTRIES = 16, 1_000_000  # of nested dicts, beyond which no checkpoint goes
_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the end of a LevelDB table, which TensorFlow's index is
_OTHER_FORMATS = {  # first bytes -> what to say
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a single array (.npy), which has no name; save it with numpy.savez",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"PK\x05\x06": "an empty zip file",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    b"<": "a web page or XML, not the file itself",
}
_SAFETENSORS_DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "C64": "<c8"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "BF16": ml_dtypes.bfloat16},
}
# What readers trip over in damaged files; what they say of a file themselves is a ValueError.
_DAMAGE = (
    *(set(torch_file.PICKLE_ERRORS) - {ValueError, pickle.UnpicklingError}),
    safetensors.SafetensorError,
    zipfile.BadZipFile,
    zlib.error,
)


class WeightsError(ValueError):
    """A weights file that cannot be read or does not fit; the message names it."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a file holds: its tensors by name, and lines on what else was in it and left out."""

    tensors: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


def read_tensors(path: epath.PathLike) -> dict[str, np.ndarray]:
    """The tensors of `read`; its notes are logged."""
    contents = read(path)
    for note in contents.notes:
        log.info("%s: %s", path, note)
    return contents.tensors


def read(path: epath.PathLike) -> Contents:
    """Every tensor of a checkpoint by its name in the file.

    PyTorch's and pickled files: the entry that holds the network (one of WRAPPERS) is taken out of its wrapper, nested
    dicts are joined with ".", and what is left out is noted. Objects that are no tensors are never made (see
    `torch_file`).

    Args:
      path: a file of one of FORMATS; for TensorFlow the checkpoint's prefix, either of its files, or its folder; the
        workdir of a run of ours, for its newest checkpoint.

    Returns:
      Contents: arrays of the shape and dtype in the file (bfloat16 as ml_dtypes.bfloat16), possibly read-only and
      views of each other where the file shares their elements.

    Raises:
      WeightsError: the file is missing, of another format, truncated, damaged, larger than memory, or asks for code to
        be run.
    """
    path = epath.Path(path)
    try:
        if (path / checkpoint_reader.FOLDER).is_dir():
            return Contents(_read_workdir(path))
        prefix = _tensorflow_prefix(path)
        if prefix is not None:
            return _read_tensorflow(prefix)
        return _read_file(path.read_bytes())
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; is the path right, and the download done?") from error
    except checkpoint_reader.CheckpointError as error:
        raise WeightsError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise WeightsError(
            f"{path} cannot be read: it is damaged ({str(error) or type(error).__name__}); {torch_file.AGAIN}"
        ) from error
    except (ValueError, pickle.UnpicklingError, MemoryError, OSError, RuntimeError) as error:
        raise WeightsError(f"{path} cannot be read: {str(error) or type(error).__name__}") from error


def _read_workdir(path: epath.Path) -> dict[str, np.ndarray]:
    """Parameters and BatchNorm statistics by their path in the network; their names never meet."""
    variables = checkpoint_reader.read_variables(path)
    return {"/".join(name): array for tree in variables.values() for name, array in flatten_dict(tree).items()}


def _read_file(data: bytes) -> Contents:
    """The tensors of a format that is one file."""
    if data[:4] == b"PK\x03\x04":
        with _open_zip(data) as archive:
            pickles = [name for name in archive.namelist() if re.fullmatch("([^/]+/)?data.pkl", name)]
            if len(pickles) == 1:
                return _network_tensors(*torch_file.read_zip(archive, pickles[0]))
            return Contents(_read_npz(archive))
    if data[4:9] == b"\0\0\0\0{":  # behind the header's length, which is at most 100 MB
        return Contents(_read_safetensors(data))
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        if torch_file.is_legacy(data):
            return _network_tensors(*torch_file.read_legacy(data))
        return _network_tensors(torch_file.unpickle(data)[0], _no_storage)
    raise ValueError(f"it is {_what_it_is(data)}. Formats that can be read: {FORMATS}")


def _open_zip(data: bytes) -> zipfile.ZipFile:
    """A zip file's table of contents is its end: without it, a file that was cut off does not look like one."""
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"it begins as a PyTorch or NumPy file, but what should stand at its end is not there after {len(data):,} "
            f"bytes: it was cut off or damaged; {torch_file.AGAIN}"
        ) from error


def _what_it_is(data: bytes) -> str:
    if not data:
        return "empty"
    if data[257:262] == b"ustar":
        return "a tar file; as PyTorch checkpoints these are older than 0.4: load and save it with a newer PyTorch"
    for start, name in _OTHER_FORMATS.items():
        if data.startswith(start):
            return name
    return f"of no known format: it begins with {data[:8]!r}"


def _no_storage(tensor: torch_file.Tensor) -> np.ndarray:
    raise ValueError("it is a pickle that refers to tensors which are not in it")


# NumPy, safetensors


def _read_npz(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    members = archive.infolist()
    others = [member.filename for member in members if not member.filename.endswith(".npy")]
    if others or not members:
        raise ValueError(f"it is a zip file with neither data.pkl nor arrays only; it holds {', '.join(others[:5])}")
    return {member.filename.removesuffix(".npy"): _read_npy(archive, member) for member in members}


def _read_npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; the size in its header is compared with what is there before it is believed."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member.filename} has .npy version {version}; known are 1.0 and 2.0")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
        if dtype.kind not in "biufc":
            raise ValueError(f"{member.filename} has dtype {dtype}, which is not a number type")
        held, needed = member.file_size - stream.tell(), math.prod(shape) * dtype.itemsize
        if held != needed or any(size < 0 for size in shape):
            raise ValueError(f"{member.filename} says shape {shape} and dtype {dtype}, but holds {held} bytes")
        return np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if fortran else "C")


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    tensors = {}
    for name, tensor in safetensors.deserialize(data):
        if tensor["dtype"] not in _SAFETENSORS_DTYPES:
            raise ValueError(
                f"{name} has dtype {tensor['dtype']}; known: {', '.join(_SAFETENSORS_DTYPES)}; save its tensors in one "
                "of these, with PyTorch's tensor.float(), or take the file before it was quantized"
            )
        dtype = np.dtype(_SAFETENSORS_DTYPES[tensor["dtype"]])
        tensors[name] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
    return tensors


# TensorFlow


def _tensorflow_prefix(path: epath.Path) -> epath.Path | None:
    """The prefix of a TensorFlow checkpoint, or None where `path` is something else.

    Raises:
      ValueError: a folder that does not hold exactly one, or a file without its index.
    """
    if path.is_dir():
        found = sorted(each.name for each in path.iterdir() if each.name.endswith(".index"))
        if len(found) != 1:
            raise ValueError(f"it is a folder with {len(found)} TensorFlow checkpoints: {', '.join(found) or 'none'}")
        return path / found[0].removesuffix(".index")
    shard = re.fullmatch(r"(.+)\.data-\d{5}-of-\d{5}", path.name)
    if shard:
        if not (path.parent / f"{shard[1]}.index").exists():
            raise ValueError(f"{shard[1]}.index is not beside it")
        return path.parent / shard[1]
    if path.exists():
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - len(_TABLE_MAGIC)))
            is_index = file.read() == _TABLE_MAGIC
        if is_index and not path.name.endswith(".index"):
            raise ValueError("it is the index of a TensorFlow checkpoint under another name; call it <prefix>.index")
        return path.parent / path.name.removesuffix(".index") if is_index else None
    return path if (path.parent / f"{path.name}.index").exists() else None


def _read_tensorflow(prefix: epath.Path) -> Contents:
    """TensorFlow's own reader checks the checksums; the sizes are checked here before it makes room for them."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise ValueError("it is a TensorFlow checkpoint; `pip install tensorflow` to read it") from error
    held = sum(each.stat().length for each in prefix.parent.iterdir() if each.name.startswith(f"{prefix.name}.data-"))
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        names = sorted(name for name in shapes if dtypes[name] != tf.string)
        needed = sum(math.prod(shapes[name]) * dtypes[name].size for name in names)
        if needed > held:
            raise ValueError(f"its index lists {needed} bytes of tensors, but its data files have {held}")
        notes = _left_out("not numbers", sorted(set(shapes) - set(names)))
        return Contents({name: reader.get_tensor(name) for name in names}, notes)
    except tf.errors.OpError as error:
        raise ValueError(f"{error.message}; {torch_file.AGAIN}") from error


# Trees of dicts, as PyTorch's and caffe2's files hold


def _network_tensors(tree, to_numpy: Callable[[torch_file.Tensor], np.ndarray]) -> Contents:
    """The network's tensors of a checkpoint, out of their wrappers."""
    network, notes = _unwrap(tree)
    tensors = {
        name: leaf.to_numpy() if isinstance(leaf, torch_file.Array) else to_numpy(leaf)
        for name, leaf in _leaves(network)
    }
    return Contents(tensors, notes)


def _unwrap(tree) -> tuple[dict, tuple[str, ...]]:
    """The part of a checkpoint's tree that is the network, and notes on other parts that hold tensors.

    Raises:
      ValueError: there are no tensors, or several parts that may be the network.
    """
    if not isinstance(tree, dict):
        raise ValueError(f"it holds a {type(tree).__name__}, not names and tensors; save a model's state_dict()")
    with_tensors = [key for key, value in tree.items() if next(_leaves({key: value}), None)]
    if not with_tensors:
        raise ValueError(f"there are no tensors in it; it holds: {', '.join(map(str, list(tree)[:20])) or 'nothing'}")
    nested = {key for key in with_tensors if isinstance(tree[key], dict)}
    wrappers = [key for key in WRAPPERS if key in nested and not (key == "params" and "batch_stats" in nested)]
    if len(wrappers) > 1:
        raise ValueError(f"it holds several sets of tensors: {', '.join(wrappers)}; save the one you want alone")
    optimizers = [key for key in nested if _OPTIMIZER.fullmatch(str(key))]
    notes = _left_out("optimizer state", sorted(map(str, optimizers)))
    if wrappers:
        others = [str(key) for key in with_tensors if key not in (*wrappers, *optimizers)]
        aside = f"{wrappers[0]!r} is read instead; to use what was left out, save it alone with PyTorch"
        network, more = _unwrap(tree[wrappers[0]])
        return network, (*notes, *_left_out(aside, others), *more)
    if len(optimizers) == len(with_tensors):
        raise ValueError(
            f"it holds only optimizer state: {', '.join(map(str, optimizers))}; take the file with the model's weights"
        )
    return {key: value for key, value in tree.items() if key not in optimizers}, notes


def _leaves(tree: dict) -> Iterator[tuple[str, torch_file.Tensor | torch_file.Array]]:
    """Each tensor with its keys joined by "."; numbers, texts and the like are passed over.

    Raises:
      ValueError: two tensors have one name, or the tree is deeper or larger than any checkpoint (a pickle can make a
        dict that contains itself).
    """
    names: set[str] = set()
    pending, entries = [((), tree)], 0
    while pending:
        path, value = pending.pop()
        entries += 1
        if len(path) > _MAX_DEPTH or entries > _MAX_ENTRIES:
            raise ValueError(f"its dicts are nested more than {_MAX_DEPTH} deep or have over {_MAX_ENTRIES} entries")
        if isinstance(value, torch_file.Tensor | torch_file.Array):
            name = ".".join(path)
            if name in names:
                raise ValueError(f"two of its tensors are called {name}")
            names.add(name)
            yield name, value
        elif isinstance(value, dict):
            pending += [((*path, str(key)), each) for key, each in reversed(value.items())]
        elif isinstance(value, list | tuple):
            pending += [((*path, str(i)), each) for i, each in reversed(list(enumerate(value)))]


def _left_out(why: str, names: list[str]) -> tuple[str, ...]:
    """The note on entries that hold tensors and are not read, if there are any."""
    return (f"left out: {', '.join(names)} ({why})",) if names else ()
