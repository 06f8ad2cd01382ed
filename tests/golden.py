"""Formula weights and inputs: any framework that fills a model by them must reach the same outputs.

Element i (C order, PyTorch layout) of the tensor with PyTorch state-dict name `name` is splitmix64 of
(crc32(name) << 32) + i, its top 53 bits as a number in [-1, 1). The expected outputs in golden/*.csv were
computed in float64 from the published PyTorch definitions. Layouts: PyTorch's kernels are (out, in, *window),
its activations (N, C, *extents); Flax has (*window, in, out) and (N, *extents, C).
"""

import csv
import dataclasses
import pathlib
import zlib
from collections.abc import Callable

import numpy as np
from flax import traverse_util

FOLDER = pathlib.Path(__file__).parent / "golden"


@dataclasses.dataclass(frozen=True)
class Expected:
    """One row of a golden table; `l2` and `first` describe the array in PyTorch's layout and C order."""

    shape: tuple[int, ...]
    sum: float
    l2: float
    first: np.ndarray


def read(model: str) -> dict[str, Expected]:
    """Rows of golden/<model>.csv by name; an empty cell is NaN."""
    with open(FOLDER / f"{model}.csv", newline="") as file:
        return {
            row["what"]: Expected(
                shape_of(row["shape"]),
                float(row["sum"] or "nan"),
                float(row["l2norm"] or "nan"),
                np.array(row["first8"].split(), np.float64),
            )
            for row in csv.DictReader(file)
        }


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The formula's float64 numbers in [-1, 1) for the tensor `name` of `shape` (PyTorch layout)."""
    x = np.arange(np.prod(shape, dtype=np.int64), dtype=np.uint64)
    x += np.uint64(zlib.crc32(name.encode()) << 32)
    x += np.uint64(0x9E3779B97F4A7C15)  # numpy wraps unsigned arrays, as splitmix64 wants
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x >>= np.uint64(11)
    values = x / 2**52
    values -= 1
    return values.reshape(shape)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a parameter or buffer, by its PyTorch name and shape, both layouts PyTorch's."""
    v = uniform(name, shape)
    if name.endswith("running_mean"):
        return 0.1 * v
    if name.endswith("running_var"):
        return 1 + 0.5 * v
    if name.endswith("bias"):
        return 0.1 * v
    if "edge_importance" in name:
        return 1 + 0.2 * v
    if len(shape) >= 2:
        return v * np.sqrt(3) * np.sqrt(2 / np.prod(shape[1:]))
    if name.endswith("weight"):  # BatchNorm's gamma
        return 1 + 0.2 * v
    raise ValueError(f"no rule for {name} of shape {shape}")


def names(model: str) -> list[dict[str, str]]:
    """Rows of golden/names/<model>.csv: each published tensor's shape, and its name in every source."""
    with open(FOLDER / "names" / f"{model}.csv", newline="") as file:
        return list(csv.DictReader(file))


def state_dict(model: str, shape_column: str, channels: int = 3) -> dict[str, np.ndarray]:
    """A published checkpoint filled by the formula: PyTorch name -> array, for networks that see `channels`."""
    rows = names(model)
    source = next(iter(rows[0]))
    tensors = {}
    for row in rows:
        shape = shape_of(row[shape_column])
        if len(shape) > 3 and shape[1] == 3:
            shape = (shape[0], channels, *shape[2:])
        tensors[row[source]] = weight(row[source], shape)
        if model == "i3d" and row[source].endswith("bn.weight"):
            tensors[row[source]][:] = 1  # gammas, which only the PyTorch ports have
    return tensors


def shape_of(text: str) -> tuple[int, ...]:
    """ "64x3x7x7" -> (64, 3, 7, 7)."""
    return tuple(int(size) for size in text.split("x") if size)


def clips(batch: int, channels: int, *extents: int) -> np.ndarray:
    """The formula's input as (batch, *extents, channels) float64."""
    return np.moveaxis(uniform("input", (batch, channels, *extents)), 1, -1)


def segments(batch: int, count: int, channels: int, height: int, width: int) -> np.ndarray:
    """The input of 2-D networks, whose PyTorch layout is (batch * count, channels, height, width), as
    (batch, count, height, width, channels) float64.
    """
    return np.moveaxis(uniform("input", (batch, count, channels, height, width)), 2, -1)


def skeletons(batch: int, people: int, frames: int, joints: int) -> np.ndarray:
    """ST-GCN's input, in PyTorch (batch, coordinates, frames, joints, people), as (batch, people, frames, joints,
    coordinates) float64.
    """
    return uniform("input", (batch, 3, frames, joints, people)).transpose(0, 4, 2, 3, 1)


def fill(shapes: dict, torch_name: Callable[[tuple[str, ...]], str]) -> dict:
    """Formula values for a tree of Flax variables.

    Args:
      shapes: collections ("params", "batch_stats") of arrays or jax.ShapeDtypeStructs, as init gives them.
      torch_name: state-dict name of the path inside the collection.

    Returns:
      The tree with float64 arrays, in Flax's layouts.
    """
    flat = {}
    for path, leaf in traverse_util.flatten_dict(shapes).items():
        name, shape = torch_name(path[1:]), leaf.shape
        if path[-1] == "kernel":
            flat[path] = np.moveaxis(weight(name, (shape[-1], shape[-2], *shape[:-2])), (0, 1), (-1, -2))
        else:
            flat[path] = weight(name, shape)
    return traverse_util.unflatten_dict(flat)


def to_torch(kernel: np.ndarray) -> np.ndarray:
    """(*window, in, out) to (out, in, *window); vectors stay as they are."""
    return kernel if kernel.ndim == 1 else np.moveaxis(kernel, (-1, -2), (0, 1))


def relative_error(got: np.ndarray, want: Expected) -> float:
    """The largest of three relative errors: of the sum, of the L2 norm and of the first values.

    `got` is in PyTorch's layout. The sum's error is relative to the sum of magnitudes, since sums may cancel;
    that of the first values to the largest magnitude in `got`.
    """
    got = np.asarray(got, np.float64)
    if got.size != np.prod(want.shape):
        raise ValueError(f"shape {got.shape}, expected {want.shape}")
    first = np.abs(got.ravel()[: want.first.size] - want.first).max() / np.abs(got).max()
    l2 = abs(np.linalg.norm(got) - want.l2) / want.l2
    return max(first, l2, abs(got.sum() - want.sum) / np.abs(got).sum())
