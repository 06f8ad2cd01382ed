"""What is printed and written of an explanation: where its maps are, a strip of frames and an animation."""

import re

import numpy as np
from etils import epath

from haa_jax.explanation import drawing, placement, skeletons
from haa_jax.explanation.video import Explanation
from haa_jax.runtime import paths
from haa_jax.runtime.files import atomic_write
from haa_jax.streams import images


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
    unseen = found.unseen.get(endpoint, 0.0)
    if not values.any() and unseen:
        return "all of the map is where nobody was detected"
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
