"""Reads several videos at once, ahead of their use, in threads: PyAV and OpenCV decode without holding the GIL."""

import collections
import concurrent.futures
import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from haa_jax.errors import UserError

_WAIT = 0.2  # seconds after which a thread that waits looks whether it is still wanted


def in_order(jobs: Sequence[Callable[[], Iterator]], threads: int, ahead: int) -> Iterator[tuple[int, object]]:
    """The items of some iterators, one iterator after the other, while threads already run the next ones.

    Args:
      jobs: each makes an iterator; `threads` of them run at once.
      ahead: items of each iterator that are made before they are wanted.

    Yields:
      (number of the job, item), and after its last item (number, None), or (number, error) for a UserError.

    Raises:
      Whatever else an iterator raises.
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="read")
    stopped, waiting = threading.Event(), collections.deque()
    left = iter(jobs)

    def start(job):
        items = queue.Queue(ahead)
        waiting.append((pool.submit(_run, job, items, stopped), items))

    try:
        for job in itertools.islice(left, threads):
            start(job)
        for number in range(len(jobs)):
            future, items = waiting.popleft()
            item = items.get()
            while item is not None and not isinstance(item, Exception):
                yield number, item
                item = items.get()
            if item is not None and not isinstance(item, UserError):
                future.result()  # raises it, with its traceback
            yield number, item
            for job in itertools.islice(left, 1):
                start(job)
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _run(job: Callable[[], Iterator], items: queue.Queue, stopped: threading.Event) -> None:
    """Puts the items of a job into a queue, then None or what it raised."""
    try:
        for item in job():
            if not _put(item, items, stopped):
                return
    except UserError as error:
        _put(error, items, stopped)
    except Exception as error:
        _put(error, items, stopped)
        raise
    else:
        _put(None, items, stopped)


def _put(item, items: queue.Queue, stopped: threading.Event) -> bool:
    """Waits for room in a queue; False if nobody takes from it any more."""
    while not stopped.is_set():
        try:
            items.put(item, timeout=_WAIT)
            return True
        except queue.Full:
            continue
    return False
