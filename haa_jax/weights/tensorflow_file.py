"""TensorFlow's V2 checkpoints: an index and data files with a common prefix. Needs TensorFlow to read them."""

import math
import re

import numpy as np
from etils import epath

from haa_jax.weights.safe_pickle import AGAIN
from haa_jax.weights.tree import left_out

_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # the end of a LevelDB table, the format of the index


def find_prefix(path: epath.Path) -> epath.Path | None:
    """The prefix of the TensorFlow checkpoint that `path` names, or None if it names something else.

    Raises:
      ValueError: a folder without exactly one checkpoint, or a data file without its index.
    """
    if path.is_dir():
        found = sorted(each.name for each in path.iterdir() if each.name.endswith(".index"))
        if len(found) != 1:
            raise ValueError(f"it is a folder with {len(found)} TensorFlow checkpoints: {', '.join(found) or 'none'}")
        return path / found[0].removesuffix(".index")
    shard = re.fullmatch(r"(.+)\.data-\d{5}-of-\d{5}", path.name)
    if shard:
        if not (path.parent / f"{shard[1]}.index").exists():
            raise ValueError(f"{shard[1]}.index is not next to it")
        return path.parent / shard[1]
    if path.exists():
        with path.open("rb") as file:
            file.seek(max(0, path.stat().length - len(_TABLE_MAGIC)))
            is_index = file.read() == _TABLE_MAGIC
        if is_index and not path.name.endswith(".index"):
            raise ValueError(
                "it is the index of a TensorFlow checkpoint under another name; rename it to <prefix>.index"
            )
        return path.parent / path.name.removesuffix(".index") if is_index else None
    return path if (path.parent / f"{path.name}.index").exists() else None


def read(prefix: epath.Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The tensors of a checkpoint by name, and notes on what was left out.

    TensorFlow's reader verifies the checksums; the sizes are checked here before it reserves memory for them.

    Raises:
      ValueError: TensorFlow is not installed, or the checkpoint is damaged.
    """
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
        notes = left_out("not numbers", sorted(set(shapes) - set(names)))
        return {name: reader.get_tensor(name) for name in names}, notes
    except tf.errors.OpError as error:
        raise ValueError(f"{error.message}; {AGAIN}") from error
