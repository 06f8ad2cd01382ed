"""`--check` of `python -m tfds_haa500.build_folder`: what would be packaged and what is wrong, without building.

Every clip is decoded to its end, and its files of streams are read, exactly as in a build; nothing is written.
"""

import collections
import dataclasses
import functools
import os
import sys
from collections.abc import Sequence

import numpy as np
from etils import epath

from tfds_haa500 import packaging
from tfds_haa500.problems import BuildError, Failure, listing
from tfds_haa500.runtime import parallel
from tfds_haa500.runtime.interrupt import INTERRUPTED
from tfds_haa500.sources import clip_folder, video_files
from tfds_haa500.sources import clips as sources
from tfds_haa500.sources.clips import SPLITS, Clip
from tfds_haa500.sources.files import File
from tfds_haa500.streams import STREAMS
from tfds_haa500.taxonomy import Taxonomy, TaxonomyError


@dataclasses.dataclass(frozen=True)
class Size:
    """What a clip would be stored as.

    Attributes:
      frames: how many.
      seconds: its length.
      stored: bytes of its record, without the few that describe its fields.
    """

    frames: int
    seconds: float
    stored: int


def check(builder_class: type[packaging.ClipBuilder], config, data_dir: str | None = None) -> None:
    """Prints what a build would package; ends the program with exit code 1 and every problem if there is one.

    Args:
      builder_class, config: of a folder of videos (`clip_folder_dataset_builder`).
      data_dir: where the dataset would go.
    """
    try:
        builder = builder_class(config=config, data_dir=data_dir)
    except TaxonomyError as error:
        sys.exit(f"error: {error}")
    except BuildError as error:
        sys.exit(_report(config.folder, [*error.problems, *_damaged_videos(config.folder)]))
    clips = builder.find_clips(None)
    sizes, problems = _measured(clips, builder.quick_encoder())
    print(table(clips))
    print(summary(sizes, len(clips)))
    if builder.info.splits:
        print(f"{builder.info.full_name} is already built in {builder.data_path}; a build would leave it unchanged.")
    if problems:
        sys.exit(_report(config.folder, problems))
    print("Nothing is wrong, and nothing was written.")


def table(clips: Sequence[Clip]) -> str:
    """Classes x splits: how many clips there are of each. A clip of several classes is counted for each of them."""
    counts = collections.Counter((name, clip.split) for clip in clips for name in clip.classes)
    splits = [split for split in SPLITS if any(clip.split == split for clip in clips)]
    names = clip_folder.class_names(clips)
    width = max(len("class"), *map(len, names))
    rows = [("class", *splits, "all")]
    for name in names:
        row = [counts[name, split] for split in splits]
        rows.append((name, *row, sum(row)))
    totals = [sum(clip.split == split for clip in clips) for split in splits]
    rows.append((f"{len(names)} classes", *totals, len(clips)))
    width = max(width, len(rows[-1][0]))
    return "\n".join(f"{row[0]:{width}}" + "".join(f"{value:>12}" for value in row[1:]) for row in rows)


def summary(sizes: Sequence[Size], clips: int) -> str:
    """Lengths and sizes of the clips that can be packaged."""
    lines = [f"{len(sizes)} of {clips} clips can be packaged"]
    if sizes:
        frames, seconds = [size.frames for size in sizes], [size.seconds for size in sizes]
        stored = sum(size.stored for size in sizes)
        lines.append(f"frames a clip: {min(frames)} to {max(frames)}, median {np.median(frames):g}")
        lines.append(f"seconds a clip: {min(seconds):.2f} to {max(seconds):.2f}, median {np.median(seconds):.2f}")
        lines.append(f"size: about {stored / 1e6:.1f} MB, {stored / len(sizes) / 1e3:.0f} kB a clip")
    return "\n".join(lines)


def measure(to_example: packaging.ToExample, clip: Clip) -> Size | Failure:
    """The size of one clip, or everything that is wrong with it (runs in worker processes; the frames stay there)."""
    example = to_example(clip)
    if isinstance(example, Failure):
        return example
    frames = len(example["video"])
    return Size(frames, frames / example["fps"], sum(map(_bytes, example.values())))


def _bytes(value) -> int:
    if isinstance(value, list):
        return sum(map(len, value))  # pictures
    return value.nbytes if isinstance(value, np.ndarray) else len(value) if isinstance(value, str) else 4


def _measured(clips: Sequence[Clip], to_example: packaging.ToExample) -> tuple[list[Size], list[str]]:
    """The sizes of the clips that can be packaged, and the problems of the others; Ctrl-C ends the program."""
    sizes, problems = [], []
    try:
        with parallel.progress_bar(len(clips), "checking") as progress:
            for _, found in parallel.ordered_map(functools.partial(measure, to_example), clips):
                if isinstance(found, Failure):
                    problems += found.problems
                else:
                    sizes.append(found)
                progress.update()
    except KeyboardInterrupt:
        parallel.stop()
        print("Interrupted: nothing was written.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    return sizes, problems


def _damaged_videos(folder: epath.PathLike) -> list[str]:
    """What is wrong with the videos of a folder, wherever they are in it."""
    root = epath.Path(folder)
    files = video_files.walk(root, "") if root.is_dir() else ()
    videos = (name for name in files if name.lower().endswith(video_files.SUFFIXES))
    names = [name for name in videos if name.partition("/")[0] not in STREAMS]
    if not names:
        return []
    print("The folder is not arranged as it must be, so only its videos were checked.")
    clips = [Clip(name, "train", _ANY, File(os.fspath(root), name)) for name in names]
    table_of_one = Taxonomy((_ANY,), (_ANY,), (_ANY,), (_ANY,))
    return _measured(clips, functools.partial(packaging.make_example, table_of_one, sources.encode, {}))[1]


_ANY = "any"  # the class of a video whose folder says nothing


def _report(folder: str, problems: Sequence[str]) -> str:
    return f"error: {listing(os.fspath(folder), problems, outcome='nothing was written')}"
