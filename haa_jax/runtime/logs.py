"""What each process logs: process 0 everything, the others only warnings, prefixed with their number."""

import logging as std_logging

from absl import logging


class _Numbered(logging.PythonFormatter):
    def __init__(self, process: int):
        super().__init__()
        self._process = process

    def format(self, record: std_logging.LogRecord) -> str:
        return f"process {self._process}: {super().format(record)}"


def set_up_logging(process: int = 0) -> None:
    """Sets levels and prefix for process number `process`."""
    logging.set_verbosity(logging.WARNING)  # at INFO, Orbax alone logs hundreds of lines
    std_logging.getLogger("haa_jax").setLevel(std_logging.WARNING if process else std_logging.INFO)
    if process:
        logging.get_absl_handler().setFormatter(_Numbered(process))
