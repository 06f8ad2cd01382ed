"""Training curves of a run, from TensorBoard's files in its workdir or, without them, from its newest checkpoint.

TensorBoard's files hold one event in each TFRecord; they are read without TensorFlow. A resumed run writes another
file, which may repeat steps of the one before: the later value counts. The last record of a run that was killed may be
incomplete; what is before it is read.
"""

from collections.abc import Sequence

import numpy as np
from etils import epath

from tfds_haa500 import records

MOST_POINTS = 400  # of one curve; more cannot be told apart on a screen
Curve = list[tuple[int, float]]  # (step, value), by step


def read(workdir: epath.Path, meta: dict, evaluated: str) -> tuple[dict[str, Curve], list[str]]:
    """Tag -> curve: "train/loss", "train/accuracy", "validation/<head>_top1", ... (see train.py and summaries.py).

    Args:
      meta: of a checkpoint, whose "history" has the validation scores.
      evaluated: the head and the figure that they are of, as "atomic_top1".

    Returns:
      The curves, and a line for each file that cannot be read to its end.
    """
    curves, problems = read_events(sorted(workdir.glob("events.out.tfevents.*")))
    history = sorted((int(step), score) for step, score in meta.get("history", {}).items())
    if history:
        curves.setdefault(f"validation/{evaluated}", history)
    return {tag: thinned(curve) for tag, curve in curves.items()}, problems


def read_events(files: Sequence[epath.Path]) -> tuple[dict[str, Curve], list[str]]:
    """The finite scalars in TensorBoard's files, from the oldest file to the newest; returns the same as `read`."""
    # Not at the top: only this function needs the package, and not its readers, which import TensorFlow if they can.
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2

    found, problems = {}, []
    for file in files:
        try:
            for _, record in records.iter_records(file):
                event = event_pb2.Event.FromString(record)
                for value in event.summary.value:
                    if np.isfinite(number := _scalar(value)):
                        found.setdefault(value.tag, {})[event.step] = number
        except (records.RecordError, DecodeError) as error:
            problems.append(f"training curves: {error}")
    return {tag: sorted(values.items()) for tag, values in found.items()}, problems


def _scalar(value) -> float:
    """The number of a summary value, as TensorFlow 1 and 2 write them; NaN for anything else."""
    from tensorboard.util import tensor_util

    if value.WhichOneof("value") == "simple_value":
        return value.simple_value
    if value.WhichOneof("value") == "tensor" and not value.tensor.tensor_shape.dim:
        array = tensor_util.make_ndarray(value.tensor)
        return float(array) if array.dtype.kind == "f" else np.nan
    return np.nan


def thinned(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """At most `most` points of a curve, its first and last among them."""
    kept = np.unique(np.linspace(0, len(curve) - 1, min(most, len(curve))).round().astype(int))
    return [curve[i] for i in kept]
