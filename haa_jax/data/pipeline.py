"""Clips of a split -> batches, decoded ahead of time by threads.

A batch is a function of its number, so the threads only decide when a row is ready, never what is in it.
Threads suffice: OpenCV decodes and NumPy copies outside Python's interpreter lock.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator

import numpy as np
from ml_collections import ConfigDict

from haa_jax.data import sampling, streams
from haa_jax.data.dataset import Split


@dataclasses.dataclass(frozen=True)
class Share:
    """The rows of every global batch that this process decodes."""

    process: int = 0
    num_processes: int = 1

    def rows(self, batch_size: int) -> slice:
        size = batch_size // self.num_processes
        return slice(self.process * size, (self.process + 1) * size)


def train_batches(split: Split, config, batch_size: int, seed: int, start: int, share: Share) -> Iterator[dict]:
    """Endless training batches from step `start` on.

    Args:
      config: `config.data` (see configs/base.py).
      batch_size: clips in the global batch.
      start: the first step, 0 for a new run.

    Yields:
      {"clips": {part: (rows, *shape)} as `streams.clip_spec` says, "labels": {head: int32 (rows,)}}; rows
      as `share` says.
    """

    def plan(step: int):
        clips, examples = sampling.batch_clips(seed, step, batch_size, len(split))
        rows = share.rows(batch_size)
        clips, examples = clips[rows], examples[rows]
        fill = [
            lambda out, clip=int(clip), example=int(example): streams.train_clip(
                split.reader[clip], config, sampling.example_rng(seed, example), out
            )
            for clip, example in zip(clips, examples, strict=True)
        ]
        return {"labels": {name: values[clips] for name, values in split.labels.items()}}, fill

    return _prefetched(map(plan, itertools.count(start)), (), config)


def eval_batches(split: Split, config, views, batch_size: int, share: Share) -> Iterator[dict]:
    """Every clip of a split once, the last batch filled up with rows whose mask is false.

    Args:
      config: `config.data`, as `at_test` makes it.
      views: `config.eval`: how many windows and crops of each clip.
      batch_size: clips in the global batch.

    Yields:
      {"clips": {part: (rows, views, *shape)} as `streams.clip_spec` says, "index": int32 (rows,) clip of the split,
      "labels": {head: int32 (rows,)}, "mask": bool (rows,)}; the same number of batches in every process.
    """

    def plan(batch: int):
        numbers = np.arange(batch * batch_size, (batch + 1) * batch_size)[share.rows(batch_size)]
        mask = numbers < len(split)
        clips = np.where(mask, numbers, 0)
        fill = [
            (lambda out, clip=int(clip): streams.test_clip(split.reader[clip], config, views.windows, views.crops, out))
            if real
            else _blank
            for clip, real in zip(clips, mask, strict=True)
        ]
        labels = {name: values[clips] for name, values in split.labels.items()}
        return {"index": clips.astype(np.int32), "mask": mask, "labels": labels}, fill

    batches = -(-len(split) // batch_size)
    return _prefetched(map(plan, range(batches)), (views.windows * views.crops,), config)


def at_test(config, views) -> ConfigDict:
    """`config.data` with the frames, sizes and crops that `config.eval` sets otherwise (0: as in training)."""
    changes = {field: views[field] for field in ("frames", "resize", "crop") if views[field]}
    return ConfigDict(config.to_dict() | changes)


def _blank(out: streams.Clip) -> None:
    for array in out.values():
        array[...] = 0


def _prefetched(plans: Iterator[tuple[dict, list[Callable]]], views: tuple[int, ...], config) -> Iterator[dict]:
    """Carries out plans in order, `config.prefetch` batches ahead, a thread a clip.

    A plan is a batch without its clips, and a function for each row that writes the row's clip, or its views.
    """
    threads = config.threads or _cores()
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def submit(plan):
        batch, fill = plan
        clips = streams.empty_clips(config, len(fill), *views)
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
