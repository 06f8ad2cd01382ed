"""What every source of clips gives to a builder: a list of `Clip`, found before a single frame is decoded."""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tfds_haa500.sources import cut
from tfds_haa500.sources.files import File
from tfds_haa500.streams import video

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What is known of a clip.

    Attributes:
      url: where its video is from; "" if not known.
      start, end: where it is in its source video, in seconds; `end` None stands for the length of the clip's own file.
      camera_moving: whether the camera moves; False if not known.
      num_people: how many people act; 0 if not known.
    """

    url: str = ""
    start: float = 0.0
    end: float | None = None
    camera_moving: bool = False
    num_people: int = 0


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip, and where its files are.

    Attributes:
      clip_id: unique in the data set.
      split: one of SPLITS.
      class_name: its class; the first of `labels`, if there are any.
      file: the video.
      annotation: what is known of it.
      is_part: whether the clip has to be cut out of the video: from its annotation's start to its end.
      files: its files of other streams, by stream.
      labels: the names of all its classes, sorted, in a data set that gives clips several; () in all others.
    """

    clip_id: str
    split: str
    class_name: str
    file: File
    annotation: Annotation = Annotation()
    is_part: bool = False
    files: dict[str, File] = dataclasses.field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of all its classes, one or several."""
        return self.labels or (self.class_name,)

    @property
    def label(self) -> str:
        """What problems of its video are reported for: the path, and the clip's id if clips share the video."""
        return f"{self.file.path} ({self.clip_id})" if self.is_part else self.file.path


def by_split(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """The clips of each split that has any, in the order of SPLITS."""
    groups = {split: [] for split in SPLITS}
    for clip in clips:
        groups[clip.split].append(clip)
    return {split: group for split, group in groups.items() if group}


def encode(clip: Clip, on_frame: Sequence[Callable[[np.ndarray], None]] = ()) -> tuple[video.EncodedClip, float, float]:
    """Decodes a clip.

    Args:
      clip: the clip.
      on_frame: as of `video.encode_clip`.

    Returns:
      The encoded clip, and where it starts and ends in its source video, in seconds.

    Raises:
      problems.ClipError: as `video.encode_clip` or `cut.encode_segment`.
      OSError, zipfile.BadZipFile: the file cannot be read.
    """
    start, end = clip.annotation.start, clip.annotation.end
    if clip.is_part:
        return cut.encode_segment(clip.file.local, start, end, on_frame), start, end
    encoded = video.encode_clip(clip.file.read_bytes(), on_frame=on_frame)
    return encoded, start, len(encoded.frames) / encoded.fps if end is None else end


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar known one, if any is similar."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
