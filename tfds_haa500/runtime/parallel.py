"""Work over clips in parallel processes, in order, with bounded memory and a progress bar."""

import collections
import contextlib
import itertools
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2
import loky
import loky.backend.resource_tracker
import tqdm

In = TypeVar("In")
Out = TypeVar("Out")
IN_FLIGHT = 2  # clips a process may be ahead of the consumer: keeps it busy, bounds memory
_LOOK = 0.5  # seconds between two looks of a worker whether its parent is still there


def num_workers() -> int:
    """Processes to use: TFDS_HAA500_WORKERS where it is set, else one for each core this process may use."""
    return int(os.environ.get("TFDS_HAA500_WORKERS") or loky.cpu_count())


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], workers: int | None = None
) -> Iterator[tuple[In, Out]]:
    """Yields (item, function(item)) in the order of `items`, computed by worker processes.

    loky starts processes that do not import the caller's main module, so that a plain script or notebook that calls
    `tfds.load` needs no `if __name__ == "__main__"`. They end with this process, however it ends.

    Args:
      workers: how many processes, each of which keeps to one core; `num_workers()` by default.

    Raises:
      loky.process_executor.TerminatedWorkerError: a worker was killed (usually for memory).
    """
    workers = workers or num_workers()
    for tracker in (multiprocessing.resource_tracker, loky.backend.resource_tracker):
        tracker.ensure_running()  # it would be started with the first worker, and unblocks SIGINT when it is
    with _interrupts_are_ours():
        pool = loky.get_reusable_executor(max_workers=workers, initializer=_start_worker, initargs=(os.getpid(),))
    items, pending = iter(items), collections.deque()

    def submit(count: int) -> None:
        for item in itertools.islice(items, count):
            with _interrupts_are_ours():
                pending.append((item, pool.submit(function, item)))

    submit(IN_FLIGHT * workers)
    try:
        while pending:
            item, future = pending.popleft()
            yield item, future.result()
            submit(1)
    finally:
        for _, future in pending:
            future.cancel()


def stop() -> None:
    """Ends the worker processes, whatever they are at."""
    loky.get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def progress_bar(total: int, what: str) -> tqdm.tqdm:
    """Done, rate and time left on stderr; ten seconds apart where that is a log file."""
    interval = 0.5 if sys.stderr.isatty() else 10
    return tqdm.tqdm(
        desc=what, total=total, unit=" clips", mininterval=interval, maxinterval=interval, dynamic_ncols=True
    )


@contextlib.contextmanager
def _interrupts_are_ours() -> Iterator[None]:
    """Processes and threads that are started within do not get SIGINT, which a terminal sends to all of them.

    They inherit what is blocked here. This process, whose other threads may get the signal, takes it afterwards: a
    worker that is half started would complain.
    """
    came, handler = [], None
    if threading.current_thread() is threading.main_thread():  # no other is interrupted, or may set handlers
        handler = signal.signal(signal.SIGINT, lambda *signal_and_frame: came.append(signal_and_frame))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
    if came and callable(handler):
        handler(*came[0])


def _start_worker(parent: int) -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone: one that was killed cannot end it, and it would wait for ever."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)
