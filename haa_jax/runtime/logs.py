"""Who says what: process 0 everything, the others their warnings, which carry their number."""

import logging as std_logging

from absl import logging


class _Numbered(logging.PythonFormatter):
    def __init__(self, process: int):
        super().__init__()
        self._process = process

    def format(self, record: std_logging.LogRecord) -> str:
        return f"process {self._process}: {super().format(record)}"


def speak_as(process: int) -> None:
    """Sets up the logs of process number `process`, 0 where it is alone."""
    logging.set_verbosity(logging.WARNING)  # Orbax alone says hundreds of things at INFO
    std_logging.getLogger("haa_jax").setLevel(std_logging.WARNING if process else std_logging.INFO)
    if process:
        logging.get_absl_handler().setFormatter(_Numbered(process))
