"""Checks new annotations by what the paper demands of its own: `python -m tfds_haa500.check_annotations`.

    --manual_dir=DIR --classes=bear_crawl,monkey_bars  the classes that you annotated
    --manual_dir=DIR                                   all classes in raw/

To be run when the rows of raw/<class>.txt are written, and again when their clips are cut (`cut_clips`); without
clips, only the rows are checked. No class table is needed, and nothing is written.

What is wrong (exit code 1): rows that cannot be read; other than 20 rows; a url without the id of a video; two clips of
a class from one video; parts of one video that overlap, also in other classes; clips that are missing, surplus or
damaged; clips that look alike (`sources/likeness.py`), as a clip that is in two splits would.

What may be right, but should be looked at (exit code 0): a clip that is 3 times as long as the class's median, or a
third; a clip whose file is not as long as its row says; a video that other classes use too, in other parts; classes in
which most clips have a short side of less than 720 pixels.
"""

import collections
import dataclasses
import io
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from etils import epath

from tfds_haa500 import annotation_command, program
from tfds_haa500.problems import BuildError, ClipError, Failure, listing, of_file
from tfds_haa500.runtime import parallel
from tfds_haa500.sources import archive, likeness, relaxed
from tfds_haa500.sources.clips import Clip, nearest
from tfds_haa500.sources.files import UNREADABLE
from tfds_haa500.streams import video

SPREAD = 3  # times the median, or one such part of it; 43 of 3,100 real clips are outside (HAA4D's frame counts)
SLACK = 2  # frames that a clip and its row may differ by: rows have hundredths of a second
HIGH = 720  # pixels; the paper: "the majority having a resolution of at least 720p" (section 3.1.2)


@dataclasses.dataclass(frozen=True)
class Seen:
    """A decoded clip: its number of frames, frames per second, (width, height), and how it looks (`likeness`)."""

    frames: int
    fps: float
    size: tuple[int, int]
    signature: np.ndarray


@dataclasses.dataclass
class Findings:
    """Lines of text: what is wrong, and what should be looked at."""

    problems: list[str]
    looks: list[str]


def main(folder: str, classes: list[str]) -> None:
    """The command; see the first lines of this file."""
    interrupted = "Interrupted: the check is not complete."
    with program.ending(nothing="nothing was checked", interrupted=interrupted, folder=folder):
        findings = check(folder, classes)
    if findings.looks:
        print("\n  ".join(["To be looked at:", *findings.looks]))
    if findings.problems:
        sys.exit(f"error: {listing(folder, findings.problems, 'nothing was changed')}")
    print("Nothing is wrong.")


def check(manual_dir: epath.PathLike, classes: Sequence[str] = ()) -> Findings:
    """Checks rows and clips of some classes, of all that have a file in raw/ by default; prints how much it checked.

    Raises:
      BuildError: an unknown class, or no raw/.
    """
    root = archive.find_root(manual_dir, ["raw"])
    known = archive.annotated_classes(root)
    if unknown := [name for name in classes if name not in known]:
        raise BuildError(str(root), [f"raw/{name}.txt: no such file{nearest(name, known)}" for name in unknown])
    found = Findings([], [])
    clips = {}
    for name in known:
        rows, faults = archive.read_rows(root, name)
        clips[name] = archive.annotated(name, rows)
        found.problems += faults if not classes or name in classes else []
    wanted = [name for name in known if not classes or name in classes]
    for name in wanted:
        found.looks += _lengths(clips[name])
    _check_sources(clips, wanted, found)
    with_files = _with_files(root, clips, wanted, found)
    seen = _see(with_files, found)
    _check_seen(seen, found)
    rows = sum(len(clips[name]) for name in wanted)
    print(f"{len(wanted)} {'class' if len(wanted) == 1 else 'classes'}, {rows} rows and {len(seen)} clips checked")
    return found


def _lengths(clips: Sequence[Clip]) -> Iterator[str]:
    """The clips of a class that are much longer or shorter than its others, by their rows."""
    seconds = np.array([clip.annotation.end - clip.annotation.start for clip in clips])
    middle = np.median(seconds) if clips else 0
    for clip, length in zip(clips, seconds, strict=True):
        if not middle / SPREAD <= length <= middle * SPREAD:
            yield f"{_row(clip)}: {length:.2f} s long; the class's median is {middle:.2f} s"


def _check_sources(clips: dict[str, list[Clip]], wanted: Sequence[str], found: Findings) -> None:
    """Urls without an id, and clips of one video."""
    by_video = collections.defaultdict(list)
    for name, members in clips.items():
        for clip in members:
            try:
                by_video[relaxed.video_id(clip.annotation.url)].append(clip)
            except ClipError as error:
                found.problems += [f"{_row(clip)}: {error}"] if name in wanted else []
    for source, members in by_video.items():
        for i, second in enumerate(members):
            for first in members[:i]:
                if first.class_name in wanted or second.class_name in wanted:
                    _compare(first, second, source, found)


def _compare(first: Clip, second: Clip, source: str, found: Findings) -> None:
    """Two clips of one video."""
    a, b = first.annotation, second.annotation
    what = f"{_row(second)}: is of the same video as {_row(first)} ({source})"
    if min(a.end, b.end) > max(a.start, b.start):
        found.problems.append(f"{what}, and both have {max(a.start, b.start):g} to {min(a.end, b.end):g} s of it")
    elif first.class_name == second.class_name:
        found.problems.append(f"{what}; the clips of a class must be of different videos")
    else:
        found.looks.append(f"{what}, of other parts of it")


def _with_files(root, clips: dict[str, list[Clip]], wanted: Sequence[str], found: Findings) -> list[Clip]:
    """The clips whose files are there, of those classes that have any; the others of these classes are problems."""
    with_files = []
    for name in wanted:
        if not (root / "video" / name).is_dir():
            found.looks.append(f"video/{name}: has no clips yet, so only its rows were checked")
            continue
        files, faults = archive.list_videos(root, name)
        found.problems += faults
        with_files += [
            dataclasses.replace(clip, file=files[_number(clip)]) for clip in clips[name] if _number(clip) in files
        ]
    return with_files


def _see(clips: Sequence[Clip], found: Findings) -> list[tuple[Clip, Seen]]:
    """Decodes clips in parallel; those that cannot be decoded are problems."""
    seen = []
    if clips:
        with parallel.progress_bar(len(clips), "checking") as progress:
            for clip, result in parallel.ordered_map(see, clips):
                if isinstance(result, Failure):
                    found.problems += result.problems
                else:
                    seen.append((clip, result))
                progress.update()
    return seen


def see(clip: Clip) -> Seen | Failure:
    """Decodes a clip to its end (runs in worker processes)."""
    try:
        data = clip.file.read_bytes()
        with video.open_video(io.BytesIO(data)) as (container, stream):
            pictures = likeness.thumbnails(video.decode_frames(container, stream))
            video.check_complete(io.BytesIO(data), len(pictures))
            size = stream.width, stream.height
            return Seen(len(pictures), float(stream.average_rate), size, likeness.signature(pictures))
    except (ClipError, *UNREADABLE) as error:
        return Failure(tuple(of_file(clip.label, error)))


def _check_seen(seen: Sequence[tuple[Clip, Seen]], found: Findings) -> None:
    """What the clips themselves show."""
    for clip, of in seen:
        row = clip.annotation
        if abs(of.frames - (row.end - row.start) * of.fps) > SLACK:
            found.looks.append(
                f"{clip.file.path}: has {of.frames} frames at {of.fps:g} a second, {of.frames / of.fps:.2f} s, "
                f"and its row {row.end - row.start:.2f} s"
            )
    signatures = np.array([of.signature for _, of in seen])
    for i, j, value in likeness.alike(signatures):
        first, second = seen[i][0], seen[j][0]
        found.problems.append(
            f"{second.file.path}: looks like {first.file.path} (likeness {value:.3f}); they are in {second.split} and "
            f"{first.split}"
        )
    sizes = collections.defaultdict(list)
    for clip, of in seen:
        sizes[clip.class_name].append(min(of.size))
    for name, sides in sizes.items():
        high = sum(side >= HIGH for side in sides)
        if 2 * high <= len(sides):
            found.looks.append(f"video/{name}: {high} of {len(sides)} clips have a short side of {HIGH} pixels or more")


def _number(clip: Clip) -> int:
    return int(clip.clip_id[-3:])


def _row(clip: Clip) -> str:
    return f"raw/{clip.class_name}.txt row {_number(clip)}"


if __name__ == "__main__":
    annotation_command.run(main, "raw/ and video/")
