import time

import jax
import pytest

from haa_jax.runtime import hosts


@pytest.fixture
def left(monkeypatch):
    """Makes this process one of two, and lists why it would have been ended."""
    reasons = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(hosts, "abort", reasons.append)
    return reasons


def test_a_wait_that_ends_in_time_says_nothing(left, caplog):
    with hosts.waiting("tea", seconds=5, quiet=1):
        pass
    assert not caplog.text
    assert not left


def test_a_long_wait_has_a_line_with_its_name(left, caplog):
    with hosts.waiting("tea", seconds=60, quiet=0.05):
        time.sleep(0.2)
    time.sleep(0.1)  # the watching thread's
    assert "waiting for the other processes: tea (for 60 s at most)" in caplog.text
    assert "the other processes have arrived: tea" in caplog.text
    assert not left


def test_a_wait_without_end_ends_the_process(left, capfd):
    with hosts.waiting("tea", seconds=0.3, quiet=0.05):
        time.sleep(0.6)
    assert left == ["the other processes did not arrive within 0 s: tea"]
    assert "test_hosts.py" in capfd.readouterr().err  # where each thread was


def test_an_error_within_a_wait_ends_the_wait(left):
    with pytest.raises(ZeroDivisionError), hosts.waiting("tea", seconds=0.2, quiet=0.1):
        raise ZeroDivisionError
    time.sleep(0.4)
    assert not left


def test_alone_there_is_nobody_to_wait_for(caplog):
    with hosts.waiting("tea", seconds=0.01, quiet=0.0):
        time.sleep(0.1)
    assert hosts.broadcast("number", 7) == 7
    assert hosts.all_agree("yes", True) is True
    assert hosts.all_agree("no", False) is False
    hosts.barrier("nothing")
    assert not caplog.text
