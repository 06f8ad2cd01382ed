"""What the readers of official lists share: the entries they return, lines of text, and what lists leave out."""

import dataclasses

UNUSED = "videos that the lists do not use"
UNLABELED = "videos without labels"
SHORTEST = 0.1  # seconds; a shorter annotation is a slip, and may hold no frame
LONGEST = 1e6  # seconds of a video, over eleven days; also excludes what no float can hold
TOO_SHORT = f"annotations shorter than {SHORTEST} s"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One clip of a list.

    Attributes:
      split: "train", "validation" or "test"; "" for what is left out (see `left_out`).
      class_name: its class, the first of `labels` if there are any; "" for what is left out.
      file: where the video is in the folder, without its suffix: "Archery/v_Archery_g01_c01", "v_--0edUL8zmA".
      origin: its place in the list, for messages.
      segment: (start, end) in seconds if the clip is a part of the file; None for all of it.
      url: where the video is from; "" if the list does not have it.
      name: of the clip, as the list has it; "" for that of the file, followed by _<number> if it is a part.
      labels: all its classes, in lists that give clips several; () in all others.
      left_out: why the file, or this part of it, is not used; "" if it is. Its file may be there, and may be missing.
    """

    split: str
    class_name: str
    file: str
    origin: str
    segment: tuple[float, float] | None = None
    url: str = ""
    name: str = ""
    labels: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """All its classes, one or several."""
        return self.labels or (self.class_name,)


def unused(file: str, origin: str, why: str) -> Entry:
    """The entry of a file, or of a part of it, that is left out."""
    return Entry("", "", file, origin, left_out=why)


def read_lines(path, name: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The lines of a list that are not blank, each with `file line n`, and what is wrong with the list."""
    if not (path / name).exists():
        return [], [f"{name}: no such file in {path}"]
    try:
        text = (path / name).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{name}: cannot be read ({error})"]
    lines = [(f"{name} line {n}", line.strip()) for n, line in enumerate(text.splitlines(), start=1)]
    lines = [(origin, line) for origin, line in lines if line]
    return lines, [] if lines else [f"{name}: is empty"]


def repeated(entries: list[Entry]) -> list[str]:
    """Clips that are listed twice: in both train and test, they would invalidate the test."""
    first, problems = {}, []
    for entry in entries:
        name = entry.name or entry.file
        before = first.setdefault(name, entry)
        if before is not entry:
            problems.append(f"{entry.origin}: {name} is in {before.origin} already")
    return problems


def is_segment(value) -> bool:
    """Whether a JSON value is [start, end] in seconds, 0 <= start <= end."""
    if not isinstance(value, list) or len(value) != 2 or not all(type(v) in (int, float) for v in value):
        return False
    return 0 <= value[0] <= value[1] < LONGEST


def youtube_url(video_id: str) -> str:
    """Where a video is, in lists that have its id on YouTube only."""
    return f"https://www.youtube.com/watch?v={video_id}"


def stem(file: str) -> str:
    """A file's name without its suffix."""
    return file.rpartition(".")[0]
