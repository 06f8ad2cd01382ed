"""Clips of a split -> batches, decoded ahead of time by threads.

A batch is a function of its number, so the threads only decide when a row is ready, never what is in it.
Threads suffice: OpenCV decodes and NumPy copies without holding Python's global interpreter lock.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from haa_jax import streams
from haa_jax.data import sampling
from haa_jax.data.views import Clip, ClipViews, empty_clips, row, train_clip

if TYPE_CHECKING:  # opening a dataset needs TFDS, batches do not
    from haa_jax.data.dataset import Split


class Views(NamedTuple):
    """The views of a clip: windows in time, 0 for as many as show all of its frames, and crops of each window."""

    windows: int = 1
    crops: int = 1


def num_views(num_frames: Sequence[int], data, views: Views) -> np.ndarray:
    """The number of views of each clip: int64 (clips,).

    Args:
      num_frames: of each clip.
      data: `config.data`.
    """
    lengths = [streams.num_positions(int(frames), data) for frames in num_frames]
    return np.array([views.crops * sampling.num_windows(length, data, views.windows) for length in lengths], np.int64)


@dataclasses.dataclass(frozen=True)
class ProcessShard:
    """Which rows of every global batch this process decodes."""

    process: int = 0
    num_processes: int = 1

    def rows(self, batch_size: int) -> slice:
        size = batch_size // self.num_processes
        return slice(self.process * size, (self.process + 1) * size)


def train_batches(split: "Split", data, batch_size: int, seed: int, start: int, shard: ProcessShard) -> Iterator[dict]:
    """Endless training batches, starting with that of step `start`.

    Args:
      data: `config.data` (see configs/base.py).
      batch_size: clips in the global batch.
      start: the first step, 0 for a new run.

    Yields:
      {"clips": {stream: (rows, *shape)} with shapes and dtypes of `streams.clip_spec`, "labels": {head: int32
      (rows,)}}; the rows of `shard`.
    """

    def plan(step: int):
        clips, examples = sampling.batch_clips(seed, step, batch_size, len(split))
        rows = shard.rows(batch_size)
        clips, examples = clips[rows], examples[rows]
        fill = [
            lambda out, clip=int(clip), example=int(example): train_clip(
                split.reader[clip], data, sampling.example_rng(seed, example), out
            )
            for clip, example in zip(clips, examples, strict=True)
        ]
        labels = {name: values[clips] for name, values in split.labels.items()}
        return {"clips": empty_clips(data, len(fill)), "labels": labels}, fill

    return prefetched(map(plan, itertools.count(start)), data.threads, data.prefetch)


def eval_batches(split: "Split", data, views: Views, batch_size: int, shard: ProcessShard) -> Iterator[dict]:
    """Every view of every clip of a split once, one in each row; the last batches are padded with rows of mask False.

    The views of a clip are consecutive rows of one process, which decodes the clip once; they may span batches.

    Args:
      data: `config.data` at test (`at_test`).
      batch_size: views in the global batch.

    Yields:
      {"clips": {stream: (rows, *shape)} with shapes and dtypes of `streams.clip_spec`, "index": int32 (rows,) number of
      the clip in the split, "view": int32 (rows,) number of its view, "mask": bool (rows,)}; the same number of batches
      in every process.
    """
    size = batch_size // shard.num_processes  # rows of this process
    each = num_views(split.index.num_frames, data, views)
    rows = itertools.chain(_views(split, data, views, each, shard), itertools.repeat((0, 0, None)))

    def plan(_):
        clips, numbers, fill = zip(*itertools.islice(rows, size), strict=True)
        batch = {
            "clips": empty_clips(data, size),
            "index": np.array(clips, np.int32),
            "view": np.array(numbers, np.int32),
            "mask": np.array([write is not None for write in fill]),
        }
        return batch, [write or blank for write in fill]

    return prefetched(map(plan, range(num_eval_batches(each, batch_size, shard))), data.threads, data.prefetch)


def num_eval_batches(num_views: np.ndarray, batch_size: int, shard: ProcessShard) -> int:
    """Number of batches of `eval_batches` for clips of so many views: that of the process with the most views."""
    size = batch_size // shard.num_processes
    most = max(int(num_views[process :: shard.num_processes].sum()) for process in range(shard.num_processes))
    return -(-most // size)


def _views(
    split: "Split", data, views: Views, each: np.ndarray, shard: ProcessShard
) -> Iterator[tuple[int, int, Callable]]:
    """(clip, view, function that writes it) for every view of this process's clips; clip i has `each[i]` views."""
    for clip in range(shard.process, len(split), shard.num_processes):
        clip_views = ClipViews(functools.partial(split.reader.__getitem__, clip), data, *views)
        for view in range(each[clip]):
            yield clip, view, functools.partial(clip_views.write, view)


def at_test(data, evaluation) -> ConfigDict:
    """`config.data` with the frames and sizes of `config.eval`, where they are not 0 (as in training)."""
    changes = {field: evaluation[field] for field in ("frames", "resize", "crop") if evaluation[field]}
    return ConfigDict(data.to_dict() | changes)


def blank(out: Clip) -> None:
    """Writes the clip of a padded row."""
    for array in out.values():
        array[...] = 0


def prefetched(plans: Iterator[tuple[dict, list[Callable]]], threads: int, ahead: int) -> Iterator[dict]:
    """Executes plans in order, `ahead` batches ahead of the one that is used; a row is the task of one thread.

    Args:
      plans: a batch, whose "clips" are still empty, and for each row a function that writes the row's clip.
      threads: 0 for one per core.
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads or cores(), thread_name_prefix="decode")

    def submit(plan):
        batch, fill = plan
        return batch, [pool.submit(write, row(batch["clips"], i)) for i, write in enumerate(fill)]

    pending = collections.deque()
    try:
        for plan in plans:
            pending.append(submit(plan))
            del plan  # or its clips would stay in memory after their batch was used
            if len(pending) > ahead:
                yield _finish(*pending.popleft())
        while pending:
            yield _finish(*pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """Cores that this process may use: schedulers give each process of a host its own."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _finish(batch: dict, rows: list[concurrent.futures.Future]) -> dict:
    for future in rows:
        future.result()  # raises what the row's thread raised
    return batch
