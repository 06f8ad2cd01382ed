"""Clips of a split -> batches, decoded ahead of time by threads.

A batch is a function of its number, so the threads only decide when a row is ready, never what is in it.
Threads suffice: OpenCV decodes and NumPy copies outside Python's interpreter lock.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from haa_jax.data import sampling
from haa_jax.streams import views as streams

if TYPE_CHECKING:  # opening a dataset imports TensorFlow Datasets; what is decided here about a clip does not need it
    from haa_jax.data.dataset import Split


class Views(NamedTuple):
    """How often a clip is looked at: windows in time (0: as many as show all of it), and crops of each."""

    windows: int = 1
    crops: int = 1


def num_views(split: "Split", config, views: Views) -> np.ndarray:
    """How many views each clip of a split has: int64 (clips,)."""
    lengths = [streams.num_positions(int(frames), config) for frames in split.index.num_frames]
    return np.array([views.crops * sampling.num_windows(length, config, views.windows) for length in lengths], np.int64)


@dataclasses.dataclass(frozen=True)
class ProcessShard:
    """The rows of every global batch that this process decodes."""

    process: int = 0
    num_processes: int = 1

    def rows(self, batch_size: int) -> slice:
        size = batch_size // self.num_processes
        return slice(self.process * size, (self.process + 1) * size)


def train_batches(
    split: "Split", config, batch_size: int, seed: int, start: int, shard: ProcessShard
) -> Iterator[dict]:
    """Endless training batches from step `start` on.

    Args:
      config: `config.data` (see configs/base.py).
      batch_size: clips in the global batch.
      start: the first step, 0 for a new run.

    Yields:
      {"clips": {part: (rows, *shape)} as `streams.clip_spec` says, "labels": {head: int32 (rows,)}}; rows
      as `shard` says.
    """

    def plan(step: int):
        clips, examples = sampling.batch_clips(seed, step, batch_size, len(split))
        rows = shard.rows(batch_size)
        clips, examples = clips[rows], examples[rows]
        fill = [
            lambda out, clip=int(clip), example=int(example): streams.train_clip(
                split.reader[clip], config, sampling.example_rng(seed, example), out
            )
            for clip, example in zip(clips, examples, strict=True)
        ]
        return {"labels": {name: values[clips] for name, values in split.labels.items()}}, fill

    return _prefetched(map(plan, itertools.count(start)), config)


def eval_batches(split: "Split", config, views: Views, batch_size: int, shard: ProcessShard) -> Iterator[dict]:
    """Every view of every clip of a split once, a row each, the last batches filled up with rows whose mask is false.

    The views of a clip follow one another in one process, which decodes the clip once, and may be spread over batches.

    Args:
      config: `config.data`, as `at_test` makes it.
      batch_size: views in the global batch.

    Yields:
      {"clips": {part: (rows, *shape)} as `streams.clip_spec` says, "index": int32 (rows,) clip of the split, "view":
      int32 (rows,) which of its views, "mask": bool (rows,)}; the same number of batches in every process.
    """
    # From here on, a batch is what one process has of it.
    size = batch_size // shard.num_processes
    each = num_views(split, config, views)
    rows = itertools.chain(_views(split, config, views, each, shard), itertools.repeat((0, 0, None)))

    def plan(_):
        clips, numbers, fill = zip(*itertools.islice(rows, size), strict=True)
        batch = {
            "index": np.array(clips, np.int32),
            "view": np.array(numbers, np.int32),
            "mask": np.array([write is not None for write in fill]),
        }
        return batch, [write or _blank for write in fill]

    return _prefetched(map(plan, range(num_eval_batches(each, batch_size, shard))), config)


def num_eval_batches(num_views: np.ndarray, batch_size: int, shard: ProcessShard) -> int:
    """Batches that `eval_batches` yields for clips of so many views: what the process with the most views needs."""
    size = batch_size // shard.num_processes
    most = max(int(num_views[process :: shard.num_processes].sum()) for process in range(shard.num_processes))
    return -(-most // size)


def _views(
    split: "Split", config, views: Views, each: np.ndarray, shard: ProcessShard
) -> Iterator[tuple[int, int, Callable]]:
    """(clip, view, function that writes it) of every view of this process's clips; `each` is how many a clip has."""
    for clip in range(shard.process, len(split), shard.num_processes):
        clip_views = streams.ClipViews(functools.partial(split.reader.__getitem__, clip), config, *views)
        for view in range(each[clip]):
            yield clip, view, functools.partial(clip_views.write, view)


def at_test(config, views) -> ConfigDict:
    """`config.data` with the frames, sizes and crops that `config.eval` sets otherwise (0: as in training)."""
    changes = {field: views[field] for field in ("frames", "resize", "crop") if views[field]}
    return ConfigDict(config.to_dict() | changes)


def _blank(out: streams.Clip) -> None:
    for array in out.values():
        array[...] = 0


def _prefetched(plans: Iterator[tuple[dict, list[Callable]]], config) -> Iterator[dict]:
    """Carries out plans in order, `config.prefetch` batches ahead, a thread a row.

    A plan is a batch without its clips, and a function for each row that writes the row's clip.
    """
    threads = config.threads or _cores()
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def submit(plan):
        batch, fill = plan
        clips = streams.empty_clips(config, len(fill))
        return {**batch, "clips": clips}, [pool.submit(write, streams.row(clips, i)) for i, write in enumerate(fill)]

    pending = collections.deque()
    try:
        for plan in plans:
            pending.append(submit(plan))
            if len(pending) > config.prefetch:
                yield _finish(*pending.popleft())
        while pending:
            yield _finish(*pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    """Those that this process may use: schedulers give each process of a host its own."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _finish(batch: dict, rows: list[concurrent.futures.Future]) -> dict:
    for row in rows:
        row.result()  # raises what the row's thread raised
    return batch
