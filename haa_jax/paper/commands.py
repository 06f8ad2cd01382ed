"""The runs of the paper's tables as command lines, in an order in which they can be run."""

import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

from haa_jax import config_flag
from haa_jax.errors import UserError
from haa_jax.paper.runs import FUSIONS, RUNS, with_variants
from haa_jax.predictions import METRICS_FILE, PREDICTIONS_FILE
from haa_jax.runtime.progress import clock
from haa_jax.runtime.signals import EXIT_INTERRUPTED


class PaperError(UserError, RuntimeError):
    """A table, run or result that cannot be used; the message names it."""


def needed(names: Iterable[str]) -> list[str]:
    """The runs and fusions in `names` and everything they depend on, dependencies first; "" is ignored."""
    found = {}

    def add(name: str) -> None:
        if name in found:
            return
        if name in FUSIONS:
            for each in FUSIONS[name].runs:
                add(each)
        elif RUNS[name].start:
            add(RUNS[name].start)
        found[name] = None

    for name in filter(None, names):
        add(name)
    return list(found)


def config(name: str, *variants: str):
    """The config of a run, with more variants; without the workdir of the run that it starts from."""
    loaded = config_flag.load(with_variants(RUNS[name].config, *variants))
    loaded.update_from_flattened_dict(RUNS[name].fields)
    return loaded


def missing(names: Iterable[str], folder: pathlib.Path) -> list[str]:
    """Those of some runs and fusions that are not finished: `folder`/<name> has no metrics.json."""
    return [name for name in names if not (folder / name / METRICS_FILE).exists()]


def command(name: str, folder: pathlib.Path, data_dir: str = "") -> list[str]:
    """The command line of a run or a fusion, for this interpreter; it works from any current folder.

    Args:
      folder: of the runs; each has its workdir there under its name.
      data_dir: where the datasets are; "" for TFDS's default.
    """
    if name in FUSIONS:
        fusion = FUSIONS[name]
        files = [str(folder / run / PREDICTIONS_FILE) for run in fusion.runs]
        weights = [f"--weights={','.join(f'{w:g}' for w in fusion.weights)}"] if fusion.weights else []
        return [sys.executable, "-m", "haa_jax.fuse", *files, *weights, f"--out={folder / name}"]
    run = RUNS[name]
    fields = dict(run.fields)
    if run.start:
        fields["init_from"] = str(folder / run.start)
    if data_dir:
        fields["data.data_dir"] = data_dir
    settings = [f"--config.{field}={value}" for field, value in fields.items()]
    return [
        *(sys.executable, "-m", "haa_jax.main"),
        *(f"--config={run.config}", *settings, f"--workdir={folder / name}"),
    ]


def run_all(names: Sequence[str], folder: pathlib.Path, data_dir: str) -> None:
    """Runs the commands of `names` in turn, each in its own process, until one fails or is interrupted.

    Raises:
      PaperError: a command failed; it has printed why.
      SystemExit: a command was interrupted, with its exit code.
    """
    started = time.monotonic()
    for number, name in enumerate(names):
        line = command(name, folder, data_dir)
        elapsed = time.monotonic() - started
        left = f", about {clock(elapsed / number * (len(names) - number))} left" if number else ""
        print(f"[{number + 1}/{len(names)}{left}] {shlex.join(line)}", flush=True)
        code = subprocess.run(line, check=False).returncode
        if code == EXIT_INTERRUPTED:
            sys.exit(EXIT_INTERRUPTED)
        if code:
            raise PaperError(f"{name}: exit code {code} of\n  {shlex.join(line)}\nFix that and start again.")
