"""What TensorBoard shows of a run."""

import contextlib
import io
import itertools
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import jax
import numpy as np
from etils import epath
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from haa_jax import label_kinds
from haa_jax.runtime import paths

SHOWN = ("top1", "top5", "mean_class", "mean_iou", "mean_average_precision")
_numbers = itertools.count()  # of the files of this process, which may begin two in a second


class MetricWriter:
    """Writes one of TensorBoard's files: TFRecords, each an event. These parts of TensorBoard need no TensorFlow."""

    def __init__(self, file: BinaryIO):
        self._records = RecordWriter(file)
        self._write(event_pb2.Event(file_version="brain.Event:2"))

    def begin(self, step: int) -> None:
        """Says that steps from this one on will follow: TensorBoard drops what a killed start wrote of them."""
        self._write(event_pb2.Event(step=step, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)))

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes values by tag and flushes them, so that a run that is killed keeps its curves.

        Raises:
          OSError: they cannot be written, on a full disk for example.
        """
        event = event_pb2.Event(step=step)
        for tag, value in scalars.items():
            event.summary.MergeFrom(scalar_pb(tag, value))  # appends to the event's values
        self._write(event)
        self._records.flush()

    def _write(self, event: event_pb2.Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


class _Uploaded(io.BytesIO):
    """A file in memory that a flush writes to `path`: one that gcsfs opens is in the bucket only once it is closed."""

    def __init__(self, path: epath.Path):
        super().__init__()
        self._path = path

    def flush(self) -> None:
        self._path.write_bytes(self.getvalue())


@contextlib.contextmanager
def metric_writer(workdir: epath.PathLike) -> Iterator[MetricWriter]:
    """Opens a new file for TensorBoard in `workdir`; only process 0 does, what the others write is dropped.

    An error within the context is not replaced by a second one from closing the file on a full disk.

    Objects in a bucket cannot be appended to: each flush uploads the whole file again, while the training waits: a few
    hundred bytes a report.

    Raises:
      OSError: the file cannot be opened, or not be written when it is closed.
    """
    path = epath.Path(os.devnull if jax.process_index() else epath.Path(workdir) / _new_name())
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(path.open("wb") if paths.is_local(path) else _Uploaded(path))
        try:
            yield MetricWriter(file)
        except BaseException:
            with contextlib.suppress(Exception):
                opened.close()
            raise


def evaluation_scalars(results: dict, logits: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> dict[str, float]:
    """The figures and the mean loss of each head, named "<split>/<head>_<figure>".

    Args:
      results: as `evaluate.score` returns them.
      logits, labels: by head, float32 (clips, classes) and int32 (clips,), or multi-hot (clips, classes).
    """
    split, found = results["split"], {}
    for head, figures in results["heads"].items():
        shown = [name for name in SHOWN if name in figures]
        found |= {f"{split}/{head}_{name}": figures[name]["value"] for name in shown}
        found[f"{split}/{head}_loss"] = label_kinds.of_labels(labels[head]).loss(logits[head], labels[head])
    return found


def _new_name() -> str:
    """Names of later files sort behind: TensorBoard and the report read a workdir's files in that order."""
    return f"events.out.tfevents.{int(time.time()):010}.{socket.gethostname()}.{os.getpid()}.{next(_numbers):06}"
