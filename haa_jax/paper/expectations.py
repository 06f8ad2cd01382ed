"""What is true of every rehearsal by construction, however little is learned: checks of the runs' files.

A check takes a run and returns what is wrong with it, "" for nothing.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from haa_jax import predictions
from haa_jax.data import dataset
from haa_jax.learning import freeze
from haa_jax.paper.runs import FUSIONS
from haa_jax.predictions import METRICS_FILE, PREDICTIONS_FILE
from haa_jax.weights.readers import read_tensors


def check_all(configs: Mapping[str, object], fusions: Sequence[str], folder: pathlib.Path) -> int:
    """Prints each check, for how many runs it holds, and what is wrong with the others.

    Args:
      configs: the config of each run whose workdir is in `folder`.
      fusions: those whose results are there.

    Returns:
      For how many runs and checks it does not hold.
    """
    frozen = [name for name, config in configs.items() if config.optimizer.trainable]
    checks = {
        "the frozen layers are as before, the others have learned": (_frozen_unchanged, frozen),
        "every clip of the split is tested, once, and none of training": (_tested_on_its_split, list(configs)),
        "the figures of the areas add up to the whole": (_areas_add_up, [*configs, *fusions]),
        "fused logits are the weighted sum of those of the runs": (_is_weighted_sum, list(fusions)),
    }
    failed = 0
    print("\nWhat must hold:")
    for text, (check, names) in checks.items():
        faults = {name: fault for name in names if (fault := check(folder, name, configs.get(name)))}
        print(f"  {'NO ' if faults else 'yes'}  {text}: {len(names) - len(faults)} of {len(names)}")
        for name, fault in faults.items():
            print(f"         {name}: {fault}")
        failed += len(faults)
    return failed


def _frozen_unchanged(folder: pathlib.Path, name: str, config) -> str:
    """Bitwise, running statistics of BatchNorm included."""
    before, after = read_tensors(pathlib.Path(config.init_from)), read_tensors(folder / name)
    trainable = config.optimizer.trainable
    moved = {path for path, array in after.items() if not _equal(before.get(path), array)}
    wrong = [path for path in moved if not freeze.is_trainable(path.split("/"), trainable)]
    if wrong:
        return f"{predictions.some(sorted(wrong))} changed"
    still = [module for module in trainable if not any(path.startswith(f"{module}/") for path in moved)]
    return f"{predictions.some(still)} did not change" if still else ""


def _equal(before: np.ndarray | None, after: np.ndarray) -> bool:
    return before is not None and np.array_equal(before, after)


def _tested_on_its_split(folder: pathlib.Path, name: str, config) -> str:
    results, run = _results(folder, name), predictions.read(folder / name / PREDICTIONS_FILE)
    if results["split"] != config.eval.split:
        return f"tested on {results['split']}"
    wanted = _clips(config.eval.dataset or config.data.dataset, config, config.eval.split)
    found = run["clip_ids"].tolist()
    if sorted(found) != sorted(wanted):
        return f"{len(found)} clips tested, not the {len(wanted)} of the split"
    learned = set(found) & set(_clips(config.data.dataset, config, "train"))
    return f"trained on {predictions.some(sorted(learned))}" if learned else ""


def _clips(name: str, config, split: str) -> list[str]:
    """The ids of the clips of a dataset that a run sees."""
    builder = dataset.open_builder(name, config.data.data_dir)
    return dataset.open_split(builder, split, (), config.area).index.clip_id


def _areas_add_up(folder: pathlib.Path, name: str, config) -> str:
    for head, found in _results(folder, name)["heads"].items():
        if not found.get("area"):
            continue  # clips with several labels have no area
        parts = [sum(area[key] for area in found["area"].values()) for key in ("correct", "count")]
        whole = [found["top1"][key] for key in ("correct", "count")]
        if parts != whole:
            return f"{head}: areas {parts[0]}/{parts[1]}, whole {whole[0]}/{whole[1]}"
    return ""


def _is_weighted_sum(folder: pathlib.Path, name: str, config) -> str:
    fusion = FUSIONS[name]
    fused = predictions.read(folder / name / PREDICTIONS_FILE)
    paths = [folder / run / PREDICTIONS_FILE for run in fusion.runs]
    runs = [predictions.align(fused, predictions.read(path), path) for path in paths]
    for head in predictions.heads(fused):
        weights = fusion.weights or (1.0,) * len(runs)
        parts = [weight * run[f"{head}_logits"].astype(np.float64) for weight, run in zip(weights, runs, strict=True)]
        off = np.abs(sum(parts) - fused[f"{head}_logits"]).max()
        if off > 1e-5 * np.abs(parts).max():
            return f"{head} logits are off by up to {off:.2g}"
    return ""


def _results(folder: pathlib.Path, name: str) -> dict:
    return json.loads((folder / name / METRICS_FILE).read_text())
