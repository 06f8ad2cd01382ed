"""The table of the demos' results: every network trained with several seeds, their spread and their cost.

    python -m benchmarks.demo --workdir=DIR [--seeds=0,1,2]

Builds `haa500/demo` in DIR/data if missing, runs one demo after another as a user would, seed by seed, and prints the
table. DIR/table.md is updated after every run; DIR/seed<N>/<run>.log has each run's output. After Ctrl-C or SIGTERM,
the same command resumes; finished runs are not repeated, so new code needs a new DIR. The same command with other seeds
may run at the same time. Takes hours for three seeds on two CPU cores.
"""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

from absl import app, flags

from haa_jax import config_flag
from haa_jax.runtime.files import atomic_write
from haa_jax.runtime.progress import clock

# Name of a training -> its command line, as in README.
TRAININGS = {
    "i3d": "--config=configs/i3d.py:demo",
    "i3d_one_frame": "--config=configs/i3d.py:demo --config.data.frames=1",
    "stgcn": "--config=configs/stgcn.py:demo",
    "tsn": "--config=configs/tsn.py:demo",
    "tsn_flow": "--config=configs/tsn.py:demo,flow",
    "slowfast": "--config=configs/slowfast.py:demo",
    "tpn": "--config=configs/tpn.py:demo",
}
FUSED, STREAMS, WEIGHTS = "tsn_fused", ("tsn", "tsn_flow"), "1,1.5"  # the weights of configs/tsn.py
NAMES = ("i3d", "i3d_one_frame", "stgcn", "tsn", "tsn_flow", FUSED, "slowfast", "tpn")
LAST_LINES = 15  # of a failed run's log that are printed


def main(argv: list[str]) -> None:
    config_flag.no_arguments(argv, "options are --workdir and --seeds")
    config_flag.require("workdir")
    seeds = parse_seeds(flags.FLAGS.seeds)
    workdir = pathlib.Path(flags.FLAGS.workdir).expanduser().absolute()
    workdir.mkdir(parents=True, exist_ok=True)
    build = [sys.executable, "-m", "tfds_haa500.build", "--config=demo", f"--data_dir={workdir / 'data'}"]
    say(f"haa500/demo in {workdir / 'data'}: building it if missing, see {workdir / 'data.log'}")
    measured(build, workdir / "data", workdir)
    run_missing(workdir, seeds)
    print(table(workdir, seeds))


def parse_seeds(texts: list[str]) -> list[int]:
    """The seeds: distinct integers, 0 or more. Ends the process if they are not."""
    if not texts or not all(re.fullmatch(r"\d+", text) for text in texts) or len(set(map(int, texts))) < len(texts):
        sys.exit(f"error: --seeds={','.join(texts)} must be distinct integers of 0 or more, such as 0,1,2")
    return [int(text) for text in texts]


def run_missing(workdir: pathlib.Path, seeds: list[int]) -> None:
    """Runs what is not finished, all demos of one seed before those of the next."""
    missing = [(seed, name) for seed in seeds for name in NAMES if top1(place(workdir, seed, name)) is None]
    started = time.monotonic()
    for done, (seed, name) in enumerate(missing):
        folder = place(workdir, seed, name)
        if top1(folder) is not None:
            continue  # finished meanwhile by another process
        left = clock((time.monotonic() - started) / done * (len(missing) - done)) if done else "unknown time"
        say(f"run {done + 1} of {len(missing)} missing: seed {seed}, {name}; {left} left; see {folder}.log")
        folder.parent.mkdir(exist_ok=True)
        measured(command(workdir, seed, name), folder, workdir)
        if top1(folder) is None:
            sys.exit(f"error: {name} with seed {seed} succeeded, but {folder / 'metrics.json'} is not complete")
        (workdir / "table.md").write_text(table(workdir, seeds) + "\n")


def place(workdir: pathlib.Path, seed: int, name: str) -> pathlib.Path:
    """The workdir of a run; its log and its times are next to it."""
    return workdir / f"seed{seed}" / name


def command(workdir: pathlib.Path, seed: int, name: str) -> list[str]:
    """The command line that a user would type."""
    folder = place(workdir, seed, name)
    if name == FUSED:
        files = [str(folder.parent / stream / "predictions.npz") for stream in STREAMS]
        return [sys.executable, "-m", "haa_jax.fuse", *files, f"--weights={WEIGHTS}", f"--out={folder}"]
    settings = [f"--config.seed={seed}", f"--config.data.data_dir={workdir / 'data'}", f"--workdir={folder}"]
    return [sys.executable, "-m", "haa_jax.main", *TRAININGS[name].split(), *settings]


def measured(line: list[str], folder: pathlib.Path, workdir: pathlib.Path) -> None:
    """Runs a command, and appends its output to <folder>.log and its times to <folder>.sittings.json.

    If the command fails, prints its last lines and ends this process with its exit code.
    """
    log, before = folder.with_name(f"{folder.name}.log"), sittings(folder)
    write_sittings(folder, [*before, None])  # remains if this process is killed too
    started, used = time.monotonic(), children_seconds()
    code = logged(line, log, workdir)
    write_sittings(folder, [*before, [time.monotonic() - started, children_seconds() - used]])
    if code:
        say("\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:]))
        say(f"error: exit code {code}, see {log}: {' '.join(line)}\nThe same command of benchmarks.demo resumes.")
        sys.exit(code if code > 0 else 1)


def logged(line: list[str], log: pathlib.Path, workdir: pathlib.Path) -> int:
    """Runs a command and returns its exit code; Ctrl-C and SIGTERM are forwarded, so that it saves and ends."""
    # All seeds of a network are the same program, compiled once.
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(workdir / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    }
    with log.open("a") as out:
        process = subprocess.Popen(
            line, stdout=out, stderr=subprocess.STDOUT, env=os.environ | cache, start_new_session=True
        )
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, _: process.send_signal(number)) for number in numbers]
    try:
        return process.wait()
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def children_seconds() -> float:
    """CPU time of all descendants of this process that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def sittings(folder: pathlib.Path) -> list[list[float] | None]:
    """(wall, CPU) seconds of each start of a run's command; None if its end was not observed."""
    file = folder.with_name(f"{folder.name}.sittings.json")
    return json.loads(file.read_text()) if file.exists() else []


def write_sittings(folder: pathlib.Path, rows: list) -> None:
    with atomic_write(folder.with_name(f"{folder.name}.sittings.json")) as file:
        file.write(json.dumps(rows).encode())


def top1(folder: pathlib.Path) -> dict | None:
    """Correct test clips of a run, and their total; None if it is not finished."""
    try:
        results = json.loads((folder / "metrics.json").read_text())
        figure = results["heads"][results["evaluated_head"]]["top1"]
        return {"correct": figure["correct"], "count": figure["count"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def table(workdir: pathlib.Path, seeds: list[int]) -> str:
    """The results so far as a Markdown table."""
    head = ["demo", *(f"seed {seed}" for seed in seeds), "clips", "top-1", "minutes", "CPU minutes"]
    rows = [head, ["---"] * len(head), *(row([place(workdir, seed, name) for seed in seeds]) for name in NAMES)]
    return "\n".join([*("| " + " | ".join(cells) + " |" for cells in rows), "", NOTE, "", machine()])


NOTE = (
    "Correct test clips; mean and sample standard deviation over the seeds. Minutes of each seed's run; the run of the "
    "first seed compiles for the others (?: the run was killed, so its time is unknown)."
)


def row(folders: list[pathlib.Path]) -> list[str]:
    """The cells of one demo; `folders` has its run with each seed."""
    name, figures = folders[0].name, [top1(folder) for folder in folders]
    label = (
        f"TSN's two streams fused, {WEIGHTS.replace(',', ':')}"
        if name == FUSED
        else f"`{TRAININGS[name].removeprefix('--config=')}`"
    )
    clips = [f"{figure['correct']}/{figure['count']}" if figure else "-" for figure in figures]
    done = [figure for figure in figures if figure]
    shares = [100 * figure["correct"] / figure["count"] for figure in done]
    spent = [minutes_of(folder) if figure else ("-", "-") for folder, figure in zip(folders, figures, strict=True)]
    minutes = [", ".join(column) for column in zip(*spent, strict=True)]
    return [label, *clips, spread([figure["correct"] for figure in done]), spread(shares, " %"), *minutes]


def spread(values: list[float], unit: str = "") -> str:
    """Mean and, of two or more values, sample standard deviation."""
    if not values:
        return "-"
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}{unit}"


def minutes_of(folder: pathlib.Path) -> tuple[str, str]:
    """Wall and CPU minutes of a run; "?" if unknown."""
    rows = sittings(folder)
    if not rows or None in rows:
        return "?", "?"
    wall, cpu = (sum(column) / 60 for column in zip(*rows, strict=True))
    return f"{wall:.1f}", f"{cpu:.1f}"


def machine() -> str:
    """Where and when this runs, in one line."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    processor = found[1] if found else platform.processor() or platform.machine()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = f"{usable} of {os.cpu_count()} cores"
    versions = f"Python {platform.python_version()}, JAX {importlib.metadata.version('jax')}"
    return f"{cores} ({processor}), {versions}, {datetime.date.today()}."


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder for the dataset, the runs and the table.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the trainings.")
    app.run(main, flags_parser=config_flag.parse)
