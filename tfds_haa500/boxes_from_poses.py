"""Makes boxes of the person of interest from poses: `python -m tfds_haa500.boxes_from_poses --videos=DIR/video ...`.

    --videos=DIR/video --poses=DIR/pose --out=DIR/boxes      a release: <class>/<clip>.mp4, <class>/<clip>.json
    --videos=DIR --poses=DIR/pose --out=DIR/boxes            folders of videos as `build_folder` takes them
    ... --margin=0.2                                         more around the joints

Poses and boxes have the formats and places that `streams/pose.py` and `streams/boxes.py` read. How the person is chosen
is ours, not the paper's, whose boxes were drawn by hand: see `streams/person_of_interest.py`. Every video with poses
gets its boxes, a row a frame; those without are counted. All faults are listed first, and then nothing is written.
Boxes that are there are not replaced: delete them to make them again.
"""

import csv
import dataclasses
import functools
import io
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded

from absl import flags

from tfds_haa500 import program
from tfds_haa500.problems import BuildError, ClipError, Failure, of_file
from tfds_haa500.runtime import files, parallel
from tfds_haa500.sources import video_files
from tfds_haa500.streams import STREAMS, boxes, person_of_interest, pose, video


@dataclasses.dataclass(frozen=True)
class Job:
    """A clip: paths of its video, its poses, and where its boxes go."""

    video: str
    poses: str
    out: str


def find(videos: pathlib.Path, poses: pathlib.Path, out: pathlib.Path) -> tuple[list[Job], int]:
    """What is to be made, and how many videos have no poses.

    Raises:
      BuildError: a folder is missing; no video has poses; poses have no video or two; boxes are there already.
    """
    for folder in (videos, poses):
        if not folder.is_dir():
            raise BuildError(str(folder), ["no such folder"])
    found, problems = {}, []
    for path in video_files.walk(videos, ""):
        if path.partition("/")[0] not in STREAMS and path.lower().endswith(video_files.SUFFIXES):
            other = found.setdefault(video_files.key(path), path)
            problems += [f"{path}: {other} has the same name"] if other != path else []
    there = set(video_files.walk(poses, ""))
    jobs = []
    for key, path in found.items():
        names = [name for pattern in pose.FILES if (name := pattern.format(clip=key)) in there]
        there -= set(names)
        target = out / boxes.FILES[0].format(clip=key)
        if len(names) > 1:
            problems.append(f"{' and '.join(names)}: are poses of the same video; keep one of them")
        elif names:
            jobs.append(Job(str(videos / path), str(poses / names[0]), str(target)))
            problems += [f"{target}: is there already"] if target.exists() else []
    problems += [f"{name}: belongs to no video" for name in sorted(there)]
    if problems or not jobs:
        raise BuildError(str(poses), problems or ["no poses of these videos"])
    return jobs, len(found) - len(jobs)


def make(margin: float, job: Job) -> str | Failure:
    """The boxes of one clip as CSV text, or everything that is wrong with it (runs in worker processes)."""
    try:
        with open(job.video, "rb") as file:
            frames, size = video.measure(file)
    except (OSError, ClipError) as error:
        return Failure(tuple(of_file(job.video, error)))
    try:
        people = pose.parse(pathlib.Path(job.poses).read_bytes(), frames, size)
        found = person_of_interest.boxes(people, size, margin)
    except (OSError, ClipError) as error:
        return Failure(tuple(of_file(job.poses, error)))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [boxes.COLUMNS, *((t, *box.round(2)) for t, box in enumerate(found))]
    )
    return out.getvalue()


def make_all(jobs: list[Job], margin: float = person_of_interest.MARGIN) -> None:
    """Writes the boxes of all clips, if they can all be made.

    Raises:
      BuildError: lists everything that is wrong; then nothing is written.
    """
    texts, problems = {}, []
    with parallel.progress_bar(len(jobs), "boxes") as progress:
        for job, made in parallel.ordered_map(functools.partial(make, margin), jobs):
            if isinstance(made, Failure):
                problems += made.problems
            else:
                texts[job.out] = made
            progress.update()
    if problems:
        raise BuildError("the clips", problems)
    for path, text in texts.items():
        target = pathlib.Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(target, text.encode())


def main() -> None:
    """The command; see the first lines of this file."""
    videos, poses, out = (pathlib.Path(getattr(flags.FLAGS, name)) for name in ("videos", "poses", "out"))
    with program.ending(nothing="nothing was written", interrupted="Interrupted."):
        jobs, without = find(videos, poses, out)
        make_all(jobs, flags.FLAGS.margin)
    print(f"{out}: boxes of {len(jobs)} videos" + (f"; {without} videos have no poses" if without else ""))


def _define_flags() -> None:
    flags.DEFINE_string("videos", None, "Folder of the videos.", required=True)
    flags.DEFINE_string("poses", None, "Folder of their poses.", required=True)
    flags.DEFINE_string("out", None, "Folder of the boxes.", required=True)
    help_of_margin = "Added on every side, as a fraction of the longer side of the box around the joints."
    flags.DEFINE_float("margin", person_of_interest.MARGIN, help_of_margin, lower_bound=0.0, upper_bound=1.0)


if __name__ == "__main__":
    _define_flags()
    program.run_without_arguments(main)
