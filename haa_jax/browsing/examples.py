"""The views that a run sees of a clip: those of its first epochs, and those at test."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from haa_jax import streams
from haa_jax.data import pipeline, sampling, views
from haa_jax.data.views import Clip


@dataclasses.dataclass(frozen=True)
class View:
    """One view of a stored clip.

    Attributes:
      name: which one, as text.
      positions: int64 (frames,), of the clip.
      length: positions that the clip has.
      clip: stream -> array, as in `streams.clip_spec`.
    """

    name: str
    positions: np.ndarray
    length: int
    clip: Clip


def in_training(example: dict, data, seed: int, clip: int, num_clips: int, epochs: int) -> Iterator[View]:
    """What the first epochs of a training see of a clip; equal to its row in the batch of `pipeline.train_batches`.

    Args:
      data: `config.data`.
      seed: `config.seed`.
      clip: its number in the training split, which has `num_clips`.
    """
    length, fps = views.length_and_fps(example, data)
    for epoch in range(epochs):
        place = int(np.flatnonzero(sampling.clip_order(seed, epoch, num_clips) == clip)[0])
        number = epoch * num_clips + place
        out = views.row(views.empty_clips(data, 1), 0)
        views.train_clip(example, data, sampling.example_rng(seed, number), out)
        # The positions are the first that is drawn.
        positions = sampling.train_positions(length, fps, data, sampling.example_rng(seed, number))
        yield View(f"epoch {epoch + 1}", positions, length, out)


def at_test(example: dict, data, per_clip: pipeline.Views, most: int) -> tuple[list[View], int]:
    """At most `most` of the views of a clip at test, spread evenly over all of them, and how many there are.

    Args:
      data: `config.data` at test.
      per_clip: windows and crops of a clip.
    """
    length, fps = views.length_and_fps(example, data)
    windows = sampling.test_positions(length, fps, data, per_clip.windows)
    count = len(windows) * per_clip.crops
    clip_views = views.ClipViews(lambda: example, data, *per_clip)
    shown = []
    for view in np.unique(np.arange(min(count, most)) * count // min(count, most)):
        window, crop = divmod(int(view), per_clip.crops)
        out = views.row(views.empty_clips(data, 1), 0)
        clip_views.write(int(view), out)
        name = f"test, window {window + 1}/{len(windows)}, crop {crop + 1}/{per_clip.crops}"
        shown.append(View(name, windows[window], length, out))
    return shown, count


def seconds(view: View, example: dict) -> float:
    """How long the frames of a view last in the clip, as far as they follow one another."""
    step = float(np.median(np.diff(view.positions))) if len(view.positions) > 1 else 1.0
    return int((view.positions < view.length).sum()) * max(step, 0.1) / float(example["fps"])


def describe(view: View, data) -> str:
    """The name of a view, and which of the clip's frames it shows."""
    inside = view.positions[view.positions < view.length]
    rest = len(view.positions) - len(inside)
    kind = "fields" if streams.leading(data) is streams.STREAMS["flow"] else "frames"
    of_clip = f"{inside.min()} to {inside.max()} of {view.length}"
    return f"{view.name}: {kind} {of_clip}" + (f", then {rest} empty" if rest else "")
