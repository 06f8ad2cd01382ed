"""The Grad-CAM of a video file, placed on its frames and joints."""

import dataclasses
import difflib
import pathlib
from collections.abc import Sequence

import numpy as np
from etils import epath

from haa_jax import models
from haa_jax.explanation import placement, skeletons
from haa_jax.explanation.grad_cam import ExplanationError, class_maps
from haa_jax.explanation.view import View, middle_view
from haa_jax.prediction import videos
from haa_jax.prediction.networks import evaluated_head
from haa_jax.restore import TrainedNetwork


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Maps of a class over the view of a video, with what drawing them takes.

    Attributes:
      name: of the video, without folder and suffix.
      head, label, score: the class and its score in this view: softmax, or sigmoid if clips have several classes.
      top: whether it is the class with the highest score.
      view: what the network saw.
      maps: endpoint -> float32 (frames, height', width'), one map for each frame of the view and in space at the
        endpoint's own resolution; of skeletons (people, frames, joints), 0 where nobody was detected.
      unseen: endpoint -> share of the map, before that, where nobody was detected; empty unless skeletons.
      people: float32 (people, frames, joints, 3) of skeletons, else None.
      pictures: the video's frames as they are stored, T of them.
      fps: of the video.
      skeleton: "coco17" or "openpose18"; only of people.
    """

    name: str
    head: str
    label: str
    score: float
    top: bool
    view: View
    maps: dict[str, np.ndarray]
    unseen: dict[str, float]
    people: np.ndarray | None
    pictures: Sequence
    fps: float
    skeleton: str


def explain(
    video: epath.PathLike,
    trained: TrainedNetwork,
    label: str = "",
    head: str = "",
    endpoints: Sequence[str] = (),
    flow_method: str = videos.FLOW_METHODS[0],
) -> Explanation:
    """The Grad-CAM of a video.

    Args:
      video: a file.
      label: name of the class; "" for the one with the highest score.
      head: "" for the one that the test evaluates.
      endpoints: () for those that the network's file gives in `cam_endpoints`.
      flow_method: as of `videos.read_example`.

    Raises:
      ExplanationError: unknown class, head or endpoint, or the network's file gives no endpoints.
      videos.VideoError: the video cannot be read, or lacks what the network's stream needs.
    """
    head = head or evaluated_head(trained)
    index = class_index(trained, label, head) if label else None
    endpoints = tuple(endpoints) or default_endpoints(trained)
    example = videos.read_example(video, trained.data, flow_method)
    view = middle_view(example, trained.data, trained.views)
    found = class_maps(trained, view.clips, endpoints, head, index)
    (chosen,), (logits,) = found.classes, found.logits
    maps, unseen, people = _placed(found.maps, trained, view, example)
    return Explanation(
        name=pathlib.Path(video).stem,
        head=head,
        label=trained.classes[head][chosen],
        score=float(trained.labels.scores(logits)[chosen]),
        top=bool(chosen == logits.argmax()),
        view=view,
        maps=maps,
        unseen=unseen,
        people=people,
        pictures=example["video"],
        fps=example["fps"],
        skeleton=trained.data.skeleton,
    )


def class_index(trained: TrainedNetwork, label: str, head: str) -> int:
    """The number of a class. Raises ExplanationError for an unknown name or head; suggests the most similar name."""
    if head not in trained.classes:
        raise ExplanationError(f"--head={head}: the network's heads are {', '.join(trained.classes)}")
    names = trained.classes[head]
    if label in names:
        return names.index(label)
    others = [other for other, theirs in trained.classes.items() if label in theirs]
    if others:
        raise ExplanationError(f"--class={label} is not a class of the {head} head; add --head={others[0]}")
    nearest = difflib.get_close_matches(label, names, n=1, cutoff=0)
    raise ExplanationError(f"--class={label}: there is no such {head} class; did you mean {nearest[0]!r}?")


def default_endpoints(trained: TrainedNetwork) -> tuple[str, ...]:
    """The endpoints that are mapped by default. Raises ExplanationError if the network's file gives none."""
    model = trained.config.model
    file = models.MODELS[model.name]
    if not hasattr(file, "cam_endpoints"):
        raise ExplanationError(f"the network {model.name} has no default; give --endpoint=NAME (see its file)")
    return file.cam_endpoints(model)


def _placed(maps: dict, trained: TrainedNetwork, view: View, example: dict) -> tuple[dict, dict, np.ndarray | None]:
    """The maps, `unseen` and people of an Explanation."""
    config = trained.config
    frames, skeleton = trained.data.frames, trained.data.skeleton
    if models.MODELS[config.model.name].INPUT != "skeleton":
        return {name: placement.over_frames(x[0], name, config.model, frames, 0) for name, x in maps.items()}, {}, None
    people = skeletons.people_of(example, view.frames, skeleton)
    spread = {name: placement.over_frames(x[0], name, config.model, frames, 1) for name, x in maps.items()}
    placed = {name: np.where(people[..., 2] > 0, x, 0) for name, x in spread.items()}
    unseen = {name: float(1 - placed[name].sum() / x.sum()) if x.any() else 0.0 for name, x in spread.items()}
    return placed, unseen, people
