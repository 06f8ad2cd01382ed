"""Maps over the frames of a video, as a strip of frames and as an animation."""

import cv2
import numpy as np

from haa_jax.streams import images

SHORT_SIDE = 240  # pixels; smaller frames are scaled up to it
STRENGTH = 0.7  # opacity of the map where it is highest
UNSEEN = 0.35  # brightness of what the network did not see
MOST_IN_STRIP = 8
INTERVALS = (0.02, 0.5)  # seconds that a frame of the animation is shown, at least and at most


def enlarged(frame: np.ndarray) -> np.ndarray:
    """A frame (height, width, 3) large enough to draw on."""
    return images.scale(frame, max(SHORT_SIDE, min(frame.shape[:2])))


def overlay(frame: np.ndarray, values: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A frame with a map over the part that the network saw; the rest is darkened.

    Args:
      frame: uint8 (height, width, 3), RGB.
      values: (rows, columns) in 0..1, of the part that was seen.
      region: that part: x, y, width, height in 0..1 of the frame.
    """
    height, width = frame.shape[:2]
    left, top, across, down = region * (width, height, width, height)
    rows, columns = values.shape
    # Maps centers of pixels: center x of the frame is at (x + 0.5 - left) * columns / across - 0.5 in the map.
    inverse = np.array(
        [
            [columns / across, 0, (0.5 - left) * columns / across - 0.5],
            [0, rows / down, (0.5 - top) * rows / down - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    heat = cv2.warpAffine(np.float32(values), inverse, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    seen = ((y >= top) & (y < top + down))[:, None] & ((x >= left) & (x < left + across))
    opacity = STRENGTH * heat[..., None]
    mixed = (1 - opacity) * frame + opacity * colors(heat)
    return np.where(seen[..., None], mixed, UNSEEN * frame).astype(np.uint8)


def colors(values: np.ndarray) -> np.ndarray:
    """The colors, uint8 (..., 3) RGB, of values (rows, columns) in 0..1: blue, green, yellow, red."""
    levels = np.clip(values * 255, 0, 255).round().astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)


def chosen_steps(frames: np.ndarray) -> np.ndarray:
    """The steps that a strip shows: evenly spaced over the different frames of a view, in their order."""
    different = np.sort(np.unique(frames, return_index=True)[1])
    return different[np.linspace(0, len(different) - 1, min(MOST_IN_STRIP, len(different))).round().astype(int)]


def write_strip(file, rows: dict[str, list[np.ndarray]], titles: list[str], title: str) -> None:
    """Writes a PNG of rows of pictures to an open binary file.

    Args:
      rows: label -> pictures, as many as there are titles.
      titles: of the columns.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pictures = next(iter(rows.values()))
    height, width = pictures[0].shape[:2]
    across = 1.7 * max(1.0, width / height)  # inches of a picture
    figure = Figure(
        figsize=(0.4 + across * len(titles), 0.7 + (across * height / width + 0.04) * len(rows)), layout="compressed"
    )
    FigureCanvasAgg(figure)  # without pyplot: needs no display, leaves no global state
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for line, (label, shown) in zip(axes, rows.items(), strict=True):
        for place, picture in zip(line, shown, strict=True):
            place.imshow(picture)
            place.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, fontsize=9)
    for place, text in zip(axes[0], titles, strict=True):
        place.set_title(text, fontsize=9)
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    figure.savefig(file, format="png", dpi=100)


def write_animation(file, pictures: list[np.ndarray], seconds: float) -> None:
    """Writes a GIF that repeats to an open binary file.

    Args:
      pictures: uint8 (height, width, 3) of one shape.
      seconds: from one picture to the next; kept within INTERVALS.
    """
    from PIL import Image

    milliseconds = round(1000 * float(np.clip(seconds, *INTERVALS)))
    reduced = [Image.fromarray(picture).quantize(128, dither=Image.Dither.NONE) for picture in pictures]
    reduced[0].save(
        file, format="GIF", save_all=True, append_images=reduced[1:], duration=milliseconds, loop=0, disposal=1
    )
