"""Whether a long run leaks: its resident memory, open files and threads, by step (Linux).

    python -m benchmarks.soak -- --config=configs/i3d.py:demo --workdir=DIR --config.train.epochs=0.0 \\
        --config.train.steps=3000 --config.log_every_seconds=5

Starts `python -m haa_jax.main` with the arguments after `--`, prints a line every `--every` seconds, and at the end the
medians of the second and the last quarter of the run: growth after the first quarter is a leak.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

from absl import app, flags

from haa_jax import config_flag

_EVERY = flags.DEFINE_float("every", 10.0, "Seconds between samples.", lower_bound=0.1)
FIGURES = ("MB resident", "open files", "threads")


def main(argv):
    process = subprocess.Popen([sys.executable, "-m", "haa_jax.main", *argv[1:]], stderr=subprocess.PIPE, text=True)
    last = {"step": 0}
    threading.Thread(target=follow, args=(process.stderr, last), daemon=True).start()
    rows = []
    while process.poll() is None:
        time.sleep(_EVERY.value)
        if process.poll() is None and last["step"] > 1:  # the first step compiles
            rows.append(sample(process.pid))
            print(
                f"step {last['step']:6d}: " + ", ".join(f"{v:.0f} {n}" for v, n in zip(rows[-1], FIGURES, strict=True))
            )
    quarter = len(rows) // 4
    if process.returncode or not quarter:
        sys.exit(f"the run ended with {process.returncode} after {len(rows)} samples: {last.get('line', '')}")
    for name, figures in zip(FIGURES, zip(*rows, strict=True), strict=True):
        early, late = statistics.median(figures[quarter : 2 * quarter]), statistics.median(figures[-quarter:])
        print(f"{name}: {early:.0f} in the second quarter, {late:.0f} in the last ({late / early - 1:+.1%})")


def follow(lines, last: dict) -> None:
    """Keeps the run's last line of output, and its last step."""
    for line in lines:
        last["line"] = line.strip()
        if found := re.search(r"step (\d+)/\d+: loss", line):
            last["step"] = int(found[1])


def sample(pid: int) -> tuple[float, int, int]:
    """The FIGURES of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    resident, threads = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "Threads"))
    return resident / 1024, len(os.listdir(f"/proc/{pid}/fd")), threads


if __name__ == "__main__":
    app.run(main, flags_parser=config_flag.parse)
