"""What a built data set consists of, as a table and a picture: `python -m tfds_haa500.statistics NAME`.

    haa500/demo                                     the table
    clip_folder/mine --data_dir=DIR --out=mine.png  and histograms (`pip install matplotlib`)

Clips a class, lengths, frame rates, sizes, people and camera. No frame is decoded. Sizes are those of stored frames,
whose short side is at most 256 pixels: the records do not have the videos' own. Classes without clips, as in a subset
that keeps the whole class table, are left out of the clips a class.

(`python -m haa_jax.paper table3 table5` prints the paper's own figures next to those of a data set.)
"""

import collections
import dataclasses
import io
import math
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded

import numpy as np
from absl import app, flags, logging

from tfds_haa500 import program, records
from tfds_haa500.browsing import page, stored
from tfds_haa500.browsing.picks import BrowseError
from tfds_haa500.records import RecordError
from tfds_haa500.runtime.parallel import progress_bar
from tfds_haa500.streams import video

FIGURE_SIZE, DPI = (13, 7.5), 110  # inches
BINS = 30
MOST = 8  # sizes and frame rates that are named; the rest is summed up
FAR = 1.25  # a histogram ends at the 99th percentile if the longest clip is more than so many times as long
ROWS = 4  # bars that have room in a panel at least, so that one alone does not fill it
COLOR, LABEL_SIZE = "#3b6ea5", 8


@dataclasses.dataclass(frozen=True)
class Facts:
    """One value a clip; every array is (clips,), but for those of classes where clips have several.

    Attributes:
      split, class_name, area: text. Where clips have several classes, `class_name` has all of them, one clip after the
        other, and `area` is empty.
      frames: int.
      fps: float, frames per second.
      width, height: int, of the stored frames in pixels.
      people: int; 0 if not annotated, and then the camera is not either.
      camera_moving: bool.
    """

    split: np.ndarray
    class_name: np.ndarray
    area: np.ndarray
    frames: np.ndarray
    fps: np.ndarray
    width: np.ndarray
    height: np.ndarray
    people: np.ndarray
    camera_moving: np.ndarray


def main(argv: list[str]) -> None:
    if len(argv) != 2:
        raise app.UsageError("name one data set, as haa500/demo or clip_folder/NAME")
    logging.set_verbosity(logging.WARNING)
    out = flags.FLAGS.out
    try:
        if out:
            _check_out(out)
        name, facts = read(argv[1], flags.FLAGS.data_dir)
        print(table(name, facts))
        if out:
            page.write_bytes(out, draw(name, facts))
    except (BrowseError, RecordError) as error:
        sys.exit(f"error: {error}")


def read(name: str, data_dir: str | None = None) -> tuple[str, Facts]:
    """The full name of a built data set, and the facts of its clips.

    Raises:
      BrowseError: it is not built.
      RecordError: its files are damaged.
    """
    import tfds_haa500  # noqa: F401 - registers the builders

    builder = stored.open_dataset(name, data_dir)
    readers = {split: records.open_reader(builder, split) for split in builder.info.splits}
    rows, class_names, areas = [], [], []
    with progress_bar(sum(map(len, readers.values())), "reading") as progress:
        for split, reader in readers.items():
            for number in range(len(reader)):
                example = reader[number]
                own_classes, own_areas = _classes(example, builder.info.features)
                class_names += own_classes
                areas += own_areas
                rows.append((split, *_facts(example)))
                progress.update()
    split, *others = map(np.array, zip(*rows, strict=True))
    return builder.info.full_name, Facts(split, np.array(class_names), np.array(areas, str), *others)


def _classes(example: dict, features) -> tuple[list[str], list[str]]:
    """The names of a clip's class and area; or of its classes, which may be of several areas."""
    names, areas = stored.names_of(features)
    if records.LABELS in example:
        return [names[label] for label in example[records.LABELS]], []
    return [names[int(example["label"])]], [areas[int(example["area"])]]


def _facts(example: dict) -> tuple:
    """The fields of Facts after the area, of one clip."""
    size = video.jpeg_size(example["video"][0])
    people, moving = int(example["num_people"]), bool(example["camera_moving"])
    return len(example["video"]), float(example["fps"]), *size, people, moving


def table(name: str, facts: Facts) -> str:
    """All figures as text."""
    splits = ", ".join(f"{count:,} {split}" for split, count in collections.Counter(facts.split.tolist()).items())
    lines = [f"{_title(name, facts)} ({splits})"]
    seconds = facts.frames / facts.fps
    lines += [f"{facts.frames.sum():,} frames, {seconds.sum():,.0f} s", ""]
    spreads = {
        "clips a class": _per_class(facts),
        "seconds a clip": seconds,
        "frames a clip": facts.frames,
        "frames a second": facts.fps,
        "short side, pixels": np.minimum(facts.width, facts.height),
    }
    headings = ("least", "5 %", "median", "mean", "95 %", "most")
    for row, figures in {"": headings, **{row: _spread(values) for row, values in spreads.items()}}.items():
        lines.append(f"{row:20}" + "".join(f"{figure:>10}" for figure in figures))
    for row, counts in _counted(facts).items():
        lines += [""] if counts else []
        for number, (value, count) in enumerate(counts.items()):
            share = f"{count:,} ({100 * count / len(facts.frames):.2f} %)"
            lines.append(f"{'' if number else row:20}{share:>20}  {value}")
    return "\n".join(lines)


def _title(name: str, facts: Facts) -> str:
    clips, classes = len(facts.frames), len(_per_class(facts))
    return f"{name}: {clips:,} clips of {classes:,} class{'' if classes == 1 else 'es'}"


def _per_class(facts: Facts) -> np.ndarray:
    """How many clips each class has, of those that have any."""
    return np.unique(facts.class_name, return_counts=True)[1]


def _spread(values: np.ndarray) -> list[str]:
    found = (values.min(), *np.percentile(values, (5, 50)), values.mean(), np.percentile(values, 95), values.max())
    return [f"{value:.2f}".rstrip("0").rstrip(".") for value in found]


def _counted(facts: Facts) -> dict[str, dict[str, int]]:
    """How many clips have which value: in order if the values have one, else the most frequent first."""
    people = collections.Counter("not annotated" if n == 0 else str(n) if n < 3 else "3 or more" for n in facts.people)
    moving = zip(facts.people, facts.camera_moving, strict=True)
    camera = collections.Counter("not annotated" if n == 0 else "moving" if moves else "still" for n, moves in moving)
    sizes = collections.Counter(f"{w}x{h}" for w, h in zip(facts.width, facts.height, strict=True))
    rates = collections.Counter(f"{rate:.2f}".rstrip("0").rstrip(".") for rate in facts.fps)
    areas = collections.Counter(facts.area.tolist())
    return {
        "people": dict(sorted(people.items())),
        "camera": dict(camera.most_common()),
        "area": dict(areas.most_common()),
        "frames a second": dict(sorted(_most(rates).items(), key=lambda item: _number(item[0]))),
        "stored size": _most(sizes),
    }


def _number(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else np.inf


def _most(counter: collections.Counter) -> dict[str, int]:
    """The most frequent values; the rest is one."""
    found = dict(counter.most_common(MOST))
    rest = len(counter) - len(found)
    return found | ({f"{rest} others": counter.total() - sum(found.values())} if rest else {})


def draw(name: str, facts: Facts) -> bytes:
    """A PNG with a histogram of each kind of fact."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Agg without pyplot: needs no display, leaves no global state.
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    panels, counted, seconds = figure.subplots(2, 4), _counted(facts), facts.frames / facts.fps
    _bars(panels[0, 0], "clips a class", *np.unique(_per_class(facts), return_counts=True), "classes")
    _histogram(panels[0, 1], "seconds a clip", seconds)
    _histogram(panels[0, 2], "frames a clip", facts.frames)
    _named(panels[0, 3], "frames a second", counted["frames a second"])
    for axes, row in zip(panels[1], ("people", "camera", "area", "stored size"), strict=True):
        _named(axes, row, counted[row])
    figure.suptitle(_title(name, facts))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def _histogram(axes, title: str, values: np.ndarray) -> None:
    """Bins of equal width; up to the 99th percentile if some are far beyond it, and how many are is written below."""
    most = np.percentile(values, 99)
    most = most if values.max() > FAR * most else values.max()
    bins = np.linspace(values.min(), max(most, values.min() + 1e-6), BINS + 1)
    if np.issubdtype(values.dtype, np.integer):  # all bins have equally many of the values
        step = max(1, math.ceil((most - values.min() + 1) / BINS))
        bins = np.arange(values.min(), most + step + 1, step) - 0.5
    axes.hist(values[values <= most], bins, color=COLOR)
    beyond = values[values > most]
    note = f"\n{len(beyond)} beyond, up to {beyond.max():.4g}" if len(beyond) else ""
    axes.set(title=title, ylabel="clips")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(f"median {np.median(values):.3g}, mean {values.mean():.3g}{note}", fontsize=LABEL_SIZE)


def _bars(axes, title: str, values: np.ndarray, counts: np.ndarray, unit: str) -> None:
    axes.bar(values, counts, color=COLOR)
    axes.set(title=title, ylabel=unit, xlim=(0, values.max() + 1.5))
    axes.yaxis.get_major_locator().set_params(integer=True)


def _named(axes, title: str, counts: dict[str, int]) -> None:
    """A bar for each value, the first on top; nothing if there are none."""
    if not counts:
        axes.set_axis_off()
        return
    bars = axes.barh([name.replace("_", " ") for name in counts], list(counts.values()), color=COLOR)
    axes.bar_label(bars, [f"{count:,}" for count in counts.values()], fontsize=LABEL_SIZE, padding=2)
    axes.margins(x=0.2)
    axes.set_ylim(max(len(counts), ROWS) - 0.4, -0.6)  # the first on top
    axes.tick_params(axis="y", labelsize=LABEL_SIZE)
    axes.set(title=title, xlabel="clips")


def _check_out(out: str) -> None:
    """Raises BrowseError before any work if there can be no picture at this path."""
    page.check_out(out)
    if not out.endswith(".png"):
        raise BrowseError(f"--out={out}: the picture is a PNG file, name it .png")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BrowseError("--out needs matplotlib: pip install matplotlib") from error


def _define_flags() -> None:
    flags.DEFINE_string("data_dir", None, "Where it was built (default: TFDS's, ~/tensorflow_datasets).")
    flags.DEFINE_string("out", None, "Also draw a picture, into this PNG file.")


if __name__ == "__main__":
    _define_flags()
    program.run(main)
