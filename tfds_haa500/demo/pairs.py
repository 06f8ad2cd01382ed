"""Generates clips of two people who act at once, `haa500/demo_pairs`: each has one or two of six of the demo's classes.

    python -m tfds_haa500.demo --pairs --out=DIR

writes DIR/videos/pair_0000.mp4 ... and DIR/lists/train.csv, val.csv and test.csv with their labels, as the user of
`build_folder --multi_label` has them. The two people share one scene, one in its left half, the other in its right.
What each does, and in which direction, is drawn independently; both may do the same. As in the demo, the frame in the
middle does not reveal directions. (Others reveal whether the two have the same direction, since they begin together.)
"""

import csv
import dataclasses
import functools
import pathlib
import zlib
from collections.abc import Mapping

import numpy as np
from etils import epath

from tfds_haa500 import taxonomy
from tfds_haa500.demo import clip as demo_clip
from tfds_haa500.demo import drawing
from tfds_haa500.demo import files as demo_files
from tfds_haa500.demo import motion as body
from tfds_haa500.runtime import parallel

COMPOSITES = ("barbell", "drum", "squat")  # whose movements are large, since people are small
COUNTS = {"train": 320, "val": 32, "test": 96}  # clips of each list
HALF = (56, 112)  # width, height in pixels of what shows one person
_PARAMETERS, _SCENE = range(2)  # separate random streams of one seed


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two clips of one person each, of equal length and in equal light, for the halves of one picture."""

    number: int
    seed: int
    left: demo_clip.Clip
    right: demo_clip.Clip

    @property
    def name(self) -> str:
        """Of the file, without suffix."""
        return f"pair_{self.number:04d}"

    @property
    def labels(self) -> list[str]:
        """The classes, sorted, each once."""
        return sorted({self.left.name, self.right.name})


def classes() -> taxonomy.Taxonomy:
    """The class table: the rows of the demo's that are of COMPOSITES."""
    table = taxonomy.load(taxonomy.DEMO_CSV)
    kept = [i for i, composite in enumerate(table.composites) if composite in COMPOSITES]
    columns = dataclasses.astuple(table)
    return taxonomy.Taxonomy(*(tuple(column[i] for i in kept) for column in columns))


def write_folder(
    out: epath.PathLike, seed: int = 0, counts: Mapping[str, int] = COUNTS, workers: int | None = None
) -> None:
    """Writes videos/ and lists/ into the local folder `out`; the lists last, so that what they name is there.

    Args:
      out: a folder that is empty or does not exist.
      seed: 0 or more; the same seed gives the same files, byte by byte, with the same libraries.
      counts: number of clips by the name of the list.
      workers: processes to use; `parallel.num_workers()` by default.

    Raises:
      FileExistsError: `out` is a file or a folder with something in it.
    """
    out = demo_files.free_folder(out)
    (out / "videos").mkdir(parents=True)
    pairs = [draw_pair(number, seed) for number in range(sum(counts.values()))]
    with parallel.progress_bar(len(pairs), "drawing") as bar:
        for _ in parallel.ordered_map(functools.partial(_write_video, str(out / "videos")), pairs, workers):
            bar.update()
    (out / "lists").mkdir()
    for name, count in counts.items():
        own, pairs = pairs[:count], pairs[count:]
        with (out / "lists" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([f"{pair.name}.mp4", *pair.labels] for pair in own)


def draw_pair(number: int, seed: int) -> Pair:
    """The parameters of a pair: a function of the arguments alone."""
    table = classes()
    rng = np.random.default_rng((seed, zlib.crc32(b"pairs"), number, _PARAMETERS))
    first, second = (
        demo_clip.draw_clip(table.names[label], table.composites[label], 2 * number + place, seed)
        for place, label in enumerate(rng.integers(len(table.names), size=2))
    )
    shared = {"frames": first.frames, "fps": first.fps, "dark": first.dark, "size": HALF, "pan": np.zeros(2)}

    def person(clip: demo_clip.Clip) -> demo_clip.Clip:
        camera, look = demo_clip.camera_on(rng, clip.motion.window, HALF), drawing.random_look(rng, first.dark)
        return dataclasses.replace(clip, camera=camera, look=look, **shared)

    return Pair(number, seed, person(first), person(second))


def render(pair: Pair) -> list[np.ndarray]:
    """The frames (height, width, 3) uint8 in playing order."""
    width, height = HALF
    floor = pair.left.camera.origin[1] - 0.1 * pair.left.camera.scale
    rng = np.random.default_rng((pair.seed, zlib.crc32(b"pairs"), pair.number, _SCENE))
    scene = drawing.background(rng, (2 * width, height), np.clip(floor, 0, height), pair.left.dark)
    done = [demo_clip.progress(clip)[:: -1 if clip.backward else 1] for clip in (pair.left, pair.right)]
    frames = []
    for left, right in zip(*done, strict=True):
        image = drawing.crop(scene, (2 * width, height), np.zeros(2))
        _paint(image[:, :width], pair.left, left)
        _paint(image[:, width:], pair.right, right)
        frames.append(image)
    return frames


def _paint(half: np.ndarray, clip: demo_clip.Clip, done: float) -> None:
    """Draws the person at `done` (0 to 1) of the movement, with what it takes, into a part of a picture."""
    joints = body.pose(clip.motion, clip.keys, done)
    own = np.ascontiguousarray(half)
    drawing.paint(own, demo_clip.in_order(*demo_clip.parts(clip, joints, done)), clip.camera)
    half[...] = own


def _write_video(folder: str, pair: Pair) -> None:
    pathlib.Path(folder, f"{pair.name}.mp4").write_bytes(demo_files.encode_video(render(pair), pair.left.fps))
