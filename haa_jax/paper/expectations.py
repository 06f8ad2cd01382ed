"""What must hold for the results of a rehearsal: the checks that need no figure of the paper."""

import pathlib

import numpy as np

from haa_jax.learning import freeze
from haa_jax.paper import report
from haa_jax.paper.printed import SPORTS
from haa_jax.paper.runs import RUNS
from haa_jax.paper.tables import Cell
from haa_jax.weights.readers import read_tensors

# Runs whose accuracies the checks compare.
ONE_STREAM = ("tsn_rgb", "tsn_flow")
FRAMES = ("i3d_rgb", "i3d_rgb_1_frames")
OBJECTIVES = (f"i3d_rgb_{SPORTS}_composite", f"i3d_rgb_{SPORTS}_joint")
LAST_LAYERS = ("Mixed_5b", "Mixed_5c", "Logits")


def check_all(names: list[str], folder: pathlib.Path) -> int:
    """Prints each expectation about the runs `names`, whose workdirs are in `folder`, and whether it holds.

    Returns:
      How many do not hold.
    """
    checks = [check for check, involved in CHECKS.items() if set(involved) <= set(names)]
    transfers = [name for name in names if name in RUNS and RUNS[name].start]
    results = [check(folder) for check in checks] + [frozen_unchanged(folder, name) for name in transfers]
    print("\nWhat must hold:")
    for text, holds in results:
        print(f"  {'yes' if holds else 'NO '}  {text}")
    return sum(not holds for _, holds in results)


def motion_beats_one_frame(folder: pathlib.Path) -> tuple[str, bool]:
    many, one = (_top1(folder, name) for name in FRAMES)
    return f"more frames beat one: {_percent(many)} against {_percent(one)}", many["value"] > one["value"]


def fusion_beats_streams(folder: pathlib.Path) -> tuple[str, bool]:
    fused, *single = (_top1(folder, name) for name in ("tsn_two_stream", *ONE_STREAM))
    best = max(single, key=lambda figure: figure["value"])
    text = f"two streams are not worse than one: {_percent(fused)}, best {_percent(best)}"
    return text, fused["value"] >= best["value"]


def joint_is_not_worse(folder: pathlib.Path) -> tuple[str, bool]:
    alone, joint = (_top1(folder, name) for name in OBJECTIVES)
    margin = 2 * max(alone["standard_error"], joint["standard_error"])
    text = f"composite classes with atomic labels are not worse within error: {_percent(joint)}, {_percent(alone)}"
    return text, joint["value"] >= alone["value"] - margin


# Check -> the runs and fusions that it reads.
CHECKS = {
    motion_beats_one_frame: FRAMES,
    fusion_beats_streams: ("tsn_two_stream", *ONE_STREAM),
    joint_is_not_worse: OBJECTIVES,
}


def frozen_unchanged(folder: pathlib.Path, name: str) -> tuple[str, bool]:
    """Whether everything but the last three layers is bitwise what the run started from, and those did change."""
    before, after = read_tensors(folder / RUNS[name].start), read_tensors(folder / name)
    frozen = [path for path in after if not freeze.is_trainable(path.split("/"), LAST_LAYERS)]
    kept = [path for path in frozen if np.array_equal(before[path], after[path])]
    moved = any(not np.array_equal(before[p], after[p]) for p in after if p.startswith("Mixed_5"))
    learned = "changed" if moved else "DID NOT CHANGE"
    text = f"{name}: {len(kept)} of {len(frozen)} frozen arrays are unchanged, the last layers {learned}"
    return text, len(kept) == len(frozen) > 0 and moved


def _top1(folder: pathlib.Path, name: str) -> dict:
    return report.figure(Cell("", "", None, name), folder)


def _percent(figure: dict) -> str:
    return f"{100 * figure['value']:.2f} % ({figure['correct']}/{figure['count']})"
