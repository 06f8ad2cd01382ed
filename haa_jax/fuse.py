"""Late fusion: adds the logits of several runs on the same clips (RGB and flow, say) and scores the sum.

    python -m haa_jax.fuse runs/rgb/predictions.npz runs/flow/predictions.npz --out=runs/two_stream

I3D adds its two streams with equal weights (google-deepmind/kinetics-i3d evaluate_sample.py); TSN weights RGB and flow
by `--weights=1,1.5`, also before softmax (yjxiong/temporal-segment-networks README.md). With `--softmax`, probabilities
are averaged instead. Logits of clips of several classes are averaged. DIR gets the files of an evaluation, like the
workdir of a run; see predictions.py.
"""

import functools
import sys

from absl import app, flags
from etils import epath

from haa_jax import config_flag, label_kinds, metrics, predictions
from haa_jax.averaging import weights_fault
from haa_jax.predictions import EvaluationError

_WEIGHTS = flags.DEFINE_list("weights", None, "One number for each file (default: 1 each).")
_SOFTMAX = flags.DEFINE_bool("softmax", False, "Average probabilities instead of adding logits.")
_OUT = flags.DEFINE_string("out", None, "Folder for the fused predictions and their metrics.")


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
      The fusion's figures as in metrics.json: those of `predictions.score`, and "fusion", with the files and weights.

    Raises:
      EvaluationError: lists every file that is unreadable, or differs from the first, and how.
    """
    paths, out = [epath.Path(path) for path in paths], epath.Path(out)
    check_weights(weights, len(paths))
    if any(path.parent.resolve() == out.resolve() for path in paths):
        raise EvaluationError(f"--out={out} holds one of the predictions to fuse; they would be overwritten")
    runs, results = predictions.read_all(paths)
    split, evaluated = results[0]["split"], results[0]["evaluated_head"]
    fused = dict(runs[0])
    for head in predictions.heads(fused):
        kind, key = label_kinds.of_labels(fused[f"{head}_labels"]), f"{head}_logits"
        if softmax and kind is label_kinds.SEVERAL:
            raise EvaluationError("--softmax: these clips have several classes each, which do not exclude each other")
        add = functools.partial(kind.fuse, softmax=True) if softmax else kind.fuse
        fused[key] = add([run[key] for run in runs], weights)
    for path, weight, run in zip(paths, weights, runs, strict=True):
        print(f"{path}, weight {weight:g}: {_best(predictions.score(run, split, evaluated))}")
    results = predictions.score(fused, split, evaluated)
    results["fusion"] = {"files": [str(path) for path in paths], "weights": weights, "softmax": softmax}
    print(predictions.describe(results))
    out.mkdir(parents=True, exist_ok=True)
    predictions.write(out, fused, results)
    return results


def check_weights(weights: list[float], files: int) -> None:
    """Raises EvaluationError unless there is a weight for each file, none negative and not all 0."""
    if fault := weights_fault("--weights", weights, files, "files"):
        raise EvaluationError(fault)


def _best(results: dict) -> str:
    figure = predictions.best_figure(results)[1]
    return f"{metrics.value(figure)} ({metrics.counted(figure)}), {results['evaluated_head']} head"


if __name__ == "__main__":
    flags.mark_flag_as_required("out")
    app.run(main, flags_parser=config_flag.parse)
