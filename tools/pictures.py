"""Draws README's pictures from the demo runs.

    make demo demo-one-frame                     # trains the two networks
    python -m tools.pictures --workdir=demo_run  # writes order.webp, map.webp and streams.webp into docs/pictures

The workdir holds `data`, `i3d` and `i3d_one_frame`, as both demos leave them. Nothing is trained here:

    order.webp    a clip of each of two actions that differ only in the order of their frames, and the probabilities
                 that the one-frame and the eight-frame network give
    map.webp      t-SNE of both networks' features of the test clips (`python -m haa_jax.embed`)
    streams.webp  one clip's streams: frame, flow, joints and boxes

The same runs give the same files, byte by byte, with the same libraries.
"""

import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import matplotlib.colors
import matplotlib.patches
import numpy as np
from absl import app, flags
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfds_haa500.streams.objects import GROUPS

NETWORKS = {"i3d_one_frame": "one frame", "i3d": "eight frames"}  # workdir -> what the network sees
FRAMES = {"i3d_one_frame": 1, "i3d": 8}
PAIR = ("squat_down_019", "squat_up_017")
SHOWN = "dog_trick_down_019"  # the clip of streams.webp
WIDTH, DPI = 8.5, 170  # inches; twice the width of a README's column in pixels
INK, FAINT, PAPER = "#1f2328", "#656d76", "#ffffff"
FIRST, SECOND, OTHERS = "#2f6fde", "#e8710a", "#d0d7de"  # the two actions of a pair, and all the others
LIMBS = ((5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16))
STILL = 0.5  # pixels a frame: slower motion is drawn as none
SURE = 0.5  # score of a joint from which it is drawn


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    draw(pathlib.Path(flags.FLAGS.workdir).expanduser(), pathlib.Path(flags.FLAGS.out).expanduser())


def draw(workdir: pathlib.Path, out: pathlib.Path) -> None:
    """Writes the three pictures into `out`; ends the process if a run is missing."""
    if missing := [name for name in NETWORKS if not (workdir / name / "predictions.npz").exists()]:
        sys.exit(f"error: no finished run in {workdir / missing[0]}; train it with make demo demo-one-frame")
    clips = read_clips(workdir / "data", (*PAIR, SHOWN))
    predictions = {name: read_npz(workdir / name / "predictions.npz") for name in NETWORKS}
    features = {name: embedded(workdir, name) for name in NETWORKS}
    out.mkdir(parents=True, exist_ok=True)
    save(order_figure([clips[name] for name in PAIR], predictions), out / "order.webp")
    save(map_figure(features, predictions), out / "map.webp")
    save(streams_figure(clips[SHOWN]), out / "streams.webp")


def read_clips(data_dir: pathlib.Path, clip_ids) -> dict[str, dict]:
    """The named test clips of `haa500/demo` with all streams, as stored."""
    import tensorflow_datasets as tfds

    import tfds_haa500  # noqa: F401 - registers the builder

    examples = tfds.load("haa500/demo", split="test", data_dir=data_dir).as_numpy_iterator()
    found = {example["clip_id"].decode(): example for example in examples}
    return {clip_id: found[clip_id] for clip_id in clip_ids}


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def embedded(workdir: pathlib.Path, name: str) -> dict[str, np.ndarray]:
    """The features of a run's test clips, written next to the run by haa_jax.embed."""
    settings = [f"--config.data.data_dir={workdir / 'data'}", f"--workdir={workdir / name}", "--no_picture"]
    if FRAMES[name] == 1:
        settings.append("--config.data.frames=1")
    subprocess.run([sys.executable, "-m", "haa_jax.embed", "--config=i3d.py:demo", *settings], check=True)
    return read_npz(workdir / name / "features_test.npz")


def probabilities(prediction: dict[str, np.ndarray], clip_id: str) -> dict[str, float]:
    """Softmax of one clip's logits: class name -> probability."""
    (row,) = np.flatnonzero(prediction["clip_ids"] == clip_id)
    logits = prediction["atomic_logits"][row].astype(np.float64)
    exponentials = np.exp(logits - logits.max())
    values = (exponentials / exponentials.sum()).tolist()
    return dict(zip(prediction["atomic_classes"].tolist(), values, strict=True))


def top1(prediction: dict[str, np.ndarray]) -> str:
    """Correct test clips of all, as "45 of 48"."""
    right = (prediction["atomic_logits"].argmax(1) == prediction["atomic_labels"]).sum()
    return f"{right} of {len(prediction['atomic_labels'])}"


def seen(clip: dict, frames: int) -> np.ndarray:
    """Positions of the frames that the demo's I3D is tested on: int64 (frames,)."""
    from haa_jax.configs import i3d
    from haa_jax.data import sampling

    config = i3d.get_config("demo").data
    config.frames = frames
    return sampling.test_positions(len(clip["video"]), float(clip["fps"]), config, 1)[0]


def order_figure(clips: list[dict], predictions: dict[str, dict]) -> Figure:
    """Both clips of a pair: the frames that each network sees, and a bar with each network's probabilities."""
    pair = [class_of(clip) for clip in clips]
    figure = blank(height=4.45)
    for clip, top in zip(clips, (4.4, 2.4), strict=True):
        _strip(_axes(figure, top - 0.5, top - 1.4), clip)
        _bars(
            _axes(figure, top - 1.45, top - 1.95),
            {n: probabilities(predictions[n], class_id(clip)) for n in NETWORKS},
            pair,
        )
    _key(figure, {readable(pair[0]): FIRST, readable(pair[1]): SECOND, "the other 14 actions": OTHERS})
    return figure


def _axes(figure: Figure, top: float, bottom: float):
    """Bare axes over the whole width, between two heights in inches."""
    height, margin = figure.get_figheight(), 0.012
    axes = figure.add_axes((margin, bottom / height, 1 - 2 * margin, (top - bottom) / height))
    axes.axis("off")
    return axes


def class_id(clip: dict) -> str:
    return clip["clip_id"].decode()


def class_of(clip: dict) -> str:
    """The class's name: the clip id without its number."""
    return class_id(clip)[:-4]


def readable(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _strip(axes, clip: dict) -> None:
    """A row of the frames that the networks see, each cut to a square of 1 x 1."""
    left, gap = 0.0, 0.05
    for name, label in NETWORKS.items():
        axes.text(left, 1.06, label, fontsize=9.5, color=FAINT)
        for position in seen(clip, FRAMES[name]):
            axes.imshow(square(clip["video"][position]), extent=(left, left + 1, 0, 1), interpolation="bicubic")
            left += 1 + gap
        left += 4 * gap
    axes.set(xlim=(0, left - 5 * gap), ylim=(0, 1), anchor="NW")
    axes.text(0, 1.3, readable(class_of(clip)), fontsize=11, fontweight="bold", color=INK)


def square(image: np.ndarray, size: int = 200) -> np.ndarray:
    """The middle square of an image (h, w, 3), enlarged."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return cv2.resize(image[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_CUBIC)


def _bars(axes, found: dict[str, dict[str, float]], pair: list[str]) -> None:
    """A stacked bar for each network: the pair's two probabilities, then all the others'."""
    for row, (name, chances) in enumerate(found.items()):
        shares = [chances[pair[0]], 1 - chances[pair[0]] - chances[pair[1]], chances[pair[1]]]
        left = 0.0
        for share, color, ink in zip(shares, (FIRST, OTHERS, SECOND), ("white", INK, "white"), strict=True):
            axes.barh(-row, share, left=left, height=0.72, color=color)
            if share > 0.06:
                axes.text(left + share / 2, -row, f"{share:.0%}", ha="center", va="center", color=ink, fontsize=9)
            left += share
        axes.text(-0.01, -row, NETWORKS[name], ha="right", va="center", fontsize=9.5, color=INK)
    axes.set(xlim=(-0.125, 1), ylim=(-1.45, 0.45))


def map_figure(features: dict[str, dict], predictions: dict[str, dict]) -> Figure:
    """A panel for each network: a color for each pair of actions, a filled and an open marker for its two actions."""
    figure = blank(height=4.7)
    panels = figure.subplots(1, len(features))
    figure.subplots_adjust(left=0.015, right=0.985, top=0.935, bottom=0.13, wspace=0.03)
    for axes, (name, arrays) in zip(panels, features.items(), strict=True):
        _map(axes, arrays)
        title = f"{NETWORKS[name]}: {top1(predictions[name])} test clips correct"
        axes.set_title(title, fontsize=11, fontweight="bold", color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=5, fontsize=9, frameon=False, handletextpad=0.3)
    return figure


def _map(axes, arrays: dict[str, np.ndarray]) -> None:
    from haa_jax.embed import tsne

    positions, _ = tsne(arrays["features"])
    palette = matplotlib.colormaps["tab10"].colors
    for number, composite in enumerate(sorted(set(arrays["composites"].tolist()))):
        here = arrays["composites"] == composite
        labels = arrays["labels"][here]
        for second, fill in ((0, palette[number]), (1, "none")):
            points = positions[here][(labels == labels.max()) == second]
            label = readable(composite) if not second else None
            axes.scatter(*points.T, s=46, facecolors=[fill], edgecolors=[palette[number]], linewidths=1.6, label=label)
    axes.scatter([], [], s=46, facecolors=INK, edgecolors=INK, linewidths=1.6, label="one direction")
    axes.scatter([], [], s=46, facecolors="none", edgecolors=INK, linewidths=1.6, label="the other")
    axes.margins(0.08)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(OTHERS)


def streams_figure(clip: dict) -> Figure:
    """The middle frame of a clip with each of its streams."""
    middle = len(clip["video"]) // 2
    frame = clip["video"][middle]
    panels = {
        "RGB": lambda axes: axes.imshow(frame, interpolation="bicubic"),
        "flow": lambda axes: _flow(axes, clip, middle),
        "pose": lambda axes: _pose(axes, frame, clip["pose"][middle]),
        "boxes and objects": lambda axes: _boxes(axes, frame, clip, middle),
    }
    height, width = frame.shape[:2]
    figure = blank(height=WIDTH / len(panels) * height / width + 0.33)
    for axes, (title, panel) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        panel(axes)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        axes.set_title(title, fontsize=11, fontweight="bold", color=INK, pad=4)
        axes.axis("off")
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.28 / figure.get_figheight(), bottom=0.02, wspace=0.03)
    return figure


def flow_image(flow_x: np.ndarray, flow_y: np.ndarray, most: float) -> np.ndarray:
    """Flow as colors: hue is its direction, saturation its length, full at `most`.

    Args:
      flow_x, flow_y: float (h, w), pixels to the right and down.

    Returns:
      uint8 (h, w, 3), white where nothing moves.
    """
    hue = np.arctan2(flow_y, flow_x) / (2 * np.pi) % 1
    saturation = np.clip(np.hypot(flow_x, flow_y) / most, 0, 1)
    colors = matplotlib.colors.hsv_to_rgb(np.stack([hue, saturation, np.ones_like(hue)], axis=-1))
    return np.round(255 * colors).astype(np.uint8)


def _flow(axes, clip: dict, number: int) -> None:
    pixels = np.stack([clip[name][number][..., 0] * (40 / 255) - 20 for name in ("flow_x", "flow_y")])
    pixels[:, np.hypot(*pixels) < STILL] = 0
    most = float(np.percentile(np.hypot(*pixels), 99.5))
    axes.imshow(flow_image(*pixels, most), interpolation="bicubic")
    step = 8
    rows, columns = np.mgrid[step // 2 : pixels[0].shape[0] : step, step // 2 : pixels[0].shape[1] : step]
    x, y = (axis[rows, columns] for axis in pixels)
    moving = np.hypot(x, y) > 0.35 * most
    arrows = [values[moving] for values in (columns, rows, x, y)]
    axes.quiver(*arrows, angles="xy", scale_units="xy", scale=most / step, width=0.007, color=INK)


def _pose(axes, frame: np.ndarray, people: np.ndarray) -> None:
    """Joints (people, 17, 3) with a score from SURE on, over the frame, which is faded."""
    height, width = frame.shape[:2]
    axes.imshow(faded(frame), interpolation="bicubic")
    for person in people:
        at, sure = person[:, :2] * (width, height) - 0.5, person[:, 2] > SURE
        for limb in LIMBS:
            if sure[list(limb)].all():
                axes.plot(*at[list(limb)].T, color=INK, linewidth=2, solid_capstyle="round")
        axes.scatter(*at[sure].T, s=16, color=np.where(np.arange(17) % 2, FIRST, SECOND)[sure], zorder=3)


def _boxes(axes, frame: np.ndarray, clip: dict, number: int) -> None:
    axes.imshow(faded(frame), interpolation="bicubic")
    height, width = frame.shape[:2]
    groups = list(GROUPS)
    objects = clip["objects"][clip["objects"][:, 0] == number]
    boxes = [
        ("person", clip["person_box"][number], FIRST),
        *((groups[int(row[1])], row[2:6], SECOND) for row in objects),
    ]
    for label, box, color in boxes:
        x, y, across, down = box * (width, height, width, height) - (0.5, 0.5, 0, 0)
        axes.add_patch(matplotlib.patches.Rectangle((x, y), across, down, fill=False, edgecolor=color, linewidth=1.8))
        style = {"facecolor": color, "edgecolor": color, "pad": 1.5}
        side = (x, "left") if label == "person" else (x + across, "right")
        axes.text(side[0], y, label, ha=side[1], va="bottom", fontsize=7.5, color="white", bbox=style)


def faded(image: np.ndarray) -> np.ndarray:
    """An image halfway to white."""
    return (image // 2 + 128).astype(np.uint8)


def blank(height: float) -> Figure:
    """A figure of README's width; without pyplot, no display is looked for and no global state is left."""
    figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def _key(figure: Figure, colors: dict[str, str]) -> None:
    handles = [matplotlib.patches.Patch(color=color, label=label) for label, color in colors.items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=9.5, frameon=False)


def save(figure: Figure, path: pathlib.Path) -> None:
    figure.savefig(path, dpi=DPI, pil_kwargs={"quality": 90})
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Where make demo and make demo-one-frame put their runs.", required=True)
    flags.DEFINE_string("out", "docs/pictures", "Folder for the pictures.")
    app.run(main)
