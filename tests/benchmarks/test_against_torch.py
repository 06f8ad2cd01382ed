"""The rows of benchmarks/against_torch.py from times given here, and its refusals; nothing is timed."""

import importlib.util
import pathlib
import re

import pytest

from benchmarks import against_torch

PAGE = pathlib.Path(against_torch.__file__).with_name("README.md")


def test_a_row_has_the_faster_format_and_the_ratios_of_each_round():
    times = {"ours": [30.0, 10.0, 20.0], "contiguous": [50.0, 50.0, 50.0], "channels_last": [40.0, 10.0, 80.0]}
    assert against_torch.row("tsn", "forward", 2, times, 12.34) == (
        "| tsn | forward | 2 | 20.0 [10.0, 30.0] | 40.0 [10.0, 80.0] (channels_last) | 0.75 [0.25, 1.00] | 12.3 |"
    )


def test_the_calls_alternate_and_the_first_round_does_not_count(monkeypatch):
    order = []
    monkeypatch.setattr(against_torch, "sample", lambda call: call())
    calls = {name: lambda name=name: order.append(name) or len(order) for name in ("ours", "theirs")}
    assert against_torch.alternate(calls, 3) == {"ours": [3, 5, 7], "theirs": [4, 6, 8]}
    assert order == ["ours", "theirs"] * 4


def test_the_call_that_gets_its_memory_anew_does_not_count(monkeypatch):
    now = [0.0]

    def call():
        now[0] += 9.0 if not now[0] else 0.2

    monkeypatch.setattr(against_torch.time, "perf_counter", lambda: now[0])
    assert against_torch.sample(call) == pytest.approx(200.0)


def test_without_pytorch_or_with_an_unknown_network_one_line_tells_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"error: PyTorch is not installed; .*: pip install torch$"):
        against_torch.check(["i3d"])
    with pytest.raises(SystemExit, match=r"error: --networks has no 'i3dd'; it has i3d, i3d_16x112, i3d_demo, "):
        against_torch.check(["i3d", "i3dd"])


def test_every_benchmark_has_its_row_on_the_page():
    files = {path.stem for path in PAGE.parent.glob("*.py")} - {"__init__", "figures"}
    assert set(re.findall(r"^\| `python -m benchmarks\.(\w+)", PAGE.read_text(), re.MULTILINE)) == files
