"""Predictions as plain data: the highest scores of each clip with their labels, runs of equal labels, tables, files.

A record is what is kept of one video, as it is in JSON:

    {"video": PATH, "clips": [{"start": s, "end": s, "predictions": {HEAD: [{"label": NAME, "score": 0 to 1}, ...]}}]}

Of networks that give clips several classes, the labels are all those above the threshold, which may be none.
"""

import csv
import io
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from haa_jax import averaging
from haa_jax.errors import UserError
from haa_jax.runtime.files import atomic_write

FORMATS = (".csv", ".json")
COLUMNS = ("video", "start", "end", "head", "rank", "label", "score")


class ResultsError(UserError, ValueError):
    """A file of results that cannot be used."""


def top(logits: np.ndarray, names: Sequence[str], count: int, threshold: float | None = None) -> list[dict]:
    """The classes with the highest scores, the highest first: [{"label", "score"}].

    Args:
      logits: float (classes,).
      names: of the classes.
      count: how many; all if there are fewer.
      threshold: for clips of several classes: all that have a sigmoid above it instead, however many they are.
    """
    scores = averaging.softmax(logits) if threshold is None else averaging.sigmoid(logits)
    order = np.argsort(-scores, kind="stable")
    best = order[:count] if threshold is None else order[scores[order] > threshold]
    return [{"label": names[i], "score": float(scores[i])} for i in best]


def record(
    video: str,
    times: list[tuple],
    logits: Mapping[str, np.ndarray],
    classes: Mapping,
    count: int,
    threshold: float | None = None,
) -> dict:
    """The record of a video.

    Args:
      times: (start, end) of each clip in seconds.
      logits: head -> (clips, classes).
      classes: names by head.
      count, threshold: which labels of each clip; see `top`.
    """
    clips = [
        {
            "start": round(start, 3),
            "end": round(end, 3),
            "predictions": {
                head: top(values[clip], classes[head], count, threshold) for head, values in logits.items()
            },
        }
        for clip, (start, end) in enumerate(times)
    ]
    return {"video": video, "clips": clips}


def join(found: dict, head: str, several: bool = False) -> dict:
    """A record with successive clips of the same top label joined to one, which has the mean of their scores.

    Where overlapping clips have different labels, the border is in the middle of what they share.

    Args:
      head: whose labels; the joined clips have only that one.
      several: join clips with the same set of labels instead.
    """
    joined = []

    def scores(clip: dict) -> dict[str, float]:
        best = clip["predictions"][head]
        return {each["label"]: each["score"] for each in (best if several else best[:1])}

    for labels, run in itertools.groupby(found["clips"], key=lambda clip: sorted(scores(clip))):
        run = list(run)
        means = {label: sum(scores(clip)[label] for clip in run) / len(run) for label in labels}
        order = sorted(means, key=lambda label: -means[label])
        best = {head: [{"label": label, "score": means[label]} for label in order]}
        joined.append({"start": run[0]["start"], "end": run[-1]["end"], "predictions": best})
    for before, after in itertools.pairwise(joined):
        if after["start"] < before["end"]:
            after["start"] = before["end"] = round((after["start"] + before["end"]) / 2, 3)
    return {**found, "clips": joined}


def rows(found: dict) -> Iterator[tuple]:
    """The rows of a record with COLUMNS; one without rank, label and score for a clip that has no label."""
    for clip in found["clips"]:
        for head, best in clip["predictions"].items():
            if not best:
                yield found["video"], clip["start"], clip["end"], head, "", "", None
            for rank, each in enumerate(best, start=1):
                yield found["video"], clip["start"], clip["end"], head, rank, each["label"], each["score"]


def check_format(path: str) -> None:
    """Raises ResultsError unless the name of a file of results has a suffix that tells its format."""
    if not path.lower().endswith(FORMATS):
        raise ResultsError(f"--out={path}: must end in {' or '.join(FORMATS)}")
    if not pathlib.Path(path).absolute().parent.is_dir():
        raise ResultsError(f"--out={path}: there is no folder {pathlib.Path(path).parent}")


def write(path: str, records: Iterable[dict]) -> None:
    """Writes a file of results, CSV or JSON as its name ends, atomically."""
    if path.lower().endswith(".json"):
        text = json.dumps(list(records), indent=1, ensure_ascii=False)
    else:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            (*row[:-1], "" if row[-1] is None else f"{row[-1]:.6g}") for found in records for row in rows(found)
        )
        text = out.getvalue()
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))  # names of files may be any bytes


class Table:
    """A table of records as text, a record at a time.

    Args:
      videos: the paths of all videos, for the width of their column.
      heads: names of the heads; named in the table if there are several.
      timed: whether to show start and end.
    """

    def __init__(self, videos: Sequence[str], heads: Sequence[str], timed: bool):
        self._width = max([len("video"), *map(len, videos)])
        self._head = max(map(len, heads)) if len(heads) > 1 else 0
        self._timed = timed

    def header(self) -> str:
        return self._line("video", "start", "end", "head", "score", "label")

    def text(self, found: dict) -> str:
        """The lines of a record; what is the same as in the line above is left out."""
        lines, before = [], [None] * 4
        for video, start, end, head, _, label, score in rows(found):
            now = [video, f"{start:.2f}", f"{end:.2f}", head]
            # A column is repeated if one to its left is new.
            same = list(itertools.accumulate((a == b for a, b in zip(now, before, strict=True)), lambda a, b: a and b))
            shown = ["" if hidden else cell for hidden, cell in zip(same, now, strict=True)]
            lines.append(self._line(*shown, *(("", "-") if score is None else (f"{score:.4f}", label))))
            before = now
        return "\n".join(lines)

    def _line(self, video: str, start: str, end: str, head: str, score: str, label: str) -> str:
        cells = [f"{video:{self._width}}"]
        cells += [f"{start:>9}", f"{end:>9}"] if self._timed else []
        cells += [f"{head:{self._head}}"] if self._head else []
        return "  ".join([*cells, f"{score:>6}", label]).rstrip()
