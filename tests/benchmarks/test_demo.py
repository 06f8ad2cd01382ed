"""The table of the demos' results, from runs written here, and which runs count as finished. Nothing trains."""

import json
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

from benchmarks import demo
from haa_jax import config_flag


def write_run(workdir, seed: int, name: str, correct: int, seconds=((60.0, 90.0),)) -> pathlib.Path:
    """Writes a finished run: its metrics.json, and (wall, CPU) seconds of each start."""
    folder = demo.place(workdir, seed, name)
    folder.mkdir(parents=True)
    top1 = {"value": correct / 48, "correct": correct, "count": 48}
    (folder / "metrics.json").write_text(json.dumps({"evaluated_head": "atomic", "heads": {"atomic": {"top1": top1}}}))
    demo.write_sittings(folder, list(seconds))
    return folder


def cells(text: str) -> dict[str, list[str]]:
    """The first cell of each row -> the others."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {first: rest for first, *rest in rows}


def test_the_table_has_each_seeds_clips_their_spread_and_the_minutes(tmp_path):
    for seed, correct in enumerate((45, 46, 48)):
        write_run(tmp_path, seed, "i3d", correct, [(30.0, 60.0), (60.0, 102.0)][: seed + 1])
    write_run(tmp_path, 1, demo.FUSED, 47)
    rows = cells(demo.table(tmp_path, [0, 1, 2]))
    assert rows["demo"] == ["seed 0", "seed 1", "seed 2", "clips", "top-1", "minutes", "CPU minutes"]
    assert rows["`configs/i3d.py:demo`"] == [
        *("45/48", "46/48", "48/48", "46.33 ± 1.53", "96.53 ± 3.18 %", "0.5, 1.5, 1.5", "1.0, 2.7, 2.7")
    ]
    assert rows["TSN's two streams fused, 1:1.5"] == [
        *("-", "47/48", "-", "47.00", "97.92 %", "-, 1.0, -", "-, 1.5, -")
    ]
    assert rows["`configs/tpn.py:demo`"] == ["-", "-", "-", "-", "-", "-, -, -", "-, -, -"]
    assert len(rows) == 2 + len(demo.NAMES)


def test_the_time_of_a_run_whose_end_was_not_observed_is_unknown(tmp_path):
    assert demo.minutes_of(write_run(tmp_path, 0, "tpn", 40, [(60.0, 90.0), None])) == ("?", "?")
    assert demo.minutes_of(write_run(tmp_path, 0, "tsn", 24, [])) == ("?", "?")


def test_only_what_is_not_finished_is_run_one_seed_after_the_other(tmp_path, monkeypatch):
    write_run(tmp_path, 0, "i3d", 45)
    write_run(tmp_path, 1, demo.FUSED, 45)
    ran = []

    def measured(line, folder, workdir):
        ran.append((folder.parent.name, folder.name))
        write_run(workdir, int(folder.parent.name.removeprefix("seed")), folder.name, 40)

    monkeypatch.setattr(demo, "measured", measured)
    demo.run_missing(tmp_path, [0, 1])
    wanted = [(f"seed{seed}", name) for seed in (0, 1) for name in demo.NAMES]
    assert ran == [run for run in wanted if run not in {("seed0", "i3d"), ("seed1", demo.FUSED)}]
    assert (tmp_path / "table.md").read_text() == demo.table(tmp_path, [0, 1]) + "\n"
    demo.run_missing(tmp_path, [0, 1])
    assert len(ran) == 14


def test_what_another_process_finishes_meanwhile_is_not_run_again(tmp_path, monkeypatch):
    ran = []

    def measured(line, folder, workdir):
        ran.append(folder.name)
        write_run(workdir, 0, folder.name, 40)
        if folder.name == "i3d":
            write_run(workdir, 0, "tpn", 40)

    monkeypatch.setattr(demo, "measured", measured)
    demo.run_missing(tmp_path, [0])
    assert ran == [name for name in demo.NAMES if name != "tpn"]


@pytest.mark.parametrize("text", [None, "", '{"evaluated_head": "atomic", "heads": {"ato', "{}", "[]"])
def test_a_metrics_file_that_is_missing_or_half_written_is_not_a_finished_run(text, tmp_path):
    folder = write_run(tmp_path, 0, "i3d", 45)
    assert demo.top1(folder)["correct"] == 45
    (folder / "metrics.json").unlink()
    if text is not None:
        (folder / "metrics.json").write_text(text)
    assert demo.top1(folder) is None


def test_a_run_that_fails_ends_all_with_its_last_lines_and_its_code(tmp_path, capsys):
    code = "import sys; print(*range(100), sep='\\n'); sys.exit('error: no such thing')"
    with pytest.raises(SystemExit) as ended:
        demo.measured([sys.executable, "-c", code], tmp_path / "run", tmp_path)
    printed = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert "error: no such thing" in printed[: demo.LAST_LINES]
    assert "99" in printed
    assert "9" not in printed
    assert len((tmp_path / "run.log").read_text().splitlines()) == 101
    assert [len(sitting) for sitting in demo.sittings(tmp_path / "run")] == [2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_forwarded_to_the_run_and_its_time_counts(number, tmp_path):
    def fail(*_):
        raise AssertionError("the signal was not handled")

    handler = signal.signal(number, fail)
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(75))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    log = tmp_path / "run.log"

    def stop():
        while not (log.exists() and "ready" in log.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop, daemon=True).start()
    try:
        with pytest.raises(SystemExit) as ended:
            demo.measured([sys.executable, "-c", code], tmp_path / "run", tmp_path)
        assert ended.value.code == 75
        assert signal.getsignal(number) is fail
        assert None not in demo.sittings(tmp_path / "run")
    finally:
        signal.signal(number, handler)


def test_each_command_is_of_a_demo_with_its_seed_in_a_folder_of_its_own(tmp_path):
    commands = {name: demo.command(tmp_path, 3, name) for name in demo.NAMES}
    assert set(commands) == {*demo.TRAININGS, demo.FUSED}
    for name in demo.TRAININGS:
        config = config_flag.load(commands[name][3].removeprefix("--config="))
        assert config.data.dataset == "haa500/demo"
        assert "--config.seed=3" in commands[name]
        assert f"--workdir={tmp_path / 'seed3' / name}" in commands[name]
    fused = [argument for argument in commands[demo.FUSED] if argument.endswith(".npz")]
    assert fused == [str(tmp_path / "seed3" / name / "predictions.npz") for name in ("tsn", "tsn_flow")]


@pytest.mark.parametrize("texts", [["0", "0"], ["0", "00"], ["-1"], ["a"], []])
def test_seeds_are_distinct_integers(texts):
    assert demo.parse_seeds(["0", "2"]) == [0, 2]
    with pytest.raises(SystemExit, match="must be distinct integers of 0 or more"):
        demo.parse_seeds(texts)
