"""Work over clips in parallel processes, in order, with bounded memory and a progress bar."""

import collections
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2
import loky
import tqdm

In = TypeVar("In")
Out = TypeVar("Out")
IN_FLIGHT = 2  # clips a process may be ahead of the consumer: keeps it busy, bounds memory


def num_workers() -> int:
    """Processes to use: TFDS_HAA500_WORKERS where it is set, else one for each core this process may use."""
    return int(os.environ.get("TFDS_HAA500_WORKERS") or loky.cpu_count())


def executor(workers: int | None = None):
    """The pool of worker processes: `workers` of them, or `num_workers()`. Each keeps to one core.

    loky starts processes that do not import the caller's main module, so that a plain script or notebook
    that calls `tfds.load` needs no `if __name__ == "__main__"`.
    """
    return loky.get_reusable_executor(
        max_workers=workers or num_workers(), initializer=cv2.setNumThreads, initargs=(1,)
    )


def ordered_map(function: Callable[[In], Out], items: Iterable[In]) -> Iterator[tuple[In, Out]]:
    """Yields (item, function(item)) in the order of `items`, computed by worker processes.

    Raises:
      loky.process_executor.TerminatedWorkerError: a worker was killed (usually for memory).
    """
    pool = executor()
    items = iter(items)
    pending = collections.deque(
        (item, pool.submit(function, item)) for item in itertools.islice(items, IN_FLIGHT * num_workers())
    )
    while pending:
        item, future = pending.popleft()
        yield item, future.result()
        pending.extend((item, pool.submit(function, item)) for item in itertools.islice(items, 1))


def progress_bar(total: int, what: str) -> tqdm.tqdm:
    """Done, rate and time left on stderr; ten seconds apart where that is a log file."""
    interval = 0.5 if sys.stderr.isatty() else 10
    return tqdm.tqdm(
        desc=what, total=total, unit=" clips", mininterval=interval, maxinterval=interval, dynamic_ncols=True
    )
