"""Late fusion: adds the logits of several runs on the same clips (RGB and flow, say) and scores the sum.

    python -m haa_jax.fuse runs/rgb/predictions.npz runs/flow/predictions.npz --out=runs/two_stream

I3D adds its two streams with equal weights (google-deepmind/kinetics-i3d evaluate_sample.py); TSN weights RGB and flow
by `--weights=1,1.5`, also before softmax (yjxiong/temporal-segment-networks README.md). With `--softmax`, probabilities
are averaged instead. DIR gets `predictions.npz` and `metrics.json`, like the workdir of a run.
"""

import json
import struct
import sys
import zipfile
import zlib

import numpy as np
from absl import app, flags
from etils import epath

from haa_jax import evaluate, metrics
from haa_jax.averaging import fuse
from haa_jax.evaluate import METRICS_FILE, EvaluationError

_WEIGHTS = flags.DEFINE_list("weights", None, "One number for each file (default: 1 each).")
_SOFTMAX = flags.DEFINE_bool("softmax", False, "Average probabilities instead of adding logits.")
_OUT = flags.DEFINE_string("out", None, "Folder for the fused predictions and their metrics.")


# What NumPy and zipfile raise for a file that is damaged or of another format.
_DAMAGE = (
    *(OSError, EOFError, TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def main(argv: list[str]) -> None:
    if len(argv) < 3:
        sys.exit(f"error: two or more predictions files are needed, not {len(argv) - 1}")
    try:
        weights = parse_weights(_WEIGHTS.value or ["1"] * (len(argv) - 1))
        fuse_files(argv[1:], weights, _SOFTMAX.value, _OUT.value)
    except EvaluationError as error:
        sys.exit(f"error: {error}")


def parse_weights(texts: list[str]) -> list[float]:
    """The texts as numbers. Raises EvaluationError listing those that are not numbers."""
    weights, bad = [], []
    for text in texts:
        try:
            weights.append(float(text))
        except ValueError:
            bad.append(text)
    if bad:
        raise EvaluationError(f"--weights: not numbers: {', '.join(map(repr, bad))}")
    return weights


def fuse_files(paths: list[epath.PathLike], weights: list[float], softmax: bool, out: epath.PathLike) -> dict:
    """Fuses and scores predictions files; prints and writes the result.

    Args:
      paths: predictions files, each next to the metrics.json of its run.
      weights: one for each.
      softmax: average probabilities instead of adding logits.
      out: folder to write to, made if missing.

    Returns:
      The fusion's figures as in metrics.json: those of `evaluate.score`, and "fusion", with the files and weights.

    Raises:
      EvaluationError: lists every file that is unreadable, or differs from the first, and how.
    """
    paths, out = [epath.Path(path) for path in paths], epath.Path(out)
    check_weights(weights, len(paths))
    if any(path.parent.resolve() == out.resolve() for path in paths):
        raise EvaluationError(f"--out={out} holds one of the predictions to fuse; they would be overwritten")
    runs = _map_with_all_errors(read_predictions, paths)
    split = _common_split(paths)
    runs = [runs[0], *_map_with_all_errors(align, [runs[0]] * (len(runs) - 1), runs[1:], paths[1:])]
    evaluated = _evaluated_head(paths[0], runs[0])
    fused = dict(runs[0])
    for key in _logit_keys(fused):
        fused[key] = fuse([run[key] for run in runs], weights, softmax)
    for path, weight, run in zip(paths, weights, runs, strict=True):
        print(f"{path}, weight {weight:g}: {_top1(score(run, split, evaluated))}")
    results = score(fused, split, evaluated)
    results["fusion"] = {"files": [str(path) for path in paths], "weights": weights, "softmax": softmax}
    print(evaluate.describe(results))
    out.mkdir(parents=True, exist_ok=True)
    evaluate.write_files(out, fused, results)
    return results


def check_weights(weights: list[float], files: int) -> None:
    """Raises EvaluationError unless there is a weight for each file, none negative and not all 0."""
    if len(weights) != files:
        raise EvaluationError(f"--weights has {len(weights)} numbers for {files} files")
    if not all(np.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise EvaluationError(f"--weights={','.join(map(str, weights))}: each must be 0 or more, and one above 0")


def read_predictions(path: epath.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a predictions file (see `evaluate.write_results`).

    Raises:
      EvaluationError: lists everything that is wrong with the file.
    """
    path = epath.Path(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            run = dict(arrays)
    except FileNotFoundError as error:
        raise EvaluationError(f"{path} is missing") from error
    except _DAMAGE as error:
        raise EvaluationError(f"{path} is not a predictions file: {error}") from error
    problems = _problems(run)
    if problems:
        raise EvaluationError("\n".join(f"{path}: {problem}" for problem in problems))
    return run


def align(first: dict[str, np.ndarray], run: dict[str, np.ndarray], path: epath.PathLike) -> dict[str, np.ndarray]:
    """`run` with its clips in the order of `first`.

    Raises:
      EvaluationError: lists the heads, classes, clips, labels and areas in which the two differ.
    """
    problems = []
    if first.keys() != run.keys():
        problems.append(f"heads differ: {_heads(run)} here, {_heads(first)} in the first file")
    problems += [
        f"{key} differ: {_difference(first[key], run[key])}"
        for key in first.keys() & run.keys()
        if key.endswith("_classes") and not np.array_equal(first[key], run[key])
    ]
    if set(first["clip_ids"]) != set(run["clip_ids"]):
        problems.append(f"clips differ: {_difference(first['clip_ids'], run['clip_ids'])}")
    else:
        row = {clip: i for i, clip in enumerate(run["clip_ids"])}
        order = np.array([row[clip] for clip in first["clip_ids"]])
        run = {key: array if key.endswith("_classes") else array[order] for key, array in run.items()}
        for key in sorted(first.keys() & run.keys()):
            if key == "areas" or key.endswith("_labels"):
                wrong = first["clip_ids"][first[key] != run[key]]
                problems += [f"{key} differ for {_some(wrong)}"] if len(wrong) else []
    if problems:
        raise EvaluationError("\n".join(f"{path}: {problem}" for problem in problems))
    return run


def score(run: dict[str, np.ndarray], split: str, evaluated: str) -> dict:
    """The accuracies of the arrays of a predictions file, as `evaluate.score` returns them."""
    area_names, areas = np.unique(run["areas"], return_inverse=True)
    heads = {
        name: metrics.classification(run[f"{name}_logits"], run[f"{name}_labels"], areas, area_names.tolist())
        for name in _heads(run)
    }
    return {"split": split, "evaluated_head": evaluated, "heads": heads}


def _problems(run: dict[str, np.ndarray]) -> list[str]:
    """What is wrong with the arrays of one file, one line each; [] if nothing is."""
    heads = _heads(run)
    expected = {"clip_ids", "areas", *(f"{head}_{what}" for head in heads for what in ("logits", "labels", "classes"))}
    if not heads or expected != run.keys():
        return [f"it holds {_some(sorted(run))}, not clip_ids, areas and the logits, labels and classes of each head"]
    count, problems = run["clip_ids"].size, []
    if count == 0 or len(set(run["clip_ids"].flat)) != count:
        problems.append(f"of its {count} clips, {len(set(run['clip_ids'].flat))} are different")
    for head in heads:
        logits, labels = run[f"{head}_logits"], run[f"{head}_labels"]
        classes = run[f"{head}_classes"].size
        shapes = [run[key].shape for key in ("clip_ids", "areas", f"{head}_labels", f"{head}_logits")]
        if shapes != [(count,), (count,), (count,), (count, classes)]:
            problems.append(f"clip_ids, areas, {head}_labels and {head}_logits have shapes {_some(shapes)}")
        elif logits.dtype.kind != "f" or labels.dtype.kind not in "iu":
            problems.append(f"{head}_logits and {head}_labels have dtypes {logits.dtype} and {labels.dtype}")
        elif (bad := ~np.isfinite(logits).all(axis=1)).any():
            problems.append(f"{head}_logits are not finite for {_some(run['clip_ids'][bad])}")
        elif (bad := (labels < 0) | (labels >= classes)).any():
            problems.append(f"{head}_labels are not among the {classes} classes for {_some(run['clip_ids'][bad])}")
    return problems


def _common_split(paths: list[epath.Path]) -> str:
    """The split that all runs' metrics.json name. Raises EvaluationError if one is missing or they differ."""
    splits = _map_with_all_errors(_split, paths)
    if len(set(splits)) > 1:
        named = ", ".join(f"{path} ({split})" for path, split in zip(paths, splits, strict=True))
        raise EvaluationError(f"the files are of different splits: {named}")
    return splits[0]


def _split(path: epath.Path) -> str:
    neighbor = path.parent / METRICS_FILE
    try:
        return json.loads(neighbor.read_text())["split"]
    except FileNotFoundError as error:
        raise EvaluationError(f"{neighbor}, which names the split of {path.name}, is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{neighbor} does not name the split of {path.name}") from error


def _evaluated_head(path: epath.Path, run: dict[str, np.ndarray]) -> str:
    """The head that a run's metrics.json names. Raises EvaluationError if the run does not have it."""
    neighbor = path.parent / METRICS_FILE
    head = json.loads(neighbor.read_text()).get("evaluated_head")
    if head not in _heads(run):
        raise EvaluationError(f"{neighbor} has evaluated_head={head!r}; the heads in {path} are {_some(_heads(run))}")
    return head


def _map_with_all_errors(function, *columns) -> list:
    """[function(*row) for each row of the columns]; raises all their EvaluationErrors as one."""
    results, problems = [], []
    for row in zip(*columns, strict=True):
        try:
            results.append(function(*row))
        except EvaluationError as error:
            problems.append(str(error))
    if problems:
        raise EvaluationError("\n".join(problems))
    return results


def _logit_keys(run: dict[str, np.ndarray]) -> list[str]:
    return [f"{head}_logits" for head in _heads(run)]


def _heads(run: dict[str, np.ndarray]) -> list[str]:
    return [key.removesuffix("_logits") for key in run if key.endswith("_logits")]


def _difference(first: np.ndarray, other: np.ndarray) -> str:
    """The names that only one of two lists has."""
    missing, surplus = sorted(set(first) - set(other)), sorted(set(other) - set(first))
    listed = [f"{len(missing)} missing here ({_some(missing)})"] if missing else []
    listed += [f"{len(surplus)} not in the first file ({_some(surplus)})"] if surplus else []
    return "; ".join(listed) or "the same in another order"


def _some(names) -> str:
    listed = ", ".join(map(str, names[:10]))
    return f"{listed} and {len(names) - 10} more" if len(names) > 10 else listed


def _top1(results: dict) -> str:
    figure = results["heads"][results["evaluated_head"]]["top1"]
    percent, error = 100 * figure["value"], 100 * figure["standard_error"]
    return f"{percent:.2f} % +- {error:.2f} ({figure['correct']}/{figure['count']}), {results['evaluated_head']} head"


if __name__ == "__main__":
    flags.mark_flag_as_required("out")
    app.run(main)
