"""Files of plain arrays: NumPy's .npz and safetensors. Sizes in headers are checked before they are trusted."""

import math
import zipfile

import ml_dtypes
import numpy as np
import safetensors

_SAFETENSORS_DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "C64": "<c8"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "BF16": ml_dtypes.bfloat16},
}


def read_npz(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """Name -> array of an .npz file. Raises ValueError if it is damaged or has anything but arrays of numbers."""
    members = archive.infolist()
    others = [member.filename for member in members if not member.filename.endswith(".npy")]
    if others or not members:
        raise ValueError(f"it is a zip file with neither data.pkl nor arrays only; it holds {', '.join(others[:5])}")
    return {member.filename.removesuffix(".npy"): _read_npy(archive, member) for member in members}


def _read_npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; the size in its header is compared with the file's before memory is reserved."""
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
            raise ValueError(f"{member.filename} has shape {shape} and dtype {dtype} in its header, but {held} bytes")
        return np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if fortran else "C")


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """Name -> array of a safetensors file.

    Raises:
      ValueError: a tensor's dtype is not known here.
      SafetensorError: the file is damaged.
    """
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
