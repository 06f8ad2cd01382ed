"""Video files as the examples that a built dataset would store of them, made in memory.

Frames pass through the builders' own encoder, since a network that was trained on JPEGs with a short side of 256 pixels
sees other levels in the frames of the file itself. Flow is computed as by the builders. Poses, boxes and objects are
read from files in the builders' formats, next to the videos or to one of the two folders above them:

    DIR/clip.mp4                    DIR/pose/clip.json
    DIR/test/jump/clip.mp4          DIR/pose/test/jump/clip.json
    DIR/video/pushup/clip.mp4       DIR/pose/pushup/clip.json
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from haa_jax import streams
from haa_jax.errors import UserError
from haa_jax.runtime import paths
from tfds_haa500.problems import ClipError, of_file
from tfds_haa500.sources.files import File
from tfds_haa500.sources.video_files import SUFFIXES
from tfds_haa500.streams import STREAMS, flow, is_computed, video

LIST = ".txt"
FLOW_METHODS = (*flow.METHODS, flow.IMAGES)
FOLDERS_ABOVE = 3  # in which the folders of side files are looked for, from the video's own


class VideoError(UserError, ValueError):
    """A video, or a file that goes with it, that is missing or cannot be used; the message names it."""


def find(given: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    """The video files that paths name, each once, in the order given and sorted within a folder.

    Args:
      given: a path or several: videos (of any suffix), folders, which are searched to any depth for the containers that
        the builders read, and text files (.txt) with one such path a line, relative to the text file's folder.

    Raises:
      VideoError: a path does not exist, a folder has no videos, or a list cannot be read.
    """
    return list(find_named(given))


def find_named(given: str | os.PathLike | Sequence[str | os.PathLike]) -> dict[str, str]:
    """`find`'s files, each with a name for its results: its path inside the given folder, without the suffix."""
    given = [given] if isinstance(given, str | os.PathLike) else given
    found = {}
    for path in given:
        for file, name in _files(pathlib.Path(paths.expand(path))):
            found.setdefault(file, name)
    return found


def _files(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if _is_video(file.relative_to(path)) and file.is_file())
        if not found:
            raise VideoError(f"{path} has no videos ({', '.join(SUFFIXES)})")
        yield from ((str(file), file.relative_to(path).with_suffix("").as_posix()) for file in found)
    elif not path.exists():
        raise VideoError(f"{path}: no such file or folder")
    elif path.suffix.lower() == LIST:
        yield from _listed(path)
    else:
        yield str(path), path.stem


def _is_video(path: pathlib.Path) -> bool:
    hidden = any(name.startswith(".") for name in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _listed(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """The videos of a list; a list within a list is an error."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise VideoError(f"{path} cannot be read as a list of videos ({error})") from error
    if not any(lines):
        raise VideoError(f"{path} lists no videos")
    for line in filter(None, lines):
        entry = path.parent / paths.expand(line)
        if entry.suffix.lower() == LIST:
            raise VideoError(f"{path} lists {line}, which is a list itself")
        yield from _files(entry)


def read_example(path: str | os.PathLike, data, flow_method: str = flow.METHODS[0]) -> dict:
    """What a built dataset would store of a video, as far as `data.stream` needs it.

    Args:
      path: a video file.
      data: `config.data`.
      flow_method: "dis" (the builders' default) or "tvl1" computes flow; "images" reads it from pictures next to the
        video (see tfds_haa500/streams/flow_images.py). It should be the one that the network was trained with.

    Returns:
      Feature -> value: `video` (T JPEGs) and `fps`; of the others `flow_x`, `flow_y` (T - 1 JPEGs each), `pose`,
      `person_box` and `objects`, those that `streams.features(data)` names.

    Raises:
      VideoError: names the file and everything that is wrong with it.
    """
    return read(path, needed([data], flow_method))


def read(path: str | os.PathLike, stored: dict[str, str]) -> dict:
    """What a built dataset with these streams (see `needed`) would store of a video; raises VideoError."""
    path = os.fspath(path)
    computations = [STREAMS[name].Computation(method) for name, method in stored.items() if method]
    with faults_of(path):
        clip = video.encode_clip(pathlib.Path(path).read_bytes(), on_frame=computations)
        values = {"video": clip.frames, "fps": stored_fps(clip.fps)}
        for computation in computations:
            values |= computation.features()
    return values | read_side_files(path, stored, clip)


def stored_fps(fps: float) -> float:
    """Frames per second as they are stored: float32."""
    return float(np.float32(fps))


def needed(datas: Iterable, flow_method: str) -> dict[str, str]:
    """The stored streams that the networks of some `config.data` need, each with the method that computes it.

    Returns:
      Name -> method; "" for those that are read from files.

    Raises:
      VideoError: OpenCV does not have the method.
    """
    names = dict.fromkeys(name for data in datas for name in streams.features(data).values() if name)
    try:
        if "flow" in names and flow_method != flow.IMAGES:
            flow.check_method(flow_method)
    except ValueError as error:
        raise VideoError(f"--{error}") from error
    return {name: flow_method if is_computed(name, flow_method) else "" for name in names}


def side_file(path: str, stream: str) -> File:
    """The file or folder of a stream that belongs to a video; see the first lines of this file.

    Raises:
      VideoError: there is none; names the places.
    """
    clip = pathlib.Path(path).absolute()
    tried = []
    for folder in clip.parents[:FOLDERS_ABOVE]:
        inside = clip.relative_to(folder).with_suffix("").as_posix()
        for name in dict.fromkeys((inside, inside.removeprefix("video/"))):
            for pattern in STREAMS[stream].FILES:
                tried.append(f"{stream}/{pattern.format(clip=name)}")
                if (folder / tried[-1]).exists():
                    return File(str(folder), tried[-1])
    message = f"{path}: the network needs {stream}, and there is no {clip.parent / tried[0]}"
    raise VideoError(f"{message}{_HOW.get(stream, '')}")


_HOW = {"pose": "; tools/pose writes such files"}


def read_side_files(path: str, stored: dict[str, str], clip: video.EncodedClip) -> dict:
    """The features of the streams that are read from files; raises VideoError."""
    values = {}
    for name in (name for name, method in stored.items() if not method):
        file = side_file(path, name)
        with faults_of(str(file.local)):
            values |= STREAMS[name].read(file, clip)
    return values


@contextlib.contextmanager
def faults_of(path: str) -> Iterator[None]:
    """Raises as VideoErrors that name the file what is raised for a file that cannot be used."""
    try:
        yield
    except (ClipError, OSError) as error:
        reason = ClipError(error.strerror or str(error)) if isinstance(error, OSError) else error
        raise VideoError("\n".join(of_file(path, reason))) from error
