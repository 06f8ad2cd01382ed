"""Features of each clip in a file, and the paper's picture of them (Figure 5).

    python -m haa_jax.embed --config=configs/i3d.py --workdir=runs/i3d --split=test

Restores the workdir's checkpoint as the test does, also while a training writes to it, and runs a split through the
network up to the vector that the heads take. DIR (--out, by default the workdir) gets `features_<split>.npz`,
`embed_<split>.json`, and `tsne_<split>.png`: a truncated SVD and t-SNE (van der Maaten and Hinton, JMLR 2008), colored
by area and by composite action.

How well areas and composites form clusters is measured by their purity, of the features and of the picture: the share
of clips with the same label among the nearest neighbors of a clip, compared with chance.
"""

import functools
import json
import logging as std_logging
import sys

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from etils import epath

from haa_jax import config_flag, evaluate, restore, streams
from haa_jax.evaluate import EvaluationError
from haa_jax.experiment import Experiment, create_experiment
from haa_jax.learning import steps
from haa_jax.runtime import compiling, mesh, paths
from haa_jax.runtime.files import atomic_write
from haa_jax.runtime.logs import set_up_logging

log = std_logging.getLogger("haa_jax.embed")  # __name__ is __main__ here

SPLITS = ("train", "validation", "test")
NEIGHBORS = 5
PERPLEXITY = 30.0  # the usual value of t-SNE; fewer clips get less
SVD_DIMENSIONS = 50
SEED = 0
MOST_IN_LEGEND = 20
MARKERS = "os^Dv"


def main(argv: list[str]) -> None:
    config_flag.no_arguments(argv)
    config_flag.require("config", "workdir")
    options = flags.FLAGS
    set_up_logging()
    compiling.prepare()
    if options.multihost:
        jax.distributed.initialize()
        set_up_logging(jax.process_index())
    from haa_jax.errors import user_errors

    try:
        workdir, out = paths.expand(options.workdir), options.out and paths.expand(options.out)
        embed(options.config, workdir, options.split, out, picture=not options.no_picture)
    except user_errors() as error:
        sys.exit(f"error: {error}")


def embed(config, workdir: epath.PathLike, split: str = "test", out: epath.PathLike | None = None, *, picture=True):
    """Writes the features of a split, their purity and, with `picture`, their map; all processes must call it.

    Args:
      out: folder to write to, made if missing; None for the workdir.

    Returns:
      What `embed_<split>.json` holds: "step", "split", "clips", "size" of a feature vector, "neighbors", "chance" and
      "purity" (see `purities`) of "features" and, with a picture, of its "map", and its settings (see `tsne`).

    Raises:
      EvaluationError: the split is not open or has too few clips, or its features are not finite or all the same.
      Those of `evaluate.evaluate_workdir`.
    """
    exp = create_experiment(config)
    _check_split(exp, split)
    restored = restore.restore_state(workdir, exp.abstract_state, exp.classes, config.eval.checkpoint)
    arrays = {**labels(exp, split), "features": features(exp, restored.state.variables, split)}
    results = {"step": restored.step, "split": split, **measure(arrays)}
    if picture:
        log.info("t-SNE of %d clips", len(arrays["features"]))
        points, settings = tsne(arrays["features"])
        results["purity"]["map"] = purities(points, arrays)
        results["tsne"] = settings
    log.info("%s", describe(results))
    out = paths.folder(workdir if out is None else out)
    if jax.process_index() == 0:
        out.mkdir(parents=True, exist_ok=True)
        with atomic_write(out / f"features_{split}.npz") as file:
            np.savez(file, **arrays)
        if picture:
            with atomic_write(out / f"tsne_{split}.png") as file:
                draw(file, points, arrays, _title(exp, results))
        with atomic_write(out / f"embed_{split}.json") as file:
            file.write(json.dumps(results, indent=2).encode())
        log.info("features are in %s", out)
    return results


_OPENED_BY = {
    "validation": "; config.eval.every_epochs above 0 opens it",
    "test": "; config.eval.split=test opens it",
}


def _check_split(exp: Experiment, split: str) -> None:
    if exp.objective.multi_label:
        raise EvaluationError(
            f"the clips of {exp.builder.info.full_name} have several classes each, of which no clusters are measured; "
            "python -m haa_jax.predict --features=DIR writes the features of videos"
        )
    if split not in exp.splits:
        hint = _OPENED_BY.get(split, "")
        raise EvaluationError(f"the {split} split is not one of this run's ({', '.join(exp.splits)}){hint}")
    if len(exp.splits[split]) <= NEIGHBORS:
        found = len(exp.splits[split])
        raise EvaluationError(f"the {split} split has {found} clips; {NEIGHBORS} neighbors need {NEIGHBORS + 1}")


def features(experiment: Experiment, variables, split: str) -> np.ndarray:
    """The endpoint "features" of every clip of a split, averaged over its views: float32 (clips, size), in its order.

    Raises:
      EvaluationError: features are not finite (names the clips), or equal for all clips.
    """
    step = functools.partial(
        steps.features_step,
        model=experiment.model,
        preprocess=functools.partial(streams.preprocess, data=experiment.test_data),
    )
    options = compiling.options(experiment.mesh)
    compiled = jax.jit(step, out_shardings=mesh.batch_sharding(experiment.mesh), compiler_options=options)
    outputs = evaluate.run_split(experiment, compiled, variables, split, jnp.mean, experiment.test_views)
    found = outputs["features"]
    evaluate.check_finite(experiment, split, found, "features")
    if (found == found[0]).all():
        raise EvaluationError(f"{split}: the network gives all {len(found)} clips the same features")
    return found


def labels(experiment: Experiment, split: str) -> dict[str, np.ndarray]:
    """The metadata of each clip: `labels` int32 into `classes`; as text `clip_ids`, `areas`, `composites`."""
    index, table = experiment.splits[split].index, experiment.taxonomy
    return {
        "clip_ids": np.array(index.clip_id),
        "labels": np.asarray(index.label, np.int32),
        "classes": np.array(table.names),
        "areas": np.array(table.area_names)[index.area],
        "composites": np.array(table.composite_names)[index.composite],
    }


def measure(arrays: dict[str, np.ndarray]) -> dict:
    """Size, chance and purity of features with their labels; see `embed`."""
    clips, size = arrays["features"].shape
    return {
        "clips": clips,
        "size": size,
        "neighbors": NEIGHBORS,
        "chance": {"area": chance(arrays["areas"]), "composite": chance(arrays["composites"])},
        "purity": {"features": purities(arrays["features"], arrays)},
    }


def purities(points: np.ndarray, arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """`purity` of areas and composites at points (clips, dimensions)."""
    return {"area": purity(points, arrays["areas"]), "composite": purity(points, arrays["composites"])}


def purity(points: np.ndarray, names: np.ndarray, neighbors: int = NEIGHBORS) -> float:
    """The share of the nearest neighbors of each point (Euclidean, without itself) that have its name, 0 to 1.

    Args:
      points: float (N, dimensions), N above `neighbors`.
      names: (N,) of any type that can be compared.
    """
    from sklearn.neighbors import NearestNeighbors

    # Without an argument, kneighbors leaves out each point itself, but not its copies.
    nearest = NearestNeighbors(n_neighbors=neighbors).fit(points).kneighbors(return_distance=False)
    return float((names[nearest] == names[:, None]).mean())


def chance(names: np.ndarray) -> float:
    """The expected purity of random neighbors."""
    counts = np.unique(names, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / (len(names) * (len(names) - 1)))


def tsne(points: np.ndarray) -> tuple[np.ndarray, dict]:
    """A truncated SVD, then t-SNE; deterministic on one machine.

    Args:
      points: float (N, size), N above 5.

    Returns:
      Positions float32 (N, 2), and {"svd_dimensions", "perplexity", "seed"}: at most 50 dimensions; perplexity 30,
      or a third of the number of other points if there are fewer than 91.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.manifold import TSNE

    dimensions = min(SVD_DIMENSIONS, *points.shape)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    reduced = TruncatedSVD(dimensions, random_state=SEED).fit_transform(points)
    positions = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED).fit_transform(reduced)
    return positions, {"svd_dimensions": dimensions, "perplexity": perplexity, "seed": SEED}


def describe(results: dict) -> str:
    """The purities as text, each compared with chance."""
    lines = [f"{results['split']}, {results['clips']} clips, {results['size']} features, step {results['step']}"]
    for space, found in results["purity"].items():
        parts = [f"{name} {100 * found[name]:.1f} % (chance {100 * results['chance'][name]:.1f} %)" for name in found]
        lines.append(f"  purity of {results['neighbors']} neighbors in the {space}: {', '.join(parts)}")
    if "tsne" in results:
        settings = results["tsne"]
        lines.append(f"  t-SNE: perplexity {settings['perplexity']:.3g}, of {settings['svd_dimensions']} dimensions")
    return "\n".join(lines)


def draw(file, positions: np.ndarray, arrays: dict[str, np.ndarray], title: str) -> None:
    """Writes a PNG of two panels, areas and composites, to an open binary file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Agg without pyplot: needs no display, leaves no global state.
    figure = Figure(figsize=(15, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, kind in zip(figure.subplots(1, 2), ("areas", "composites"), strict=True):
        _panel(axes, positions, arrays[kind], kind)
    figure.suptitle(title)
    figure.savefig(file, format="png", dpi=120)


def _panel(axes, positions: np.ndarray, names: np.ndarray, kind: str) -> None:
    """One point per clip, colored by name."""
    import matplotlib

    different = sorted(set(names.tolist()))
    palette = matplotlib.colormaps["tab10" if len(different) <= 10 else "tab20"].colors
    size = float(np.clip(6000 / len(names), 8, 60))  # square points
    for number, name in enumerate(different):
        here = positions[names == name]
        color = palette[number % len(palette)]
        marker = MARKERS[number // len(palette) % len(MARKERS)]
        label = name.replace("_", " ")
        axes.scatter(*here.T, s=size, color=[color], marker=marker, label=label, linewidths=0.3, edgecolors="white")
    # The axes of t-SNE have no unit: only neighborhoods mean something.
    axes.set(xticks=[], yticks=[], aspect="equal", title=f"{len(different)} {kind}")
    axes.set_adjustable("datalim")
    if len(different) <= MOST_IN_LEGEND:
        columns = min(4, len(different))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, fontsize=9, frameon=False)
    else:
        axes.set_xlabel("too many for a legend; colors and markers repeat")


def _title(exp: Experiment, results: dict) -> str:
    builder = exp.builder if results["split"] == "train" else exp.test_builder
    model, stream, settings = exp.config.model.name, exp.config.data.stream, results["tsne"]
    return (
        f"{builder.info.full_name}, {results['split']} split, {results['clips']} clips: "
        f"features of {model} on {stream} ({exp.config.objective}), step {results['step']}\n"
        f"t-SNE, perplexity {settings['perplexity']:.3g}, of {settings['svd_dimensions']} dimensions"
    )


def _define_flags() -> None:
    """Not at import: other commands define flags of the same names."""
    config_flag.define()
    flags.DEFINE_string("workdir", None, "Folder of the run whose checkpoint is used.")
    flags.DEFINE_enum("split", "test", SPLITS, "Clips to embed.")
    flags.DEFINE_string("out", None, "Folder for the features and the picture (default: the workdir).")
    flags.DEFINE_bool("no_picture", False, "Write the features and their purity only.")
    flags.DEFINE_bool("multihost", False, "This is one of several processes: jax.distributed.initialize().")


if __name__ == "__main__":
    _define_flags()
    app.run(main, flags_parser=config_flag.parse)
