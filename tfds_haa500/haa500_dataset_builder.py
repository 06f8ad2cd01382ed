"""HAA500 as a TFDS dataset: the release on disk -> JPEG frames and metadata in TFRecords."""

import contextlib
import dataclasses
import functools
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from tfds_haa500 import archive, parallel, records, taxonomy, video

_INSTRUCTIONS = f"""\
HAA500 cannot be downloaded automatically. Its authors announce the release at
https://github.com/a6o/HAA500 (take v1.1, raw + video). Put it, unpacked or as the zip file it comes in, into
one folder and name that folder: `python -m tfds_haa500.build --manual_dir=DIR`. DIR must hold

    DIR/{archive.RELEASE}.zip
or
    DIR/raw/ALS_IceBucket_Challenge.txt                            (500 files, one a class)
    DIR/video/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.mp4
    DIR/video/ALS_IceBucket_Challenge/...                          (20 clips a class, _000 to _019)
(DIR/{archive.RELEASE}/raw and DIR/{archive.RELEASE}/video are found too).
"""


@dataclasses.dataclass
class Haa500Config(tfds.core.BuilderConfig):
    """What goes into a dataset.

    Attributes:
      classes: names of the classes to package; all by default. Label ids stay those of the whole table.
      class_table: path of a class table (see `tfds_haa500/taxonomy.py`); the table of the 500 by default.
      generated: True for the demo, whose clips are drawn and need no files.
    """

    classes: tuple[str, ...] = ()
    class_table: str = ""
    generated: bool = False

    def read_taxonomy(self) -> taxonomy.Taxonomy:
        default = taxonomy.DEMO_CSV if self.generated else taxonomy.HAA500_CSV
        return taxonomy.load(self.class_table or default)


class Builder(tfds.core.GeneratorBasedBuilder):
    """DatasetBuilder for HAA500 (registered as `haa500`)."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {"1.1.0": "The v1.1 release of HAA500; JPEG frames with a short side of at most 256."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS: ClassVar = [
        Haa500Config(name="rgb", description="All 500 classes, RGB frames."),
        Haa500Config(name="demo", description="16 generated classes; needs no files.", generated=True),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        table = self.builder_config.read_taxonomy()
        image = tfds.features.Image(shape=(None, None, 3), dtype=np.uint8, encoding_format="jpeg")
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "clip_id": tfds.features.Text(doc="<class>_<number>, the file's name in the release"),
                    # A sequence of images rather than features.Video: the same records, but readable
                    # without TensorFlow.
                    "video": tfds.features.Sequence(image, doc="(T, H, W, 3) uint8 RGB"),
                    "label": tfds.features.ClassLabel(names=table.names),
                    "composite": tfds.features.ClassLabel(names=table.composite_names),
                    "area": tfds.features.ClassLabel(names=table.area_names),
                    "fps": tfds.features.Scalar(np.float32, doc="native frames per second"),
                    "youtube_url": tfds.features.Text(doc="where the clip was cut from"),
                    "start": tfds.features.Scalar(np.float32, doc="seconds into the source video"),
                    "end": tfds.features.Scalar(np.float32, doc="seconds into the source video"),
                    "camera_moving": tfds.features.Scalar(np.bool_),
                    "num_people": tfds.features.Scalar(np.int32, doc="number of dominant figures"),
                }
            ),
            supervised_keys=("video", "label"),
            homepage="https://www.cse.ust.hk/haa/",
            metadata=tfds.core.MetadataDict(taxonomy=table.to_csv()),
        )

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        # TFDS calls this inside a temporary folder that becomes the dataset only on success, so the clip
        # index written here is there whenever the dataset is.
        self._on_beam = bool(download_config.beam_runner or download_config.beam_options)
        with contextlib.ExitStack() as self._resources:
            super()._download_and_prepare(dl_manager, download_config)
        if self.info.file_format.value == "tfrecord" and self.info.splits:
            records.write_index(self.data_path, self)

    def _split_generators(self, dl_manager):
        config = self.builder_config
        if config.generated:
            from tfds_haa500 import demo  # here, so that `python -m tfds_haa500.demo` is loaded only once

            folder = self._resources.enter_context(tempfile.TemporaryDirectory())
            manual_dir = os.path.join(folder, archive.RELEASE)
            demo.write_archive(manual_dir)
        else:
            manual_dir = dl_manager.manual_dir
        table = config.read_taxonomy()
        clips = archive.split_clips(archive.scan(manual_dir, table, config.classes))
        to_example = functools.partial(make_example, table)
        if self._on_beam:
            from tfds_haa500 import beam

            return beam.split_transforms(clips, to_example)
        progress = parallel.progress_bar(sum(map(len, clips.values())), "packaging")
        self._resources.enter_context(progress)
        return {split: self._generate_examples(split, clips, to_example, progress) for split in clips}

    def _generate_examples(self, split, clips, to_example, progress) -> Iterator[tuple[str, dict]]:
        """Examples of one split; on the first bad clip, looks for all others and raises instead."""
        for clip, result in parallel.ordered_map(to_example, clips[split]):
            if isinstance(result, Failure):
                splits = list(clips)
                rest = itertools.chain.from_iterable(clips[later] for later in splits[splits.index(split) :])
                raise all_failures(list(rest), to_example, progress)
            progress.update()
            yield clip.clip_id, result


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why one clip cannot be packaged, as `path: reason`."""

    problem: str


def make_example(table: taxonomy.Taxonomy, clip: archive.Clip) -> dict | Failure:
    """Decodes one clip into an example of the dataset's features (runs in worker processes)."""
    try:
        encoded = video.encode_clip(archive.read_bytes(clip.root, clip.path))
    except (video.VideoError, OSError, archive.zipfile.BadZipFile) as error:
        return Failure(f"{clip.path}: {error}")
    label = table.names.index(clip.class_name)
    row = clip.annotation
    return {
        "clip_id": clip.clip_id,
        "video": encoded.frames,
        "label": label,
        "composite": table.composites[label],
        "area": table.areas[label],
        "fps": encoded.fps,
        "youtube_url": row.url,
        "start": row.start,
        "end": row.end,
        "camera_moving": row.camera_moving,
        "num_people": row.num_people,
    }


def all_failures(clips: Sequence[archive.Clip], to_example, progress) -> archive.ArchiveError:
    """Decodes clips only to find out which of them fail."""
    problems = []
    for _, result in parallel.ordered_map(functools.partial(_failure_only, to_example), clips):
        problems += [result.problem] if result else []
        progress.update()
    return archive.ArchiveError(str(epath.Path(clips[0].root)), problems)


def _failure_only(to_example, clip) -> Failure | None:
    result = to_example(clip)
    return result if isinstance(result, Failure) else None
