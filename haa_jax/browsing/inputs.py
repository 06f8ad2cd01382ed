"""What a network sees of a clip, as pictures: its input after `streams.preprocess`, with the normalization undone."""

from collections.abc import Callable

import numpy as np

from haa_jax import streams
from haa_jax.data.views import Clip
from haa_jax.models.skeleton import SKELETONS
from tfds_haa500.browsing import drawing
from tfds_haa500.browsing.page import Legend
from tfds_haa500.browsing.stored import FLOW_LEGEND, GROUPS_LEGEND, PEOPLE_LEGEND
from tfds_haa500.streams import flow

Drawn = tuple[str, np.ndarray]  # a caption, and uint8 (frames, height, width, 3)
SKELETON_SIDE = 112  # pixels


def pictures(clip: Clip, data) -> list[Drawn]:
    """The pictures of each stream of one clip, all its frames.

    Args:
      clip: stream -> array, shapes and dtypes as in `streams.clip_spec(data)`.
      data: `config.data`.
    """
    found = []
    for name, stream in streams.modalities(data).items():
        seen = np.asarray(stream.preprocess(clip[name][None], data)[0])
        caption, drawn = DRAWINGS.get(name, _any)(seen, data)
        found.append((caption or name, drawn))
    return found


def legend(data) -> list[Legend]:
    """What the colors stand for, of the streams that `data.stream` names."""
    return [entry for name in streams.modalities(data) for entry in LEGENDS.get(name, ())]


def levels(seen: np.ndarray, data) -> np.ndarray:
    """Normalized levels (..., channels) as they were before: uint8."""
    return np.round(seen * np.array(data.std) + np.array(data.mean)).clip(0, 255).astype(np.uint8)


def _rgb(seen: np.ndarray, data) -> Drawn:
    before = levels(seen, data)
    return ("rgb, fed as bgr", before[..., ::-1]) if data.bgr else ("rgb", before)


def _flow(seen: np.ndarray, data) -> Drawn:
    """The first field of each stack."""
    pixels = flow.to_pixels(levels(seen, data)[..., :2])
    most = drawing.full_length(pixels)
    stack = f", first of {data.flow_stack} fields" if data.flow_stack > 1 else ""
    return f"flow{stack}, full color at {most:.1f} px", drawing.flow_colors(pixels, most)


def _pose(seen: np.ndarray, data) -> Drawn:
    """Heatmaps; red, green and blue are the channels. Scores above 1 are drawn as 1."""
    return "pose", np.round(255 * seen.clip(0, 1)).astype(np.uint8)


def _objects(seen: np.ndarray, data) -> Drawn:
    return "objects", drawing.planes(seen)


def _skeleton(seen: np.ndarray, data) -> Drawn:
    """Two people (people, frames, joints, 3) on black, x and y of -0.5..0.5 from edge to edge."""
    people = (seen + np.array([0.5, 0.5, 0])) * (SKELETON_SIDE, SKELETON_SIDE, 1)
    drawn = np.zeros((people.shape[1], SKELETON_SIDE, SKELETON_SIDE, 3), np.uint8)
    for number, picture in enumerate(drawn):
        drawing.draw_people(picture, people[:, number], SKELETONS[data.skeleton].bones)
    return f"skeleton, {data.skeleton}", drawn


def _any(seen: np.ndarray, data) -> Drawn:
    """A stream that was added: its first channel (three if it has them), from its lowest to its highest value."""
    channels = seen[..., :3] if seen.shape[-1] >= 3 else seen[..., :1].repeat(3, -1)
    low, high = float(channels.min()), float(channels.max())
    return "", np.round(255 * (channels - low) / max(high - low, 1e-6)).astype(np.uint8)


# Stream -> function of its network input (one clip, float32) and `data`.
DRAWINGS: dict[str, Callable] = {"rgb": _rgb, "flow": _flow, "pose": _pose, "objects": _objects, "skeleton": _skeleton}
LEGENDS = {
    "flow": FLOW_LEGEND,
    "pose": [
        Legend(label, color)
        for label, color in (("head", (255, 0, 0)), ("upper body", (0, 255, 0)), ("lower body", (0, 0, 255)))
    ],
    "objects": GROUPS_LEGEND,
    "skeleton": PEOPLE_LEGEND,
}
