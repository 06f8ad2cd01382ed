"""Training speed, the share of time spent waiting for data, and the time left."""

import time


class Progress:
    """Rates over the steps since the last report, leaving out compilation, evaluation and saving.

    Args:
      total_steps: steps of the whole training.
      batch_size: clips per step.
      every_seconds: time between reports.
    """

    def __init__(self, total_steps: int, batch_size: int, every_seconds: float):
        self._total = total_steps
        self._batch_size = batch_size
        self._every = every_seconds
        self._last_report = time.monotonic()
        self._reset()

    def _reset(self) -> None:
        self._steps = 0
        self._busy = 0.0
        self._waiting = 0.0

    def add(self, step_seconds: float, data_seconds: float) -> None:
        """Counts a step: its whole duration, and how much of it was spent waiting for data."""
        self._steps += 1
        self._busy += step_seconds
        self._waiting += data_seconds

    def due(self) -> bool:
        """Whether to report after the current step."""
        return time.monotonic() - self._last_report >= self._every

    def report(self, step: int) -> dict[str, float]:
        """Figures of the steps since the last report (at least one); starts a new interval."""
        rate = self._steps / self._busy
        figures = {
            "clips_per_second": rate * self._batch_size,
            "waiting_for_data": self._waiting / self._busy,
            "seconds_left": (self._total - step) / rate,
        }
        self._last_report = time.monotonic()
        self._reset()
        return figures


def clock(seconds: float) -> str:
    """h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
