"""Makes the clips of the release from its annotations and the source videos: `python -m tfds_haa500.cut_clips`.

    --manual_dir=DIR                       every clip that is missing
    --manual_dir=DIR --classes=pushup,CPR  those of some classes

DIR, or haa500_v1_1/ in it, has raw/<class>.txt, where row k annotates clip k, and you bring the videos that the urls
name, youtube/<id>.mp4 (or .mkv, .webm, .avi, .mov). The clips become video/<class>/<class>_000.mp4 and so on: the
frames with start <= time < end, in seconds from the video's first frame, in their own size and frame rate, as H.264
without sound. No class table is needed.

Files that are there are left as they are: to cut a clip again, delete its file first. A video that is missing or
damaged does not keep the other clips from being cut; all that could not be cut are listed at the end, with exit code 1.
Ctrl-C ends the program with exit code 130, and the same command resumes.
"""

import dataclasses
import sys
from collections.abc import Sequence

from etils import epath

from tfds_haa500 import annotation_command, program
from tfds_haa500.problems import BuildError, ClipError, Failure, listing, of_file
from tfds_haa500.runtime import files, parallel
from tfds_haa500.runtime.disk import is_full_disk
from tfds_haa500.sources import archive, clip_file, relaxed
from tfds_haa500.sources.clips import Clip, nearest
from tfds_haa500.sources.files import UNREADABLE

_WHOLE = "The clips that were cut are whole."


@dataclasses.dataclass
class Result:
    """What came of cutting.

    Attributes:
      cut: how many clips were written.
      there: how many had their file already.
      remarks: what differs from the annotation in a clip that was written.
      problems: why the other clips were not written.
    """

    cut: int
    there: int
    remarks: list[str]
    problems: list[str]


def main(folder: str, classes: list[str]) -> None:
    """The command; see the first lines of this file."""
    again = f"{_WHOLE} Run the same command to cut the others."
    try:
        with program.ending(nothing="nothing was cut", interrupted=f"Interrupted. {again}", folder=folder):
            result = cut_clips(folder, classes)
    except OSError as error:
        what = "the disk is full" if is_full_disk(error) else "a clip cannot be written"
        sys.exit(f"error: {what}: {error}\n{again}")
    print(*result.remarks, sep="\n", end="\n" if result.remarks else "")
    print(f"{result.cut} {_clips(result.cut)} cut; {result.there} were there before")
    if result.problems:
        sys.exit(f"error: {listing(folder, result.problems, 'these clips were not cut')}")


def cut_clips(manual_dir: epath.PathLike, classes: Sequence[str] = ()) -> Result:
    """Cuts the clips that are missing.

    Args:
      manual_dir: a folder with raw/ and youtube/, or the folder that has haa500_v1_1/.
      classes: names of classes; all that have a file in raw/ by default.

    Raises:
      BuildError: rows that cannot be read, unknown classes, no raw/, or one inside a zip file; nothing was cut.
      OSError: a clip cannot be written.
    """
    root, annotated = _annotated(manual_dir, classes)
    wanted = [clip for clip in annotated if not _path(root, clip).exists()]
    result = Result(0, len(annotated) - len(wanted), [], [])
    if not wanted:
        return result
    located, result.problems = relaxed.find_parts(manual_dir, wanted)
    with parallel.progress_bar(len(located), "cutting") as progress:
        for clip, found in parallel.ordered_map(cut, located):
            if isinstance(found, Failure):
                result.problems += found.problems
            else:
                data, remarks = found
                path = _path(root, clip)
                path.parent.mkdir(parents=True, exist_ok=True)
                files.write_atomically(path, data)
                result.cut += 1
                result.remarks += remarks
            progress.update()
    return result


def cut(clip: Clip) -> tuple[bytes, list[str]] | Failure:
    """The file of a clip of `relaxed.find_parts`, and remarks; or what is wrong (runs in worker processes)."""
    row = clip.annotation
    try:
        start, end = relaxed.span(clip, factor=1)
        made = clip_file.encode(clip.file.local, start, end)
    except (ClipError, *UNREADABLE) as error:
        return Failure(tuple(of_file(clip.label, error)))
    remarks = []
    if row.end - end > 1 / made.fps:
        remarks.append(f"{clip.label}: the video ends at {end:.2f} s, and the row at {row.end:g} s")
    if made.trimmed:
        width, height = made.trimmed
        remarks.append(f"{clip.label}: frames of {width}x{height} were cut to {width // 2 * 2}x{height // 2 * 2}")
    return made.data, remarks


def _annotated(manual_dir: epath.PathLike, classes: Sequence[str]) -> tuple[epath.Path, list[Clip]]:
    """The folder with raw/, and its clips, by class and number; raises BuildError."""
    root = archive.find_root(manual_dir, ["raw"])
    if not isinstance(root, epath.Path):
        raise BuildError(str(manual_dir), [f"raw/ is in {archive.RELEASE}.zip: unpack it, clips are written beside it"])
    known = archive.annotated_classes(root)
    problems = [f"raw/{name}.txt: no such file{nearest(name, known)}" for name in classes if name not in known]
    annotated = []
    for name in known:
        if not classes or name in classes:
            rows, faults = archive.read_rows(root, name, unfinished=True)
            problems += faults
            annotated += archive.annotated(name, rows)
    if problems:
        raise BuildError(str(root), problems)
    return root, annotated


def _path(root: epath.Path, clip: Clip) -> epath.Path:
    return root / "video" / clip.class_name / f"{clip.clip_id}.mp4"


def _clips(count: int) -> str:
    return "clip" if count == 1 else "clips"


if __name__ == "__main__":
    annotation_command.run(main, "raw/ and youtube/")
