"""Clips of a split -> batches of uint8 frames, decoded ahead of time by threads.

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

from haa_jax.data import augment, sampling
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
      {"clips": uint8 (rows, frames, crop, crop, 3), "labels": {head: int32 (rows,)}}; rows as `share` says.
    """

    def plan(step: int):
        clips, examples = sampling.batch_clips(seed, step, batch_size, len(split))
        rows = share.rows(batch_size)
        clips, examples = clips[rows], examples[rows]
        fill = [
            lambda out, clip=int(clip), example=int(example): _train_clip(
                split, clip, config, sampling.example_rng(seed, example), out
            )
            for clip, example in zip(clips, examples, strict=True)
        ]
        return {"labels": {name: values[clips] for name, values in split.labels.items()}}, fill

    shape = (config.frames, config.crop, config.crop, 3)
    return _prefetched(map(plan, itertools.count(start)), shape, config)


def eval_batches(split: Split, config, views, batch_size: int, share: Share) -> Iterator[dict]:
    """Every clip of a split once, the last batch filled up with rows whose mask is false.

    Args:
      config: `config.data`.
      views: `config.eval`: how many windows and crops of each clip.
      batch_size: clips in the global batch.

    Yields:
      {"clips": uint8 (rows, views, frames, crop, crop, 3), "index": int32 (rows,) clip of the split,
      "labels": {head: int32 (rows,)}, "mask": bool (rows,)}; the same number of batches in every process.
    """

    def plan(batch: int):
        numbers = np.arange(batch * batch_size, (batch + 1) * batch_size)[share.rows(batch_size)]
        mask = numbers < len(split)
        clips = np.where(mask, numbers, 0)
        fill = [
            (lambda out, clip=int(clip): _test_clip(split, clip, config, views, out)) if real else _blank
            for clip, real in zip(clips, mask, strict=True)
        ]
        labels = {name: values[clips] for name, values in split.labels.items()}
        return {"index": clips.astype(np.int32), "mask": mask, "labels": labels}, fill

    batches = -(-len(split) // batch_size)
    shape = (views.windows * views.crops, config.frames, config.crop, config.crop, 3)
    return _prefetched(map(plan, range(batches)), shape, config)


def _train_clip(split: Split, clip: int, config, rng: np.random.Generator, out: np.ndarray) -> None:
    """Writes one random window of a clip to `out` (frames, crop, crop, 3)."""
    jpegs = split.reader[clip]["video"]
    start = sampling.random_start(len(jpegs), config.frames, config.stride, rng)
    frames = sampling.frame_indices(start, len(jpegs), config.frames, config.stride, config.short_clips)
    images = _decode(jpegs, frames, config.resize)
    top, left = augment.random_corner(*images[frames[0]].shape[:2], config.crop, rng)
    flip = config.flip and rng.random() < 0.5
    for row, frame in zip(out, frames, strict=True):
        crop = images[frame][top : top + config.crop, left : left + config.crop]
        row[...] = crop[:, ::-1] if flip else crop


def _test_clip(split: Split, clip: int, config, views, out: np.ndarray) -> None:
    """Writes all views of a clip to `out` (views, frames, crop, crop, 3), each frame decoded once."""
    jpegs = split.reader[clip]["video"]
    starts = sampling.window_starts(len(jpegs), config.frames, config.stride, views.windows)
    windows = [
        sampling.frame_indices(start, len(jpegs), config.frames, config.stride, config.short_clips) for start in starts
    ]
    images = _decode(jpegs, np.concatenate(windows), config.resize)
    height, width = next(iter(images.values())).shape[:2]
    corners = augment.test_corners(height, width, config.crop, views.crops)
    for view, (frames, (top, left)) in zip(out, itertools.product(windows, corners), strict=True):
        for row, frame in zip(view, frames, strict=True):
            row[...] = images[frame][top : top + config.crop, left : left + config.crop]


def _blank(out: np.ndarray) -> None:
    out[...] = 0


def _decode(jpegs, frames: np.ndarray, short_side: int) -> dict[int, np.ndarray]:
    return {int(frame): augment.decode(jpegs[frame], short_side) for frame in np.unique(frames)}


def _prefetched(plans: Iterator[tuple[dict, list[Callable]]], shape: tuple[int, ...], config) -> Iterator[dict]:
    """Carries out plans in order, `config.prefetch` batches ahead, a thread a clip.

    A plan is a batch without its clips, and a function for each row that writes the row's clip.
    """
    threads = config.threads or os.cpu_count()
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def submit(plan):
        batch, fill = plan
        clips = np.empty((len(fill), *shape), np.uint8)
        return {**batch, "clips": clips}, [pool.submit(write, out) for write, out in zip(fill, clips, strict=True)]

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


def _finish(batch: dict, rows: list[concurrent.futures.Future]) -> dict:
    for row in rows:
        row.result()  # raises what the row's thread raised
    return batch
