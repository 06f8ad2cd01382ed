"""Draws mutants of the code, one changed place each, and reports which test notices each: see README.md here.

python tools/mutation/draw.py RESULTS.json [--seed=500] [--number=30]
"""

import argparse
import contextlib
import datetime
import difflib
import hashlib
import importlib.metadata
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable

import cosmic_ray.plugins
from cosmic_ray.config import load_config
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONFIG = pathlib.Path(__file__).with_name("cosmic-ray.toml")
# A test in pytest's summary; its parameters may have spaces, and " - " and a message may follow.
NAMED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py(?:::[^\s\[]+(?:\[.*?\](?= - |$))?)?)", re.MULTILINE)
# Module -> its test files, the likely killer first.
TESTS = {
    "haa_jax/runtime/checkpoint.py": (
        "tests/runtime/test_checkpoint.py",
        "tests/runs/test_disk_full.py",
        "tests/runs/test_train.py",
    ),
    "haa_jax/runtime/checkpoint_reader.py": (
        "tests/runtime/test_checkpoint.py",
        "tests/test_restore.py",
        "tests/runs/test_train.py",
    ),
    "haa_jax/data/sampling.py": ("tests/data/test_sampling.py", "tests/data/test_views.py"),
    "haa_jax/data/views.py": (
        "tests/data/test_views.py",
        "tests/streams/test_fusion.py",
        "tests/data/test_pipeline.py",
    ),
    "haa_jax/streams/pictures.py": (
        "tests/streams/test_pictures.py",
        "tests/streams/test_fusion.py",
        "tests/data/test_views.py",
        "tests/test_checks.py",
    ),
    "haa_jax/averaging.py": ("tests/test_averaging.py", "tests/test_evaluate.py"),
    "haa_jax/evaluate.py": ("tests/test_evaluate.py", "tests/runs/test_not_finite.py", "tests/runs/test_train.py"),
    "haa_jax/fuse.py": ("tests/test_fuse.py",),
    "haa_jax/runtime/mesh.py": ("tests/runtime/test_mesh.py",),
    "haa_jax/metrics.py": ("tests/test_metrics.py", "tests/test_fuse.py"),
    "haa_jax/data/labels.py": ("tests/data/test_labels.py", "tests/learning/test_objectives.py"),
    "haa_jax/models/parameters.py": ("tests/models/test_parameters.py", "tests/learning/test_freeze.py"),
    "haa_jax/learning/batch_statistics.py": ("tests/learning/test_batch_statistics.py",),
    "haa_jax/learning/freeze.py": ("tests/learning/test_freeze.py",),
    "haa_jax/learning/losses.py": ("tests/learning/test_losses.py", "tests/learning/test_steps.py"),
    "haa_jax/learning/microbatches.py": ("tests/learning/test_microbatches.py", "tests/learning/test_steps.py"),
    "haa_jax/learning/objectives.py": ("tests/learning/test_objectives.py", "tests/test_extensions.py"),
    "haa_jax/learning/optimizers.py": (
        "tests/learning/test_optimizers.py",
        "tests/learning/test_freeze.py",
        "tests/configs/test_networks.py",
    ),
    "haa_jax/learning/schedules.py": ("tests/learning/test_schedules.py",),
    "haa_jax/learning/steps.py": (
        "tests/learning/test_steps.py",
        "tests/learning/test_freeze.py",
        "tests/runs/test_train.py",
    ),
    "haa_jax/learning/train_state.py": ("tests/learning/test_train_state.py", "tests/learning/test_steps.py"),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=pathlib.Path, help="the results so far, from which the same command resumes")
    options.add_argument("--seed", type=int, default=500)
    options.add_argument("--number", type=int, default=30)
    options = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the copy and the tests are cleaned up
    config = load_config(str(CONFIG))
    with tempfile.TemporaryDirectory(prefix="haa_jax_mutants") as scratch:
        copy = copy_tree(pathlib.Path(scratch) / "copy")
        (pathlib.Path(scratch) / "tmp").mkdir()
        mutants = list_mutants(copy)
        drawn = random.Random(options.seed).sample(mutants, options.number)
        results = run_all(copy, drawn, config, options.results)
        check_killers(copy, results, config)
    print(f"{options.number} of {len(mutants)} mutants, drawn with seed {options.seed};", end=" ")
    print(f"cosmic-ray {importlib.metadata.version('cosmic-ray')}\n\n{table(results)}")


def copy_tree(copy: pathlib.Path) -> pathlib.Path:
    """Copies the working tree, except what git ignores: the checkout itself is never changed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if os.path.lexists(ROOT / name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    return copy


def list_mutants(copy: pathlib.Path) -> list[MutationSpec]:
    """Every mutant that cosmic-ray finds in its config's modules."""
    session = copy.parent / "session.sqlite"
    subprocess.run([sys.executable, "-m", "cosmic_ray.cli", "init", CONFIG, session], cwd=copy, check=True)
    with use_db(session, WorkDB.Mode.open) as database:
        return in_order(mutation for item in database.work_items for mutation in item.mutations)


def in_order(mutants: Iterable[MutationSpec]) -> list[MutationSpec]:
    """Sorted by their place in the code; cosmic-ray's session has them in no fixed order."""
    return sorted(mutants, key=lambda m: (str(m.module_path), m.start_pos, m.operator_name, m.occurrence))


def run_all(copy: pathlib.Path, drawn: list[MutationSpec], config: dict, kept: pathlib.Path) -> list[dict]:
    """The results of the mutants in the order of the code; results in the file `kept` are reused.

    A result is reused if its module and the module's test files have not changed.
    """
    known = json.loads(kept.read_text()) if kept.exists() else {}
    todo = [mutant for mutant in drawn if key_of(copy, mutant) not in known]
    started = time.monotonic()
    for number, mutant in enumerate(todo):
        left = (time.monotonic() - started) / number * (len(todo) - number) if number else None
        left = "?" if left is None else datetime.timedelta(seconds=round(left))
        what = f"{mutant.module_path}:{mutant.start_pos[0]} {mutant.operator_name}"
        print(f"{number + 1} of {len(todo)}, {left} left: {what}", file=sys.stderr, flush=True)
        known[key_of(copy, mutant)] = run_mutant(copy, mutant, config)
        temporary = kept.with_name(f"{kept.name}.tmp")
        temporary.write_text(json.dumps(known, indent=1))
        temporary.replace(kept)
    return [known[key_of(copy, mutant)] for mutant in in_order(drawn)]


def key_of(copy: pathlib.Path, mutant: MutationSpec) -> str:
    module = str(mutant.module_path)
    text = b"\0".join((copy / name).read_bytes() for name in (module, *TESTS[module]))
    return f"{module} {mutant.operator_name} {mutant.occurrence} {hashlib.sha256(text).hexdigest()[:16]}"


def run_mutant(copy: pathlib.Path, mutant: MutationSpec, config: dict) -> dict:
    module = copy / mutant.module_path
    before = module.read_text()
    after = mutate_code(before, cosmic_ray.plugins.get_operator(mutant.operator_name)(), mutant.occurrence)
    module.write_text(after)
    started = time.monotonic()
    try:
        outcome = run_tests(copy, TESTS[str(mutant.module_path)], config["test-command"], config.timeout)
    finally:
        module.write_text(before)
    return {
        "module": str(mutant.module_path),
        "line": mutant.start_pos[0],
        "operator": mutant.operator_name.removeprefix("core/"),
        "change": changed_lines(before, after),
        "outcome": outcome,
        "seconds": round(time.monotonic() - started, 1),
    }


def run_tests(copy: pathlib.Path, tests, command: str, timeout: float | None = None) -> str:
    """Outcome of a mutant: "survived", "timed out", or the test that failed, or its file if it was not imported."""
    search = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    # No .pyc: that of a mutant of the same size in the same second would be mistaken for the next mutant's.
    own = {"PATH": search, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(copy.parent / "tmp")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(
        [*shlex.split(command), *tests], cwd=copy, env={**os.environ, **own}, start_new_session=True, **pipes
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        stop_group(process)
    if process.returncode == 0:
        return "survived"
    if failed := NAMED.search(output):
        return failed[1]
    if process.returncode < 0:
        return f"crashed with signal {-process.returncode}"
    sys.exit(f"pytest exited with {process.returncode} without naming a test:\n{output[-3000:]}")


def stop_group(process: subprocess.Popen) -> None:
    """Kills the tests and all processes that they started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_killers(copy: pathlib.Path, results: list[dict], config: dict) -> None:
    """Exits if a test that failed with a mutant also fails without it, and so has not noticed the mutant."""
    killers = sorted({result["outcome"] for result in results if result["outcome"].startswith("tests/")})
    if killers:
        print(f"{len(killers)} tests that failed, on the unchanged code", file=sys.stderr, flush=True)
        outcome = run_tests(copy, killers, config["test-command"])
        if outcome != "survived":
            sys.exit(f"without any mutant: {outcome}")


def changed_lines(before: str, after: str) -> list[str]:
    """The differing lines before and after, each stripped and joined."""
    marked = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [" ".join(line[2:].strip() for line in marked if line.startswith(mark)) for mark in ("- ", "+ ")]


def table(results: list[dict]) -> str:
    rows = ["| place | operator | before → after | noticed by |", "|---|---|---|---|"]
    for result in results:
        change = " → ".join(f"`{text}`" for text in result["change"]).replace("|", "\\|")
        outcome = result["outcome"]
        outcome += " (not imported)" if outcome.endswith(".py") else ""
        rows.append(f"| {result['module']}:{result['line']} | {result['operator']} | {change} | {outcome} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
