"""From an endpoint's own resolution to the frames of the video, and where in the video a map's mass is."""

import numpy as np

from haa_jax import models


def over_frames(values: np.ndarray, endpoint: str, model, frames: int, axis: int) -> np.ndarray:
    """A map with one entry for each frame that the network saw, interpolated linearly between the endpoint's steps.

    Args:
      values: float, with the endpoint's steps along `axis`.
      model: `config.model`.
      frames: of the view.
    """
    steps, file = values.shape[axis], models.MODELS[model.name]
    if hasattr(file, "endpoint_frames"):
        centers = file.endpoint_frames(model, endpoint, frames)
    else:
        centers = (np.arange(steps) + 0.5) * frames / steps - 0.5
    weights = [np.interp(np.arange(frames), centers, each) for each in np.eye(steps)]  # (steps, frames)
    resized = np.tensordot(np.stack(weights), values, ((0,), (axis,)))
    return np.moveaxis(resized, 0, axis).astype(np.float32)


def half_of(mass: np.ndarray, frames: np.ndarray) -> tuple[int, int]:
    """The shortest run of frames with half of a map's mass: the numbers of its first and last frame.

    Args:
      mass: (steps,), 0 or above, with a sum above 0.
      frames: int (steps,), the video's frame at each step; a short video that is looped has each several times.
    """
    numbers, inverse = np.unique(frames, return_inverse=True)
    total = np.concatenate([[0.0], np.cumsum(np.bincount(inverse, mass))])
    needed = total[:-1] + 0.5 * total[-1]
    last = np.searchsorted(total, needed - 1e-9 * total[-1]) - 1  # for each first frame
    possible = np.flatnonzero(last < len(numbers))
    first = min(possible, key=lambda each: numbers[last[each]] - numbers[each])
    return int(numbers[first]), int(numbers[last[first]])


def peak_of(values: np.ndarray, regions: np.ndarray) -> tuple[int, float, float]:
    """The step at which a map is highest, and x and y of that place in 0..1 of the frame.

    Args:
      values: (steps, height, width).
      regions: (steps, 4), see `view.View`.
    """
    step, down, across = np.unravel_index(values.argmax(), values.shape)
    left, top, width, height = regions[step]
    x = left + (across + 0.5) / values.shape[2] * width
    y = top + (down + 0.5) / values.shape[1] * height
    return int(step), float(x), float(y)
