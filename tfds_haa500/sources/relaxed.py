"""Longer cuts around the clips (HAA500, Table 12), from the YouTube videos that the user has.

    youtube/<id>.mp4    the video whose id is in the clip's url; also .mkv, .webm, .avi and .mov

in the folder of the release or next to it. A cut holds the annotated clip and what comes before and after it, as far
as the video goes. Seconds count from the video's first frame; frame t is part of a cut if start <= time < end.
"""

import collections
import dataclasses
import math
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence

import av
import numpy as np
from etils import epath

from tfds_haa500.problems import BuildError, ClipError
from tfds_haa500.sources import archive, clips, cut
from tfds_haa500.sources.files import File
from tfds_haa500.streams import video

FOLDER = "youtube"
SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")  # in any case
_ID = re.compile(r"[\w-]{11}", re.ASCII)
_HOSTS = ("youtube.com", "youtube-nocookie.com")
_TAIL = 1.0  # seconds before the end that the container states, where the search for the last frame starts


def video_id(url: str) -> str:
    """The id of a video on YouTube: 11 letters, digits, - and _.

    Accepts the forms that YouTube itself uses: watch?v=ID, youtu.be/ID, embed/ID, shorts/ID, live/ID and v/ID, with or
    without further parameters, https:// and www.

    Raises:
      ClipError: the url is not of YouTube, or has no id.
    """
    try:
        parts = urllib.parse.urlsplit(url if "//" in url else f"https://{url}")
        host = (parts.hostname or "").lower()
    except ValueError:
        parts, host = urllib.parse.urlsplit(""), ""
    host = host.removeprefix("www.").removeprefix("m.").removeprefix("music.")
    steps = [step for step in parts.path.split("/") if step]
    found = []
    if host == "youtu.be":
        found = steps[:1]
    elif host in _HOSTS and steps == ["watch"]:
        found = urllib.parse.parse_qs(parts.query).get("v", [])
    elif host in _HOSTS and len(steps) > 1 and steps[0] in ("embed", "shorts", "live", "v"):
        found = steps[1:2]
    if len(found) != 1 or not _ID.fullmatch(found[0]):
        raise ClipError(f"its url {url!r} has no id of a video on YouTube (11 letters, digits, - and _)")
    return found[0]


def find_sources(manual_dir: epath.PathLike) -> dict[str, list[str]]:
    """Paths of the videos in `youtube/`, by their names without suffix; other files are ignored.

    Raises:
      ClipError: neither the folder nor the release in it has a `youtube/`. (A zip file is not searched: videos in it
        cannot be cut without unpacking them.)
    """
    manual_dir = epath.Path(manual_dir)
    folders = [folder / FOLDER for folder in (manual_dir, manual_dir / archive.RELEASE)]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise ClipError(f"no such folder, neither in {manual_dir} nor in {archive.RELEASE}/ there")
    found = collections.defaultdict(list)
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                found[path.stem].append(str(path))
    return dict(found)


def source_of(url: str, sources: Mapping[str, Sequence[str]]) -> str:
    """The path of a clip's source video, by its url, among those that `find_sources` found.

    Raises:
      ClipError: the url has no id, or not exactly one source has it.
    """
    name = video_id(url)
    paths = sources.get(name, ())
    if not paths:
        raise ClipError(f"{FOLDER}/{name}{SUFFIXES[0]}: no such file, nor one with {', '.join(SUFFIXES[1:])}")
    if len(paths) > 1:
        raise ClipError(f"{FOLDER}/{name} is there {len(paths)} times: {', '.join(paths)}; keep one of them")
    return paths[0]


def locate(manual_dir: epath.PathLike, annotated: Sequence[clips.Clip]) -> list[clips.Clip]:
    """The clips, each as a part of its source video.

    Raises:
      BuildError: lists every url without an id and every video that is missing or there twice.
    """
    located, problems = find_parts(manual_dir, annotated)
    if problems:
        raise BuildError(str(manual_dir), problems)
    return located


def find_parts(manual_dir: epath.PathLike, annotated: Sequence[clips.Clip]) -> tuple[list[clips.Clip], list[str]]:
    """As `locate`: the clips whose videos are there, and the problems of the others."""
    try:
        sources = find_sources(manual_dir)
    except ClipError as error:
        return [], [f"{FOLDER}: {error}"]
    located, problems = [], []
    for clip in annotated:
        try:
            path = epath.Path(source_of(clip.annotation.url, sources))
        except ClipError as error:
            problems.append(f"{clip.clip_id}: {error}")
        else:
            file = File(str(path.parent.parent), f"{FOLDER}/{path.name}")
            located.append(dataclasses.replace(clip, file=file, is_part=True))
    return located, problems


def check_context(seconds: float | None, factor: float | None) -> None:
    """Raises ValueError unless one of the two is given and makes sense; see `window`."""
    if (seconds is None) == (factor is None):
        raise ValueError(f"context_seconds={seconds}, context_factor={factor}: give one of them")
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"context_seconds={seconds}, must be 0 or more seconds")
    if factor is not None and not (math.isfinite(factor) and factor >= 1):
        raise ValueError(f"context_factor={factor}, must be 1 or more, 1 being the clip itself")


def window(
    start: float, end: float, duration: float, *, seconds: float | None = None, factor: float | None = None
) -> tuple[float, float]:
    """Where the cut around a clip starts and ends.

    Args:
      start, end: of the clip, in seconds.
      duration: of the source video, in seconds. A cut never extends beyond the video; what one side lacks is not
        added to the other.
      seconds: how much to add on both sides; or
      factor: how many times as long as the clip the cut is, half of the rest on each side.

    Raises:
      ClipError: the clip starts after the video's end, or ends more than video.SOURCE_SLACK after it.
      ValueError: see `check_context`.
    """
    check_context(seconds, factor)
    if start >= duration or end > duration + video.SOURCE_SLACK:
        raise ClipError(f"ends at {duration:.2f} s, before the clip's end ({start:g} to {end:g} s)")
    context = seconds if factor is None else (factor - 1) * (end - start) / 2
    return max(0.0, start - context), min(duration, end + context)


def encode(
    clip: clips.Clip,
    on_frame: Sequence[Callable[[np.ndarray], None]] = (),
    *,
    seconds: float | None = None,
    factor: float | None = None,
) -> tuple[video.EncodedClip, float, float]:
    """As `clips.encode`, but with the surroundings of the clip; only they are decoded.

    Args:
      clip: a clip of `locate`: its file is the source video.
      on_frame: as of `video.encode_clip`.
      seconds, factor: how much more; see `window`.

    Returns:
      The cut as a clip, and where it starts and ends in the source video, in seconds.

    Raises:
      ClipError: the source cannot be read, is truncated or damaged, or is shorter than the annotation.
      ValueError: see `check_context`.
      OSError: the source cannot be opened.
    """
    start, end = span(clip, seconds=seconds, factor=factor)
    return cut.encode_segment(clip.file.local, start, end, on_frame), start, end


def span(clip: clips.Clip, *, seconds: float | None = None, factor: float | None = None) -> tuple[float, float]:
    """Where the cut around a clip of `locate` starts and ends in its video; args and errors as of `encode`."""
    check_context(seconds, factor)
    row = clip.annotation
    return window(row.start, row.end, duration(clip.file.local), seconds=seconds, factor=factor)


def duration(path: epath.PathLike) -> float:
    """Where a video's last frame ends, in seconds from its first; its packets are read, no frame is decoded.

    The length that a container states is not relied on: sound may be longer, and a download may be cut short.

    Raises:
      ClipError: the file cannot be read, has no video, frame rate or timestamps, or is truncated.
      OSError: the file cannot be opened.
    """
    with epath.Path(path).open("rb") as file, video.open_video(file) as (container, stream):
        return _avi_end(container, stream) if container.format.name == "avi" else _last_end(container, stream)


def _avi_end(container, stream) -> float:
    """AVI has no timestamps: frames are counted, as in `cut.py`. Those that were dropped have empty packets."""
    numbers = [packet.dts for packet in _packets(container, stream)]
    last = max((number for number in numbers if number is not None), default=-1) + 1
    if last < stream.frames:
        raise ClipError(f"is truncated: {last} of {stream.frames} frames are there")
    if not numbers:
        raise ClipError("has no frames")
    return len(numbers) / float(stream.average_rate)


def _last_end(container, stream) -> float:
    """Where the last frame ends, by the timestamps of the packets near the end that the container states."""
    named = (container.duration or 0) / av.time_base  # of the longest stream
    for target in (max(0.0, named - _TAIL), 0.0):
        container.seek((stream.start_time or 0) + int(target / stream.time_base), stream=stream)
        ends = _packet_ends(container, stream)
        if stream.index in ends:
            break
    else:
        raise ClipError("has no frames")
    if max(ends.values()) - (container.start_time or 0) / av.time_base < named - video.CONTAINER_SLACK:
        raise ClipError(f"is truncated: it ends at {max(ends.values()):.2f} of {named:.2f} s")
    return ends[stream.index] - float((stream.start_time or 0) * stream.time_base)


def _packet_ends(container, video_stream) -> dict[int, float]:
    """Where each stream ends, in the container's seconds, from the packets after its current position."""
    ends = {}
    for packet in _packets(container):
        stream, length = packet.stream, packet.duration or 0
        if stream.index == video_stream.index:
            if packet.pts is None:
                raise ClipError("has frames without timestamps, so it cannot be cut")
            length = length or 1 / stream.average_rate / stream.time_base
        if packet.pts is not None:
            ends[stream.index] = max(ends.get(stream.index, 0.0), float((packet.pts + length) * stream.time_base))
    return ends


def _packets(container, *streams):
    """Packets that are not empty (PyAV appends an empty one to the last) and not hidden by an edit list."""
    for packet in video.whole_packets(container, *streams):
        if packet.size and not packet.is_discard:
            yield packet
