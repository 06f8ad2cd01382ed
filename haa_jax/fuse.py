"""Late fusion: adds the logits of several runs on the same clips (RGB and flow, say) and scores the sum.

    python -m haa_jax.fuse runs/rgb/predictions.npz runs/flow/predictions.npz --out=runs/two_stream

Equal weights are I3D's two streams (google-deepmind/kinetics-i3d evaluate_sample.py); `--weights=1,1.5` are TSN's RGB
and flow, also before softmax (yjxiong/temporal-segment-networks README.md). With `--softmax`, probabilities are
averaged instead. DIR gets `predictions.npz` and `metrics.json` as a run's workdir has them.
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
from haa_jax.evaluate import METRICS_FILE, EvaluationError

_WEIGHTS = flags.DEFINE_list("weights", None, "One number for each file (default: 1 each).")
_SOFTMAX = flags.DEFINE_bool("softmax", False, "Average probabilities instead of adding logits.")
_OUT = flags.DEFINE_string("out", None, "Folder for the fused predictions and their metrics.")


# What NumPy and zipfile raise on a file that is damaged or of another kind.
_DAMAGE = (
    *(OSError, EOFError, TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def main(argv: list[str]) -> None:
    if len(argv) < 3:
        raise app.UsageError(f"two or more predictions files are wanted, not {len(argv) - 1}")
    try:
        weights = parse_weights(_WEIGHTS.value or ["1"] * (len(argv) - 1))
        fuse_files(argv[1:], weights, _SOFTMAX.value, _OUT.value)
    except EvaluationError as error:
        sys.exit(f"error: {error}")


def parse_weights(texts: list[str]) -> list[float]:
    """Numbers of a comma-separated list. Raises EvaluationError naming those that are none."""
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
    """Reads, aligns, fuses, scores, prints and writes.

    Args:
      paths: predictions files, each with its run's metrics.json beside it.
      weights: one for each.
      softmax: average probabilities instead of adding logits.
      out: folder to write to; made where it is missing.

    Returns:
      The fusion's figures as in metrics.json: those of `evaluate.score`, and "fusion", which says of what.

    Raises:
      EvaluationError: names every file that is unreadable or does not agree with the first, and how.
    """
    paths, out = [epath.Path(path) for path in paths], epath.Path(out)
    check_weights(weights, len(paths))
    if any(path.parent.resolve() == out.resolve() for path in paths):
        raise EvaluationError(f"--out={out} holds one of the predictions to fuse; they would be overwritten")
    runs = _all_or_problems(read_predictions, paths)
    split = _common_split(paths)
    runs = [runs[0], *_all_or_problems(align, [runs[0]] * (len(runs) - 1), runs[1:], paths[1:])]
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


def fuse(logits: list[np.ndarray], weights: list[float], softmax: bool = False) -> np.ndarray:
    """The weighted sum of logits, or the logarithm of the weighted mean of their softmax: float32 (N, classes).

    Args:
      logits: one float (N, classes) for each stream, rows and columns in one order.
      weights: one for each stream, 0 or more.
    """
    streams = np.stack(logits).astype(np.float64)
    weights = np.asarray(weights, np.float64)
    if not softmax:
        return np.tensordot(weights, streams, 1).astype(np.float32)
    kept = weights > 0
    # As logarithms, so that a probability that rounds to 0 still has a rank.
    log_softmax = streams - np.logaddexp.reduce(streams, axis=-1, keepdims=True)
    log_weights = np.log(weights[kept] / weights.sum())[:, None, None]
    return np.logaddexp.reduce(log_softmax[kept] + log_weights, axis=0).astype(np.float32)


def read_predictions(path: epath.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a predictions file; see `evaluate.write_results`.

    Raises:
      EvaluationError: names the file and all that is wrong with it.
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
      EvaluationError: names the heads, classes, clips, labels and areas in which the two differ.
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
    """Figures of a predictions file's arrays, as `evaluate.score` gives them."""
    area_names, areas = np.unique(run["areas"], return_inverse=True)
    heads = {
        name: metrics.classification(run[f"{name}_logits"], run[f"{name}_labels"], areas, area_names.tolist())
        for name in _heads(run)
    }
    return {"split": split, "evaluated_head": evaluated, "heads": heads}


def _problems(run: dict[str, np.ndarray]) -> list[str]:
    """What keeps the arrays of one file from being fused."""
    heads = _heads(run)
    wanted = {"clip_ids", "areas", *(f"{head}_{what}" for head in heads for what in ("logits", "labels", "classes"))}
    if not heads or wanted != run.keys():
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
    """The split that the runs' metrics.json name. Raises EvaluationError where one is missing or another."""
    splits = _all_or_problems(_split, paths)
    if len(set(splits)) > 1:
        named = ", ".join(f"{path} ({split})" for path, split in zip(paths, splits, strict=True))
        raise EvaluationError(f"the files are of different splits: {named}")
    return splits[0]


def _split(path: epath.Path) -> str:
    neighbor = path.parent / METRICS_FILE
    try:
        return json.loads(neighbor.read_text())["split"]
    except FileNotFoundError as error:
        raise EvaluationError(f"{neighbor}, which says of what split {path.name} is, is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{neighbor} does not say of what split {path.name} is") from error


def _evaluated_head(path: epath.Path, run: dict[str, np.ndarray]) -> str:
    """The head that a run's metrics.json names. Raises EvaluationError if the run does not have it."""
    neighbor = path.parent / METRICS_FILE
    head = json.loads(neighbor.read_text()).get("evaluated_head")
    if head not in _heads(run):
        raise EvaluationError(f"{neighbor} has evaluated_head={head!r}; the heads in {path} are {_some(_heads(run))}")
    return head


def _all_or_problems(function, *columns) -> list:
    """function of each row of the columns; all their EvaluationErrors in one."""
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
    """What one of two lists of names has that the other has not."""
    lacking, surplus = sorted(set(first) - set(other)), sorted(set(other) - set(first))
    parts = [f"{len(lacking)} missing here ({_some(lacking)})"] if lacking else []
    parts += [f"{len(surplus)} not in the first file ({_some(surplus)})"] if surplus else []
    return "; ".join(parts) or "the same in another order"


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
