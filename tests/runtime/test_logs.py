import logging as std_logging

import pytest
from absl import logging

from haa_jax.runtime.logs import set_up_logging


@pytest.fixture(autouse=True)
def _put_back():
    log = std_logging.getLogger("haa_jax")
    before = log.level, logging.get_verbosity()
    yield
    log.setLevel(before[0])
    logging.set_verbosity(before[1])
    logging.get_absl_handler().setFormatter(logging.PythonFormatter())


@pytest.mark.parametrize(("process", "prefix"), [(0, ""), (3, "process 3: ")])
def test_one_process_tells_and_the_others_warn_with_their_number(process, prefix):
    set_up_logging(process)
    log = std_logging.getLogger("haa_jax.train")
    assert log.isEnabledFor(std_logging.INFO) == (process == 0)
    assert log.isEnabledFor(std_logging.WARNING)
    record = log.makeRecord(log.name, std_logging.WARNING, "train.py", 1, "%d left", (7,), None)
    line = logging.get_absl_handler().python_handler.format(record)
    assert line.startswith(f"{prefix}W")
    assert line.endswith("train.py:1] 7 left")
