"""A trained network with all that using it takes, from a run's workdir or from published weights.

No dataset is needed, and TensorFlow is not imported. Scores of the classes for the frames of a clip:

    import cv2
    import jax

    from haa_jax import restore
    from haa_jax.data import views

    trained = restore.load_run("runs/i3d")
    example = {"video": [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames], "fps": 30.0}  # frames in BGR
    clips = views.empty_clips(trained.data, 1)  # {"rgb": uint8 (1, frames, crop, crop, 3)}
    views.ClipViews(lambda: example, trained.data, windows=1, crops=1).write(0, views.row(clips, 0))
    logits = trained.logits(clips)["atomic"][0]
    scores = dict(zip(trained.classes["atomic"], jax.nn.softmax(logits).tolist(), strict=True))

An example holds what the dataset stores of a clip, as far as the stream needs it (see `streams.features`).
"""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence

import jax
from etils import epath
from flax import linen as nn
from flax import traverse_util
from ml_collections import ConfigDict

from haa_jax import checks, label_kinds, models, streams
from haa_jax.configs import base
from haa_jax.data import pipeline
from haa_jax.data.views import Clip
from haa_jax.errors import UserError
from haa_jax.learning import steps
from haa_jax.learning.objectives import OBJECTIVES
from haa_jax.models.parameters import abstract_variables
from haa_jax.runtime import checkpoint_reader, paths
from haa_jax.runtime.checkpoint_reader import Restored
from haa_jax.weights import importer, kinetics

Classes = Mapping[str, Sequence[str]]  # names by head


class RestoreError(UserError, ValueError):
    """A checkpoint of other classes, or of another network, than wanted."""


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A network with its weights.

    Attributes:
      network: the Flax module; see haa_jax/models for how it is called.
      variables: {"params", "batch_stats"}, trees of float32 NumPy arrays.
      config: the resolved config (see configs/base.py), locked.
      classes: the class names of each head, in the order of its logits.
      step: of the checkpoint; None for published weights.
      meta: what the run saved with the checkpoint, such as its dataset and versions; {} for published weights.
    """

    network: nn.Module
    variables: dict
    config: ConfigDict
    classes: dict[str, tuple[str, ...]]
    step: int | None = None
    meta: dict = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def data(self) -> ConfigDict:
        """`config.data` with the frames and sizes of the test."""
        return pipeline.at_test(self.config.data, self.config.eval)

    @property
    def views(self) -> pipeline.Views:
        """How many windows and crops of each clip the test averages."""
        return pipeline.Views(self.config.eval.windows, self.config.eval.crops)

    @property
    def multi_label(self) -> bool:
        """Whether it gives clips several classes: those whose sigmoid is above `config.eval.threshold`."""
        objective = self.config.objective
        return objective in OBJECTIVES and OBJECTIVES[objective].multi_label

    @property
    def labels(self) -> label_kinds.LabelKind:
        """What follows from `multi_label`."""
        return label_kinds.of(self.multi_label)

    @property
    def threshold(self) -> float | None:
        """The sigmoid above which a clip is of a class; None if clips have one class each."""
        return self.config.eval.threshold if self.multi_label else None

    @property
    def average(self):
        """The function (views, classes), axis -> (classes,) by which the test averages logits over views."""
        return steps.AVERAGES[self.config.eval.average]

    def preprocess(self, clips: Clip) -> jax.Array:
        """Stored clips as the network's input: float32 (batch, frames, height, width, channels), or ST-GCN's.

        Args:
          clips: modality -> (batch, *shape), shapes and dtypes as in `streams.clip_spec(self.data)`.
        """
        return streams.preprocess(clips, self.data)

    def logits(self, clips: Clip) -> dict[str, jax.Array]:
        """head -> float32 (batch, classes) of stored clips (see `preprocess`); compile it with `jax.jit` for many."""
        return self.network.apply(self.variables, self.preprocess(clips), train=False)[0]


def load_run(workdir: epath.PathLike, which: str = "last") -> TrainedNetwork:
    """The network of a run, also while it is training; nothing in the workdir is changed.

    Args:
      workdir: the run's `--workdir`, or a copy of it that has at least the folder `checkpoints`.
      which: "last", or "best" for the checkpoint with the highest validation score.

    Raises:
      RestoreError: the checkpoint is of a network that this version of haa_jax builds differently.
      checkpoint_reader.CheckpointError: there is no checkpoint that can be read.
    """
    restored = checkpoint_reader.read(paths.folder(workdir), best=is_best(which))
    config, classes = config_of(restored.meta), restored.meta["classes"]
    _check_settings(restored, config)
    network = _build(config, classes)
    _check_variables(restored, network, config)
    return TrainedNetwork(network, restored.state, config, _tuples(classes), restored.step, restored.meta)


def load_weights(
    path: epath.PathLike, config: ConfigDict, class_names: Sequence[str], head: str = "atomic"
) -> TrainedNetwork:
    """A network with published weights, such as I3D's of Kinetics, including their last layer.

    Args:
      path: a file that haa_jax/weights reads.
      config: of the network that the weights belong to, with their preprocessing.
      class_names: in the order of the last layer.
      head: what to call the head.

    Raises:
      checks.ConfigError: a setting that cannot work.
      readers.WeightsError: the file cannot be read, or does not fit the config and the number of classes.
    """
    checks.check_config(config)
    classes = {head: tuple(class_names)}
    network = _build(config, classes)
    abstract = abstract_variables(network, streams.network_shape(config.data))
    variables, _ = importer.load(paths.folder(path), config.model, abstract, head)
    return TrainedNetwork(network, variables, config.copy_and_resolve_references().lock(), classes)


def load_published(
    source: epath.PathLike, config: ConfigDict | None = None, class_names: Sequence[str] | None = None
) -> TrainedNetwork:
    """A published network by its name, or by the path of its weights.

    Args:
      source: "kinetics-400", the I3D of the extra haa_jax[kinetics]; or a file that haa_jax/weights reads.
      config: of the network that the weights belong to, with their preprocessing. "kinetics-400" has its own.
      class_names: in the order of the last layer. "kinetics-400" has its own.

    Raises:
      ValueError: a file without a config or class names, or "kinetics-400" with other class names.
      WeightsError, checks.ConfigError: as `load_weights`; the extra is not installed.
    """
    path = kinetics.locate(source)
    if os.fspath(source) == kinetics.NAME:
        if class_names is not None:
            raise ValueError(f"{kinetics.NAME!r} has its own class names; for others, give the path of a file")
        config, class_names = config or kinetics.get_config(), kinetics.read_class_names()
    if config is None or class_names is None:
        raise ValueError(f"{source}: the weights of a file need a config and the class names of their last layer")
    return load_weights(path, config, class_names)


def restore_state(workdir: epath.PathLike, abstract_state, classes: Classes, which: str = "last") -> Restored:
    """A checkpoint of a workdir laid out over devices, for an experiment on a dataset; changes nothing there.

    Args:
      abstract_state: a `TrainState` of `jax.ShapeDtypeStruct` with shardings.
      classes: of the dataset.
      which: as in `load_run`.

    Raises:
      RestoreError: the checkpoint is of other classes.
      checkpoint_reader.CheckpointError: there is no checkpoint that can be read, or it is of another network.
    """
    restored = checkpoint_reader.read(paths.folder(workdir), abstract_state, best=is_best(which))
    check_classes(restored.meta["classes"], classes)
    return restored


def check_classes(stored: Classes, classes: Classes) -> None:
    """Raises RestoreError unless a checkpoint's classes are those of the dataset, for each of its heads."""
    for head, names in classes.items():
        found = list(stored.get(head, ()))
        if found != list(names):
            different = sorted(set(found) ^ set(names))[:10]
            raise RestoreError(
                f"the checkpoint's {head} classes are not those of the dataset (different: {different}); "
                "use the config and dataset that it was trained with, or a new --workdir"
            )


def config_of(meta: dict) -> ConfigDict:
    """The config of the run that saved a checkpoint, as it was then."""
    return ConfigDict(_tuples(meta["config"])).lock()


def is_best(which: str) -> bool:
    if which not in ("last", "best"):
        raise ValueError(f"the checkpoint is chosen by 'last' or 'best', not {which!r}")
    return which == "best"


def _tuples(tree):
    """JSON's lists as the tuples that they were."""
    if isinstance(tree, dict):
        return {key: _tuples(value) for key, value in tree.items()}
    return tuple(tree) if isinstance(tree, list) else tree


def _build(config: ConfigDict, classes: Classes) -> nn.Module:
    return models.build(config.model, {head: len(names) for head, names in classes.items()})


def _check_settings(restored: Restored, config: ConfigDict) -> None:
    """Raises RestoreError if the config lacks settings that using a network reads."""
    known = base.get_config()
    fields = [(part, field) for part in ("data", "model", "eval") for field in known[part]]
    missing = [f"{part}.{field}" for part, field in fields if field not in config[part]]
    if missing:
        raise RestoreError(
            f"the checkpoint at step {restored.step} was saved by a version of haa_jax "
            f"({restored.meta['versions']['haa_jax']}) without {', '.join(missing[:5])}; use that version"
        )


def _check_variables(restored: Restored, network: nn.Module, config: ConfigDict) -> None:
    """Raises RestoreError unless the variables have the names and shapes of the network's."""
    trees = (restored.state, abstract_variables(network, streams.network_shape(config.data)))
    stored, wanted = ({name: leaf.shape for name, leaf in _flat(tree).items()} for tree in trees)
    different = [name for name in sorted(stored | wanted) if stored.get(name) != wanted.get(name)]
    if different:
        version = restored.meta["versions"]["haa_jax"]
        raise RestoreError(
            f"the checkpoint at step {restored.step}, saved by haa_jax {version}, does not fit {config.model.name} as "
            f"it is in this version: {len(different)} variables differ, such as {', '.join(different[:5])}"
        )


def _flat(variables: dict) -> dict:
    return traverse_util.flatten_dict(variables, sep="/")
