"""Work over clips in parallel processes, in order, with bounded memory and a progress bar."""

import collections
import contextlib
import gc
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
IN_FLIGHT = 2  # clips that a process may be ahead of the consumer: keeps it busy, bounds memory
_POLL = 0.5  # seconds between a worker's checks that its parent is still alive


def num_workers() -> int:
    """Processes to use: TFDS_HAA500_WORKERS if it is set, else one for each core that this process may use."""
    return int(os.environ.get("TFDS_HAA500_WORKERS") or loky.cpu_count())


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], workers: int | None = None
) -> Iterator[tuple[In, Out]]:
    """Yields (item, function(item)) in the order of `items`, computed by worker processes.

    loky starts processes that do not import the caller's main module, so that a plain script or notebook that calls
    `tfds.load` needs no `if __name__ == "__main__"`. They end with this process, even if it is killed.

    Args:
      workers: how many processes, each on one core; `num_workers()` by default.

    Raises:
      loky.process_executor.TerminatedWorkerError: a worker was killed (usually for memory).
    """
    workers = workers or num_workers()
    for tracker in (multiprocessing.resource_tracker, loky.backend.resource_tracker):
        tracker.ensure_running()  # else the first worker starts it, and starting it unblocks SIGINT
    with _without_interrupts():
        pool = loky.get_reusable_executor(max_workers=workers, initializer=_start_worker, initargs=(os.getpid(),))
    items, pending = iter(items), collections.deque()

    def submit(count: int) -> None:
        for item in itertools.islice(items, count):
            with _without_interrupts():
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
    """Ends the worker processes, even in the middle of a clip."""
    loky.get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)
    gc.collect()  # unlinks loky's semaphores now: while Python exits, loky may warn of them


def progress_bar(total: int, what: str) -> tqdm.tqdm:
    """Clips done, rate and time left on stderr; printed every ten seconds if that is a log file."""
    interval = 0.5 if sys.stderr.isatty() else 10
    return tqdm.tqdm(
        desc=what, total=total, unit=" clips", mininterval=interval, maxinterval=interval, dynamic_ncols=True
    )


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes and threads that are started within do not receive SIGINT, which a terminal sends to all of them.

    They inherit the signal mask. This process, whose other threads may receive the signal, handles it afterwards: an
    interrupt while a worker is starting would make the worker print a traceback.
    """
    received, handler = [], None
    if threading.current_thread() is threading.main_thread():  # Python lets no other set handlers
        handler = signal.signal(signal.SIGINT, lambda *signal_and_frame: received.append(signal_and_frame))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
    if received and callable(handler):
        handler(*received[0])


def _start_worker(parent: int) -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone: a killed parent cannot end it, and it would wait forever."""
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(1)
