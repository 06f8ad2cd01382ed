"""What TensorBoard shows of a run."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import numpy as np
from etils import epath

from haa_jax.learning import losses

if TYPE_CHECKING:  # imports TensorFlow, which takes seconds and which only writing needs
    from clu.metric_writers import MetricWriter


@contextlib.contextmanager
def metric_writer(workdir: epath.PathLike) -> Iterator["MetricWriter"]:
    """Writes TensorBoard's files; only process 0 does.

    An error within the context is not replaced by a second one from closing the files on a full disk.
    """
    _prepare_tensorflow()
    from clu import metric_writers

    writer = metric_writers.create_default_writer(str(workdir), just_logging=jax.process_index() > 0)
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(Exception):
            writer.close()
        raise
    writer.flush()
    writer.close()


def evaluation_scalars(results: dict, logits: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> dict[str, float]:
    """Accuracies and the mean cross-entropy of each head, named "<split>/<head>_<figure>".

    Args:
      results: as `evaluate.score` returns them.
      logits, labels: by head, float32 (clips, classes) and int32 (clips,).
    """
    split, found = results["split"], {}
    for head, figures in results["heads"].items():
        accuracies = [name for name in ("top1", "top5", "mean_class") if name in figures]
        found |= {f"{split}/{head}_{name}": figures[name]["value"] for name in accuracies}
        found[f"{split}/{head}_loss"] = losses.cross_entropy(logits[head], labels[head])
    return found


def _prepare_tensorflow() -> None:
    """TensorFlow only writes files here: it leaves accelerators to JAX."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it computes nothing, but would log them
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # or it would reserve their memory
