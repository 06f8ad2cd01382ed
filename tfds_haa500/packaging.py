"""Clips -> TFRecords: what the builders share. A builder provides the clips and their classes.

Clips are decoded in parallel processes, or by Apache Beam. The first clip that cannot be packaged does not end the
build: all others are decoded too, to report everything that is wrong, and then nothing is left on disk.
"""

import abc
import contextlib
import functools
import itertools
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow_datasets as tfds

from tfds_haa500 import records, streams
from tfds_haa500.problems import BuildError, ClipError, Failure, of_file
from tfds_haa500.runtime import bucket, parallel
from tfds_haa500.runtime.build_lock import build_lock
from tfds_haa500.runtime.kept import FOLDER, Kept
from tfds_haa500.sources import clips as sources
from tfds_haa500.sources.clips import Clip
from tfds_haa500.sources.files import UNREADABLE
from tfds_haa500.streams import video
from tfds_haa500.taxonomy import Taxonomy

ToExample = Callable[[Clip], dict | Failure]


class ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder of clips; its configs are `features.ClipConfig`.

    A subclass defines VERSION, RELEASE_NOTES, `_info`, `taxonomy` and `find_clips`.

    Raises (when built):
      BuildError: lists everything that is wrong with the clips and their files.
    """

    @property
    @abc.abstractmethod
    def taxonomy(self) -> Taxonomy:
        """The class table."""

    @abc.abstractmethod
    def find_clips(self, dl_manager: tfds.download.DownloadManager) -> Sequence[Clip]:
        """The clips, in the order in which they are stored within a split; raises BuildError."""

    def encoder(self) -> Callable:
        """What decodes a clip; see `sources.clips.encode`."""
        return sources.encode

    def quick_encoder(self) -> ToExample:
        """Makes the example of a clip by the fastest methods, which fail for the same clips."""
        return self._to_example(_fastest(self.builder_config.methods))

    def download_and_prepare(self, **options) -> None:
        """As TFDS's, with its options. A second build of a dataset waits for the first and finds it built."""
        download = options.get("download_config")
        if bucket.is_remote(self.data_path) and not _on_beam(download):
            self._build_here_and_upload(options)
            return
        if self.data_path.exists() and not (download and download.download_mode.overwrite_dataset):
            super().download_and_prepare(**options)
            return
        with build_lock(self.data_path):
            super().download_and_prepare(**options)
            shutil.rmtree(self._kept_folder(), ignore_errors=True)
        if not self.info.splits:  # another process built it
            self.info.read_from_directory(self.data_path)

    def _kept_folder(self) -> pathlib.Path:
        return pathlib.Path(self.data_path).absolute().parent / FOLDER

    def _build_here_and_upload(self, options: dict) -> None:
        """For a data folder in a bucket. What a killed upload left there is not a dataset, and is replaced."""
        download = options.get("download_config")
        if not bucket.is_complete(self.data_path) or (download and download.download_mode.overwrite_dataset):
            with tempfile.TemporaryDirectory(prefix="tfds_haa500_") as folder:
                here = type(self)(config=self.builder_config, data_dir=folder)
                here.download_and_prepare(**options)
                print(f"Uploading to {self.data_path}", file=sys.stderr, flush=True)
                bucket.upload(here.data_path, self.data_path)
        self.info.read_from_directory(self.data_path)

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        # TFDS calls this inside a temporary folder that becomes the dataset only on success, so the clip
        # index written here is there whenever the dataset is.
        self._on_beam = _on_beam(download_config)
        with contextlib.ExitStack() as self._resources:  # what is closed when the build ends
            super()._download_and_prepare(dl_manager, download_config)
        if self.info.file_format.value == "tfrecord" and self.info.splits:
            records.write_index(self.data_path, self)

    def _split_generators(self, dl_manager):
        splits = sources.by_split(self.find_clips(dl_manager))
        kept = None if bucket.is_remote(self.data_path) else self._kept_folder()
        to_example = self._to_example(self.builder_config.methods, kept)
        if self._on_beam:
            from tfds_haa500.runtime import beam

            return beam.split_transforms(splits, to_example)
        progress = parallel.progress_bar(sum(map(len, splits.values())), "packaging")
        self._resources.enter_context(progress)
        return {split: self._generate_examples(split, splits, to_example, progress) for split in splits}

    def _generate_examples(self, split, splits, to_example, progress) -> Iterator[tuple[str, dict]]:
        """Examples of one split; after the first clip that fails, looks for all others that do and raises instead."""
        for number, (clip, result) in enumerate(parallel.ordered_map(to_example, splits[split])):
            if isinstance(result, Failure):
                later = itertools.dropwhile(lambda name: name != split, splits)
                rest = list(itertools.chain.from_iterable(splits[name] for name in later))[number:]
                raise _all_failures(rest, self.quick_encoder(), progress)
            progress.update()
            yield clip.clip_id, result

    def _to_example(self, methods: dict[str, str], kept: pathlib.Path | None = None) -> ToExample:
        # Modules, not names: a stream that the user's program added to STREAMS is unknown to worker processes.
        stored = {name: (streams.STREAMS[name], method) for name, method in methods.items()}
        return functools.partial(make_example, self.taxonomy, self.encoder(), stored, kept=kept)


def _on_beam(download_config: tfds.download.DownloadConfig | None) -> bool:
    return bool(download_config and (download_config.beam_runner or download_config.beam_options))


def make_example(
    table: Taxonomy, encode: Callable, stored: Mapping[str, tuple], clip: Clip, kept: pathlib.Path | None = None
) -> dict | Failure:
    """Decodes one clip into an example of the dataset's features (runs in worker processes).

    Args:
      table: the classes.
      encode: as `sources.clips.encode`.
      stored: by the name of each stream, its module and the method that computes it; "" for those that are read from
        `clip.files`.
      clip: the clip.
      kept: folder where results of slow methods are looked for and kept; None to keep none.

    Returns:
      The values of all features, or everything that is wrong with the clip.
    """
    computations = [_computation(*each, kept) for each in stored.values() if each[1] in each[0].METHODS]
    values, problems = {}, []
    try:
        encoded, start, end = encode(clip, computations)
        for computation in computations:
            values |= computation.features()
    except (ClipError, *UNREADABLE) as error:
        return Failure(tuple(of_file(clip.label, error)))
    for stream, file in clip.files.items():
        try:
            values |= stored[stream][0].read(file, encoded)
        except (ClipError, *UNREADABLE) as error:
            problems += of_file(file.path, error)
    if problems:
        return Failure(tuple(problems))
    return _described(table, clip, encoded, start, end) | values


def _computation(module, method: str, kept: pathlib.Path | None):
    """Computes a stream by a method; keeps what it computes unless the method is the fastest."""
    start = functools.partial(module.Computation, method)
    return start() if kept is None or method == module.METHODS[0] else Kept(start, method, kept)


def _described(table: Taxonomy, clip: Clip, encoded: video.EncodedClip, start: float, end: float) -> dict:
    """The features that every clip has."""
    return {
        "clip_id": clip.clip_id,
        "video": encoded.frames,
        **_classes(table, clip),
        "fps": encoded.fps,
        "youtube_url": clip.annotation.url,
        "start": start,
        "end": end,
        "camera_moving": clip.annotation.camera_moving,
        "num_people": clip.annotation.num_people,
    }


def _classes(table: Taxonomy, clip: Clip) -> dict:
    """The features of its class or classes."""
    ids = sorted(map(table.names.index, clip.classes))
    if clip.labels:
        return {"labels": ids}
    return {"label": ids[0], "composite": table.composites[ids[0]], "area": table.areas[ids[0]]}


def _fastest(methods: dict[str, str]) -> dict[str, str]:
    """The fastest methods, which fail for the same clips."""
    return {
        name: streams.STREAMS[name].METHODS[0] if streams.is_computed(name, method) else method
        for name, method in methods.items()
    }


def _all_failures(clips: Sequence[Clip], to_example: ToExample, progress) -> BuildError:
    """Decodes clips only to find out which of them fail."""
    problems = []
    for _, result in parallel.ordered_map(functools.partial(_failure_only, to_example), clips):
        problems += result.problems if result else ()
        progress.update()
    return BuildError(clips[0].file.root, problems)


def _failure_only(to_example: ToExample, clip: Clip) -> Failure | None:
    """The frames of clips that do not fail stay in the worker process."""
    result = to_example(clip)
    return result if isinstance(result, Failure) else None
