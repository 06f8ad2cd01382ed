"""Published weight files -> names and arrays; code in a file is never executed.

The format is identified by a file's first and last bytes, since suffixes tell little: a `.pth.tar` is not a tar file,
and a `.pkl` may be anything.
"""

import dataclasses
import io
import logging
import pickle
import re
import zipfile
import zlib

import numpy as np
import safetensors
from etils import epath
from flax.traverse_util import flatten_dict

from haa_jax.errors import UserError
from haa_jax.runtime import checkpoint_reader
from haa_jax.weights import containers, safe_pickle, tensorflow_file, torch_file
from haa_jax.weights.safe_pickle import AGAIN
from haa_jax.weights.stand_ins import Tensor
from haa_jax.weights.tree import network_tensors

log = logging.getLogger(__name__)

FORMATS = "NumPy (.npz), safetensors, TensorFlow (V2), PyTorch (0.4 or later) and pickled NumPy arrays (caffe2's .pkl)"

_OTHER_FORMATS = {  # first bytes -> description for the error
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a single array (.npy) without a name; save it with numpy.savez",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"PK\x05\x06": "an empty zip file",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    b"<": "a web page or XML, not the file itself",
}
# What damaged files make the readers raise. Their own errors are ValueErrors, whose messages are complete.
_DAMAGE = (
    *(set(safe_pickle.PICKLE_ERRORS) - {ValueError, pickle.UnpicklingError}),
    safetensors.SafetensorError,
    zipfile.BadZipFile,
    zlib.error,
)


class WeightsError(UserError, ValueError):
    """A weights file that cannot be read or does not fit; the message names it."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """A file's tensors by name, and a note on each kind of entry that was left out."""

    tensors: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


def read_tensors(path: epath.PathLike) -> dict[str, np.ndarray]:
    """The tensors of `read`; the notes are logged."""
    contents = read(path)
    for note in contents.notes:
        log.info("%s: %s", path, note)
    return contents.tensors


def read(path: epath.PathLike) -> Contents:
    """Every tensor of a checkpoint by its name in the file.

    In PyTorch's and pickled files, the network's entry (one of tree.WRAPPERS) is used, keys of nested dicts are joined
    with ".", and what is left out is noted. Objects other than tensors are never created (see safe_pickle.py).

    Args:
      path: a file in one of FORMATS; for TensorFlow the checkpoint's prefix, either of its files, or its folder; the
        workdir of a run, for its newest checkpoint.

    Returns:
      Contents with arrays of the shape and dtype in the file (bfloat16 as ml_dtypes.bfloat16). They may be read-only,
      and views of each other if the file shares their elements.

    Raises:
      WeightsError: the file is missing, in another format, truncated, damaged, larger than memory, or asks for code to
        be executed.
    """
    path = epath.Path(path)
    try:
        if (path / checkpoint_reader.FOLDER).is_dir():
            return Contents(_read_workdir(path))
        prefix = tensorflow_file.find_prefix(path)
        if prefix is not None:
            return Contents(*tensorflow_file.read(prefix))
        return _read_file(path.read_bytes())
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; is the path right, and the download done?") from error
    except checkpoint_reader.CheckpointError as error:
        raise WeightsError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise WeightsError(
            f"{path} cannot be read: it is damaged ({str(error) or type(error).__name__}); {AGAIN}"
        ) from error
    except (ValueError, pickle.UnpicklingError, MemoryError, OSError, RuntimeError) as error:
        raise WeightsError(f"{path} cannot be read: {str(error) or type(error).__name__}") from error


def _read_workdir(path: epath.Path) -> dict[str, np.ndarray]:
    """Parameters and BatchNorm statistics by their path in the network; no path is in both."""
    variables = checkpoint_reader.read_variables(path)
    return {"/".join(name): array for tree in variables.values() for name, array in flatten_dict(tree).items()}


def _read_file(data: bytes) -> Contents:
    """The tensors of a file in one of the single-file formats."""
    if data[:4] == b"PK\x03\x04":
        with _open_zip(data) as archive:
            pickles = [name for name in archive.namelist() if re.fullmatch("([^/]+/)?data.pkl", name)]
            if len(pickles) == 1:
                return Contents(*network_tensors(*torch_file.read_zip(archive, pickles[0])))
            return Contents(containers.read_npz(archive))
    if data[4:9] == b"\0\0\0\0{":  # after the header's length, which is at most 100 MB
        return Contents(containers.read_safetensors(data))
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        if torch_file.is_legacy(data):
            return Contents(*network_tensors(*torch_file.read_legacy(data)))
        return Contents(*network_tensors(safe_pickle.unpickle(data)[0], _no_storage))
    raise ValueError(f"it is {_unknown_format(data)}. Formats that can be read: {FORMATS}")


def _open_zip(data: bytes) -> zipfile.ZipFile:
    """A zip file's table of contents is at its end, so a truncated file is not recognized as a zip file."""
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"it begins like a PyTorch or NumPy file, but its end is missing after {len(data):,} bytes: it is "
            f"truncated or damaged; {AGAIN}"
        ) from error


def _unknown_format(data: bytes) -> str:
    if not data:
        return "empty"
    if data[257:262] == b"ustar":
        return "a tar file, as PyTorch wrote checkpoints before 0.4: load and save it with a newer PyTorch"
    for start, name in _OTHER_FORMATS.items():
        if data.startswith(start):
            return name
    return f"in no known format: it begins with {data[:8]!r}"


def _no_storage(tensor: Tensor) -> np.ndarray:
    raise ValueError("it is a pickle that refers to tensors which are not in it")
