"""Where in a video the evidence for a class is: Grad-CAM (Selvaraju et al., ICCV 2017), drawn over the frames.

    python -m haa_jax.explain VIDEO --workdir=runs/i3d
    python -m haa_jax.explain VIDEO --weights=kinetics-400 --class="push up" --out=explained

The class is the network's answer for the view of the video that is in the middle of those that the test averages, or
the one given by --class. DIR (--out, by default the current folder) gets `<video>_<class>.png`, a strip of frames, and
`<video>_<class>.gif`, all frames of the view; each has a row or column for every endpoint. From Python:

    from haa_jax import explain, restore

    trained = restore.load_run("runs/i3d")
    found = explain.explain("clip.mp4", trained)
    print(found.label, found.score, found.maps["Mixed_5c"].shape)  # (frames, 7, 7)

and `explain.grad_cam` gives the maps of stored clips without drawing.
"""

import dataclasses
import difflib
import pathlib
import re
import sys
from collections.abc import Sequence

import jax
import numpy as np
from absl import app, flags
from etils import epath

from haa_jax import config_flag, models
from haa_jax.explanation import drawing, placement, skeletons
from haa_jax.explanation.grad_cam import ExplanationError, class_maps, default_head, grad_cam
from haa_jax.explanation.view import View, middle_view
from haa_jax.prediction import network_flags, videos
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime import paths
from haa_jax.runtime.files import atomic_write
from haa_jax.runtime.logs import set_up_logging
from haa_jax.streams import images

__all__ = ["Explanation", "ExplanationError", "describe", "explain", "grad_cam", "write"]


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Maps of a class over the view of a video, with what drawing them takes.

    Attributes:
      name: of the video, without folder and suffix.
      head, label, score: the class and its softmax score in this view.
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


def main(argv: list[str]) -> None:
    options = flags.FLAGS
    set_up_logging()
    if len(argv) != 2:
        sys.exit(f"error: one video is needed, not {len(argv) - 1}; options are given as --name=value")
    from haa_jax.errors import user_errors

    try:
        out = paths.expand(options.out)
        paths.check_writable(out, "--out")
        (video,) = _only(videos.find(argv[1]), argv[1])
        trained = network_flags.load()
        found = explain(video, trained, options["class"].value or "", options.head or "", tuple(options.endpoint or ()))
        print(describe(found))
        print("\n".join(f"  {path}" for path in write(found, out)))
    except user_errors() as error:
        sys.exit(f"error: {error}")


def _only(found: list[str], given: str) -> list[str]:
    if len(found) != 1:
        raise ExplanationError(f"{given} has {len(found)} videos; give one of them")
    return found


def explain(
    video: epath.PathLike, trained: TrainedNetwork, label: str = "", head: str = "", endpoints: Sequence[str] = ()
) -> Explanation:
    """The Grad-CAM of a video.

    Args:
      video: a file.
      label: name of the class; "" for the one with the highest score.
      head: "" for the one that the run reports.
      endpoints: () for those that the network's file gives in `cam_endpoints`.

    Raises:
      ExplanationError: unknown class, head or endpoint, or the network's file gives no endpoints.
      videos.VideoError: the video cannot be read, or lacks what the network's stream needs.
    """
    head = head or default_head(trained)
    index = class_index(trained, label, head) if label else None
    endpoints = tuple(endpoints) or default_endpoints(trained)
    example = videos.read_example(video, trained.data)
    view = middle_view(example, trained.data, trained.views)
    found = class_maps(trained, view.clips, endpoints, head, index)
    (chosen,), (logits,) = found.classes, found.logits
    maps, unseen, people = _placed(found.maps, trained, view, example)
    return Explanation(
        name=pathlib.Path(video).stem,
        head=head,
        label=trained.classes[head][chosen],
        score=float(jax.nn.softmax(logits)[chosen]),
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


def describe(found: Explanation) -> str:
    """The class, its score, and where each map is: a line for the class and one for each endpoint."""
    frames = found.view.frames[found.view.frames < len(found.pictures)]
    kind = "highest" if found.top else "not the highest"
    lines = [
        f"{found.name}: {found.label} {found.score:.3f} ({found.head}, {kind} score), from "
        f"{_range(frames.min(), frames.max(), found.fps)} of {len(found.pictures)}"
    ]
    for endpoint, values in found.maps.items():
        lines.append(f"  {endpoint}: {_where(found, endpoint, values)}")
    return "\n".join(lines)


def _where(found: Explanation, endpoint: str, values: np.ndarray) -> str:
    if not values.any():
        return "the map is 0 everywhere: no channel that counts for the class is active"
    axes = (0, 2) if found.people is not None else (1, 2)
    half = placement.half_of(values.sum(axes), found.view.frames)
    text = f"half of the map is in {_range(*half, found.fps)}"
    if found.people is None:
        step, x, y = placement.peak_of(values, found.view.regions)
        place = f"{100 * x:.0f} % from the left, {100 * y:.0f} % from the top"
        return f"{text}; highest in frame {found.view.frames[step]}, {place}"
    shares = [f"{name} {100 * share:.0f} %" for name, share in skeletons.strongest(values, found.skeleton)]
    unseen = found.unseen[endpoint]
    left_out = f"; {100 * unseen:.0f} % of it, where nobody was detected, is left out" if unseen >= 0.005 else ""
    return f"{text}; {', '.join(shares)}{left_out}"


def _range(first: int, last: int, fps: float) -> str:
    return f"frames {first} to {last} ({first / fps:.1f} to {(last + 1) / fps:.1f} s)"


def write(found: Explanation, out: epath.PathLike) -> list[epath.Path]:
    """Writes the strip and the animation to a folder, made if missing; their paths."""
    out = paths.folder(out)
    out.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "_", f"{found.name}_{found.label}")
    steps = [step for step, frame in enumerate(found.view.frames) if frame < len(found.pictures)]
    drawn = {step: _draw(found, step) for step in steps}  # step -> {row: picture}
    columns = [steps[each] for each in drawing.chosen_steps(found.view.frames[steps])]
    numbers = [int(found.view.frames[step]) for step in columns]
    files = [out / f"{stem}.png", out / f"{stem}.gif"]
    with atomic_write(files[0]) as file:
        drawing.write_strip(
            file,
            {row: [drawn[step][row] for step in columns] for row in drawn[columns[0]]},
            [f"frame {number}, {number / found.fps:.1f} s" for number in numbers],
            f"{found.name}: {found.label}, score {found.score:.3f}",
        )
    with atomic_write(files[1]) as file:
        gaps = np.diff(found.view.frames[steps])
        seconds = float(np.median(gaps[gaps > 0])) / found.fps if (gaps > 0).any() else 1.0
        drawing.write_animation(file, [np.hstack(list(each.values())) for each in drawn.values()], seconds)
    return files


def _draw(found: Explanation, step: int) -> dict[str, np.ndarray]:
    """The frame of a step, and the frame with the map of each endpoint: uint8 (height, width, 3)."""
    frame = drawing.enlarged(images.decode(found.pictures[found.view.frames[step]]))
    pictures = {"frame": frame}
    for endpoint, values in found.maps.items():
        highest = values.max() or 1.0
        if found.people is None:
            pictures[endpoint] = drawing.overlay(frame, values[step] / highest, found.view.regions[step])
        else:
            own = found.people[:, step], values[:, step] / highest
            pictures[endpoint] = skeletons.draw(frame, *own, found.skeleton)
    return pictures


def _define_flags() -> None:
    """Not at import: other commands define flags of the same names."""
    network_flags.define()
    flags.DEFINE_string("class", None, "Name of the class to explain (default: the one with the highest score).")
    flags.DEFINE_string("head", None, "Head of the class (default: the one that the run reports).")
    flags.DEFINE_list("endpoint", None, "Endpoints to map (default: the last ones with positions).")
    flags.DEFINE_string("out", ".", "Folder for the pictures.")


if __name__ == "__main__":
    _define_flags()
    app.run(main, flags_parser=config_flag.parse)
