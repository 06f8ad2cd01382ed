"""The same build on an Apache Beam runner, for when one machine is not enough (`pip install .[beam]`)."""

import apache_beam as beam

from tfds_haa500.problems import BuildError, Failure
from tfds_haa500.sources.clips import Clip


def split_transforms(clips: dict[str, list[Clip]], to_example) -> dict[str, beam.PTransform]:
    """One transform a split, from nothing to (clip id, example).

    The failures of all splits are collected in one step of the last split, which fails the pipeline with all of them.
    """
    failures = []
    last = list(clips)[-1]
    return {
        split: _SplitTransform(split_clips, to_example, failures, is_last=split == last)
        for split, split_clips in clips.items()
    }


class _SplitTransform(beam.PTransform):
    def __init__(self, clips, to_example, failures, is_last):
        super().__init__()
        self._clips = clips
        self._to_example = to_example
        self._failures = failures
        self._is_last = is_last

    def expand(self, pipeline):
        decoded = (
            pipeline
            | "Clips" >> beam.Create(self._clips)
            | "Spread" >> beam.Reshuffle()
            | "Decode" >> beam.Map(lambda clip, function: (clip.clip_id, function(clip)), self._to_example)
        )
        self._failures.append(decoded | "Bad" >> beam.FlatMap(_problem))
        if self._is_last:
            root = self._clips[0].file.root
            everything = self._failures | "AllBad" >> beam.Flatten() | "List" >> beam.combiners.ToList()
            _ = everything | "FailIfAny" >> beam.Map(_raise_if_any, root)
        return decoded | "Good" >> beam.Filter(lambda keyed: not isinstance(keyed[1], Failure))


def _problem(keyed) -> list[str]:
    _, result = keyed
    return list(result.problems) if isinstance(result, Failure) else []


def _raise_if_any(problems: list[str], root: str) -> None:
    if problems:
        raise BuildError(root, sorted(problems))
