"""Longer cuts around the clips (HAA500, Table 12), out of the YouTube videos that the user has.

    youtube/<id>.mp4    the video whose id is in the clip's url; also .mkv, .webm, .avi and .mov

in the folder of the release or beside it. A cut holds the annotated clip and what comes before and after it, as far
as the video goes. Seconds count from the video's first frame; frame t is part of a cut if start <= time < end.
"""

import collections
import dataclasses
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence

import av
import av.error
from etils import epath

from tfds_haa500.sources import archive, cut
from tfds_haa500.streams import video

FOLDER = "youtube"
SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")  # in any case
END_SLACK = 0.5  # seconds a clip may end beyond its video: the formats of one video on YouTube differ in length
_ID = re.compile(r"[\w-]{11}", re.ASCII)
_HOSTS = ("youtube.com", "youtube-nocookie.com")
_TAIL = 1.0  # seconds before the end that a container names, from where the last frame is looked for


class SourceError(video.VideoError):
    """A source video from which a clip cannot be cut; the message is the reason."""


def video_id(url: str) -> str:
    """The id of a video on YouTube: 11 letters, digits, - and _.

    Takes what YouTube itself gives out: watch?v=ID, youtu.be/ID, embed/ID, shorts/ID, live/ID and v/ID, with further
    parameters or none, with or without https:// and www.

    Raises:
      SourceError: the url is another one, or has no id.
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
        raise SourceError(f"its url {url!r} has no id of a video on YouTube (11 letters, digits, - and _)")
    return found[0]


def find_sources(manual_dir: epath.PathLike) -> dict[str, list[str]]:
    """Paths of the videos in `youtube/`, by their names without suffix; other files are passed over.

    Raises:
      SourceError: neither the folder nor the release in it has a `youtube/`. (One in a zip file is not looked for:
        what is compressed cannot be sought in.)
    """
    manual_dir = epath.Path(manual_dir)
    folders = [folder / FOLDER for folder in (manual_dir, manual_dir / archive.RELEASE)]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise SourceError(f"no such folder, neither in {manual_dir} nor in {archive.RELEASE}/ there")
    found = collections.defaultdict(list)
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                found[path.stem].append(str(path))
    return dict(found)


def source_of(url: str, sources: Mapping[str, Sequence[str]]) -> str:
    """The path of a clip's source video, by its url, out of those that `find_sources` found.

    Raises:
      SourceError: the url has no id, no source has it, or two have.
    """
    name = video_id(url)
    paths = sources.get(name, ())
    if not paths:
        raise SourceError(f"{FOLDER}/{name}{SUFFIXES[0]}: no such file, nor one with {', '.join(SUFFIXES[1:])}")
    if len(paths) > 1:
        raise SourceError(f"{FOLDER}/{name} is there {len(paths)} times: {', '.join(paths)}; leave one of them")
    return paths[0]


def locate(manual_dir: epath.PathLike, clips: Sequence[archive.Clip]) -> list[archive.Clip]:
    """The clips, each with its source video as its file.

    Raises:
      archive.ArchiveError: lists every url without an id and every video that is missing or there twice.
    """
    try:
        sources = find_sources(manual_dir)
    except SourceError as error:
        raise archive.ArchiveError(str(manual_dir), [f"{FOLDER}: {error}"]) from error
    located, problems = [], []
    for clip in clips:
        try:
            path = epath.Path(source_of(clip.annotation.url, sources))
        except SourceError as error:
            problems.append(f"{clip.clip_id}: {error}")
        else:
            located.append(dataclasses.replace(clip, root=str(path.parent.parent), path=f"{FOLDER}/{path.name}"))
    if problems:
        raise archive.ArchiveError(str(manual_dir), problems)
    return located


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
      duration: of the source video, in seconds. A cut ends where the video does, however much was asked for; what
        one side lacks is not added to the other.
      seconds: how much to add on both sides; or
      factor: how many times as long as the clip the cut is: half of the rest lies on each side.

    Raises:
      SourceError: the clip starts behind the video's end, or ends more than END_SLACK behind it.
      ValueError: see `check_context`.
    """
    check_context(seconds, factor)
    if start >= duration or end > duration + END_SLACK:
        raise SourceError(f"ends at {duration:.2f} s, before the clip's end ({start:g} to {end:g} s)")
    context = seconds if factor is None else (factor - 1) * (end - start) / 2
    return max(0.0, start - context), min(duration, end + context)


def encode(
    path: epath.PathLike,
    annotation: archive.Annotation,
    *,
    seconds: float | None = None,
    factor: float | None = None,
    flow_method: str = "",
) -> tuple[video.EncodedClip, float, float]:
    """Cuts the surroundings of a clip out of its source video; only they are decoded.

    Args:
      path: the source video.
      annotation: `start` and `end` of the clip.
      seconds, factor: how much more; see `window`.
      flow_method: one of `flow.METHODS`; "" for none.

    Returns:
      The cut as a clip, and where it really starts and ends in the source video, in seconds.

    Raises:
      SourceError: the source cannot be opened, is truncated, or is shorter than the annotation.
      video.VideoError, flow.FlowError: as `cut.encode_segment`.
      ValueError: see `check_context`.
    """
    check_context(seconds, factor)
    start, end = window(annotation.start, annotation.end, duration(path), seconds=seconds, factor=factor)
    try:
        return cut.encode_segment(path, start, end, flow_method), start, end
    except OSError as error:
        raise SourceError(f"cannot be read ({error})") from error


def duration(path: epath.PathLike) -> float:
    """Where a video's last frame ends, in seconds from its first; its packets are read, no frame is decoded.

    What a container says of its length is not relied on: sound may go on longer, and a download may be cut short.

    Raises:
      SourceError: the file cannot be opened or read, has no video, frame rate or timestamps, or is truncated.
    """
    try:
        with epath.Path(path).open("rb") as file, video.open_container(file) as container:
            if not container.streams.video or not container.streams.video[0].average_rate:
                raise SourceError("has no video stream with a frame rate")
            stream = container.streams.video[0]
            return _avi_end(container, stream) if container.format.name == "avi" else _last_end(container, stream)
    except av.error.FFmpegError as error:
        raise SourceError(f"cannot be read ({error.strerror or error})") from error
    except OSError as error:
        raise SourceError(f"cannot be read ({error})") from error


def _avi_end(container, stream) -> float:
    """AVI has no timestamps: as `cut.py` does, counts frames. Those that were dropped have packets of no bytes."""
    numbers = [packet.dts for packet in _packets(container, stream)]
    last = max((number for number in numbers if number is not None), default=-1) + 1
    if last < stream.frames:
        raise SourceError(f"is truncated: {last} of {stream.frames} frames are there")
    if not numbers:
        raise SourceError("has no frames")
    return len(numbers) / float(stream.average_rate)


def _last_end(container, stream) -> float:
    named = (container.duration or 0) / av.time_base  # of the longest stream
    for target in (max(0.0, named - _TAIL), 0.0):
        container.seek((stream.start_time or 0) + int(target / stream.time_base), stream=stream)
        ends = _packet_ends(container, stream)
        if stream.index in ends:
            break
    else:
        raise SourceError("has no frames")
    if max(ends.values()) - (container.start_time or 0) / av.time_base < named - END_SLACK:
        raise SourceError(f"is truncated: it ends at {max(ends.values()):.2f} of {named:.2f} s")
    return ends[stream.index] - float((stream.start_time or 0) * stream.time_base)


def _packet_ends(container, video_stream) -> dict[int, float]:
    """Where each stream ends, in the container's seconds, reading on from where it stands."""
    ends = {}
    for packet in _packets(container):
        stream, length = packet.stream, packet.duration or 0
        if stream.index == video_stream.index:
            if packet.pts is None:
                raise SourceError("has frames without timestamps, so it cannot be cut")
            length = length or 1 / stream.average_rate / stream.time_base
        if packet.pts is not None:
            ends[stream.index] = max(ends.get(stream.index, 0.0), float((packet.pts + length) * stream.time_base))
    return ends


def _packets(container, *streams):
    """Those with something in them (PyAV puts an empty one behind the last) that no edit list hides."""
    for packet in container.demux(*streams):
        if packet.is_corrupt:
            raise SourceError("is truncated or damaged (an incomplete packet)")
        if packet.size and not packet.is_discard:
            yield packet
