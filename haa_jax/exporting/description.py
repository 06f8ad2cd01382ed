"""What export.json holds: inputs, outputs, classes, preprocessing, and where the network comes from.

Only what is recorded is written, and no path of this machine.
"""

import importlib.metadata
import json

import jax
from etils import epath
from jax import export
from ml_collections import ConfigDict

from haa_jax import streams
from haa_jax.errors import UserError
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime import paths

FORMAT = "haa_jax.export 1"
METRICS_FILE = "metrics.json"
# Settings with which the caller makes clips; those of IN_THE_PROGRAM are listed for information.
BY_THE_CALLER = (
    *("stream", "sampling", "frames", "stride", "fps", "temporal_padding", "flow_stack"),
    *("resize", "crop", "person_crop", "skeleton"),
)
IN_THE_PROGRAM = ("mean", "std", "bgr", "pose_sigma")
OF_TRAINING = ("frames", "resize", "resize_max", "crop", "augment", "flip", "color_jitter", "random_move")
HOLDS = {
    "rgb": "frames, short side scaled to `resize`, then cropped; channels red, green, blue; levels 0 to 255",
    "flow": "optical flow, scaled and cropped like frames; from each position on, `flow_stack` fields as channels "
    "x1 y1 x2 y2 ...; levels round((pixels + 20) * 255 / 40), of motion to the right and down in pixels of the stored "
    "frames, clipped to -20..20",
    "pose": "COCO-17 joints of the most prominent person: x (right) and y (down) in pixels of the crop, score 0 to 1; "
    "the program draws the heatmaps",
    "objects": "a channel for each group of objects (sports equipment, food, animals, vehicles, cutlery): 255 * the "
    "highest score of the boxes that cover a pixel, or 0",
    "skeleton": "joints of the two most prominent people in every frame: x - 0.5 and y - 0.5 in fractions of the "
    "frame, score 0 to 1; zeros for joints that were not detected and past the end of the clip",
}


class EvaluationFileError(UserError, ValueError):
    """A metrics.json that cannot be read."""


def describe(trained: TrainedNetwork, program: export.Exported, size: int, origin: dict) -> dict:
    """What export.json holds.

    Args:
      size: of the serialized program, bytes.
      origin: `of_run`, or {"published_weights": name}.
    """
    data = trained.data
    return {
        "format": FORMAT,
        "network": trained.config.model.to_dict(),
        "parameters": sum(array.size for array in jax.tree.leaves(trained.variables["params"])),
        "inputs": {
            name: {"shape": ["batch", *shape], "dtype": dtype.name, "holds": HOLDS.get(name, "")}
            for name, (shape, dtype) in streams.clip_spec(data).items()
        },
        "outputs": {
            head: {"shape": ["batch", len(names)], "dtype": "float32"} for head, names in trained.classes.items()
        },
        "classes": {head: list(names) for head, names in trained.classes.items()},
        **({"threshold": trained.threshold} if trained.multi_label else {}),  # of the sigmoid of a clip's classes
        "preprocessing": {
            **_fields(data, BY_THE_CALLER),
            "windows": trained.views.windows,
            "crops": trained.views.crops,
            "average": trained.config.eval.average,
        },
        "in_the_program": _fields(data, IN_THE_PROGRAM),
        "origin": origin,
        "program": {
            "platforms": list(program.platforms),
            "calling_convention_version": program.calling_convention_version,
            "bytes": size,
        },
        "versions": {name: importlib.metadata.version(name) for name in ("haa_jax", "jax", "jaxlib", "flax")},
    }


def of_run(trained: TrainedNetwork, workdir: epath.PathLike) -> dict:
    """Where the network of a run comes from: step, dataset, recipe, versions, and its evaluation if there is one.

    Raises:
      EvaluationFileError: the run's metrics.json cannot be read.
    """
    config, meta = trained.config, trained.meta
    return {
        "step": trained.step,
        "dataset": meta["dataset"],  # name and fingerprint
        "recipe": {
            "objective": config.objective,
            "area": config.area,
            "init_from": epath.Path(config.init_from).name,  # not the folder, which is of the machine that trained
            "seed": config.seed,
            "data": _fields(config.data, OF_TRAINING),
            "train": config.train.to_dict(),
            "optimizer": config.optimizer.to_dict(),
        },
        "trained_with": meta["versions"],
        "evaluation": evaluation(workdir, trained.step),
    }


def evaluation(workdir: epath.PathLike, step: int) -> dict | None:
    """The metrics of the checkpoint at `step`; None if it was not evaluated, or the file is of another checkpoint.

    Raises:
      EvaluationFileError: a metrics.json that cannot be read.
    """
    workdir = paths.folder(workdir)
    for folder in (workdir, workdir / f"step_{step}"):  # of a finished run, of one that was not
        file = folder / METRICS_FILE
        if not file.exists():
            continue
        try:
            results = json.loads(file.read_text())
            if results["step"] == step:
                return {key: results[key] for key in ("split", "evaluated_head", "heads")}
        except (ValueError, KeyError, TypeError) as error:
            hint = "evaluate again, or delete it"
            raise EvaluationFileError(f"{file} is not the metrics of an evaluation ({error!r}); {hint}") from error
    return None


def _fields(data: ConfigDict, names: tuple[str, ...]) -> dict:
    return {name: data[name] for name in names}
