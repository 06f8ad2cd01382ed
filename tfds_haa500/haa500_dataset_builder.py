"""HAA500 as a TFDS dataset: the release on disk -> JPEG frames, flow, poses and metadata in TFRecords.

Every example has T frames (`video`) of the stored size, whose short side is at most 256 pixels. Streams beside it:

    flow   `flow_x`, `flow_y`: T - 1 gray images each; image t is the motion from frame t to t + 1 in pixels of
           the stored frames, x to the right and y down, clipped to +-20: pixels = level * 40 / 255 - 20.
    pose   `pose`: float32 (T, 2, 17, 3): x and y as fractions of the frame's width and height, and the joint's
           score; 17 COCO joints of the two people with the highest scores, the higher first, in each frame by
           itself; zeros where there is none.
    boxes  `person_box`: float32 (T, 4): x, y, width and height of the person of interest, as fractions.
    objects  `objects`: float32 (N, 7): frame, group, x, y, width, height (fractions), score of each object found.

`flow.py`, `pose.py`, `boxes.py` and `objects.py` say where they come from. The dataset's metadata hold the class table
(`taxonomy`), the streams, how flow was computed and is to be read (`flow`), and what joints and groups there are.
"""

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

from tfds_haa500 import records, taxonomy
from tfds_haa500.runtime import parallel
from tfds_haa500.runtime.build_lock import OneBuild
from tfds_haa500.sources import archive, relaxed
from tfds_haa500.streams import boxes, flow, objects, pose, side_files, video

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

The release has neither poses nor boxes nor objects. For configs and streams with them, put them beside it, one file a
clip (their formats are in the README of tfds_haa500):

    DIR/pose/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.json       AlphaPose's results
    DIR/boxes/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.csv       the person of interest
    DIR/objects/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.json    COCO detections

The config `relaxed` needs raw/ and the videos that the clips were cut from, DIR/youtube/<id>.mp4 (mkv, webm, avi, mov).
"""
STREAMS = ("flow", "pose", "boxes", "objects")
RELAXED = 4400 / 591  # times as long: by so much the frames grow in the paper's Table 12
FLOW_METHODS = (*flow.METHODS, flow.IMAGES)
_UNREADABLE = (OSError, archive.zipfile.BadZipFile)


@dataclasses.dataclass
class Haa500Config(tfds.core.BuilderConfig):
    """What goes into a dataset.

    Attributes:
      classes: names of the classes to package; all by default. Label ids stay those of the whole table.
      class_table: path of a class table (see `tfds_haa500/taxonomy.py`); the table of the 500 by default.
      streams: what goes in beside the RGB frames, any of STREAMS.
      flow_method: how flow is computed: "dis", or "tvl1", about a hundred times slower; or "images" for flow of your
        own in flow/<class>/<clip>/ (see `flow.py`).
      context_seconds, context_factor: clips are cut longer, out of the videos in youtube/: by so many seconds on both
        sides, or to so many times their length (see `relaxed.py`). They have no streams then.
      generated: True for the demo, whose clips are drawn and need no files.
    """

    classes: tuple[str, ...] = ()
    class_table: str = ""
    streams: tuple[str, ...] = ()
    flow_method: str = "dis"
    context_seconds: float | None = None
    context_factor: float | None = None
    generated: bool = False

    def __post_init__(self):
        """Raises ValueError on streams or a context that cannot be, FlowError on a method that is not there."""
        if not set(self.streams) <= set(STREAMS) or len(set(self.streams)) != len(self.streams):
            raise ValueError(
                f"streams={','.join(self.streams)!r}, must be any of {', '.join(STREAMS)}, each at most once"
            )
        if self.flow_method != flow.IMAGES:
            flow.check_method(self.flow_method)
        if self.relaxed:
            relaxed.check_context(self.context_seconds, self.context_factor)
            if self.streams:
                raise ValueError(f"streams={','.join(self.streams)!r}: clips that are cut longer have none")

    @property
    def relaxed(self) -> bool:
        """Whether clips are cut longer than annotated."""
        return self.context_seconds is not None or self.context_factor is not None

    @property
    def sides(self) -> tuple[str, ...]:
        """The folders that must be there beside the videos (keys of `archive.SIDES`)."""
        return tuple(side for side in self.streams if side != "flow" or self.flow_method == flow.IMAGES)

    def read_taxonomy(self) -> taxonomy.Taxonomy:
        default = taxonomy.DEMO_CSV if self.generated else taxonomy.HAA500_CSV
        return taxonomy.load(self.class_table or default)


class Builder(OneBuild, tfds.core.GeneratorBasedBuilder):
    """DatasetBuilder for HAA500 (registered as `haa500`)."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {"1.1.0": "The v1.1 release of HAA500; JPEG frames with a short side of at most 256."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS: ClassVar = [
        Haa500Config(name="rgb", description="All 500 classes, RGB frames."),
        Haa500Config(name="flow", description="All 500 classes, RGB frames and flow.", streams=("flow",)),
        Haa500Config(name="pose", description="All 500 classes, RGB frames and poses.", streams=("pose",)),
        Haa500Config(name="full", description="All 500 classes, RGB frames and all streams.", streams=STREAMS),
        Haa500Config(
            name="relaxed", description="All 500 classes, cut with their surroundings.", context_factor=RELAXED
        ),
        Haa500Config(
            name="demo_relaxed",
            description="The demo's clips, cut with their surroundings; needs no files.",
            context_factor=2.5,
            generated=True,
            version="1.3.0",
            release_notes={"1.3.0": "First version."},
        ),
        Haa500Config(
            name="demo",
            description="16 generated classes, RGB frames and all streams; needs no files.",
            streams=STREAMS,
            generated=True,
            version="1.3.0",
            release_notes={"1.2.0": "Flow and poses beside the frames.", "1.3.0": "Boxes and objects too."},
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        table = config.read_taxonomy()
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
                    **stream_features(config.streams),
                }
            ),
            supervised_keys=("video", "label"),
            homepage="https://www.cse.ust.hk/haa/",
            metadata=tfds.core.MetadataDict(taxonomy=table.to_csv(), **stream_metadata(config)),
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
            from tfds_haa500.demo import archive as demo

            # Where a local dataset is being written, so that it goes with what else a killed build leaves.
            place = None if "://" in os.fspath(self.data_path) else self.data_path
            folder = self._resources.enter_context(tempfile.TemporaryDirectory(dir=place))
            manual_dir = os.path.join(folder, archive.RELEASE)
            demo.write_archive(manual_dir, classes=config.classes, kinds=("youtube",) if config.relaxed else demo.BUILT)
        else:
            manual_dir = dl_manager.manual_dir
        table = config.read_taxonomy()
        if config.relaxed:
            clips = relaxed.locate(manual_dir, archive.scan_annotations(manual_dir, table, config.classes))
        else:
            clips = archive.scan(manual_dir, table, config.classes, config.sides)
        clips = archive.split_clips(clips)
        to_example = self._to_example()
        if self._on_beam:
            from tfds_haa500.runtime import beam

            return beam.split_transforms(clips, to_example)
        progress = parallel.progress_bar(sum(map(len, clips.values())), "packaging")
        self._resources.enter_context(progress)
        return {split: self._generate_examples(split, clips, to_example, progress) for split in clips}

    def _generate_examples(self, split, clips, to_example, progress) -> Iterator[tuple[str, dict]]:
        """Examples of one split; on the first bad clip, looks for all others and raises instead."""
        for number, (clip, result) in enumerate(parallel.ordered_map(to_example, clips[split])):
            if isinstance(result, Failure):
                later = itertools.dropwhile(lambda name: name != split, clips)
                rest = list(itertools.chain.from_iterable(clips[name] for name in later))[number:]
                raise all_failures(rest, self._to_example(quick=True), progress)
            progress.update()
            yield clip.clip_id, result

    def _to_example(self, quick: bool = False):
        """From a clip to its example, or with `quick` by the faster flow, which fails on the same clips."""
        config = self.builder_config
        if config.relaxed:
            context = {"seconds": config.context_seconds, "factor": config.context_factor}
            return functools.partial(make_relaxed_example, config.read_taxonomy(), context)
        method = "dis" if quick and config.flow_method != flow.IMAGES else config.flow_method
        return functools.partial(make_example, config.read_taxonomy(), method if "flow" in config.streams else "")


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why one clip cannot be packaged, each as `path: reason`."""

    problems: tuple[str, ...]


def stream_features(streams: Sequence[str]) -> dict:
    """The features of the streams; the head of this file has their meaning."""
    features = {}
    if "flow" in streams:
        image = tfds.features.Image(shape=(None, None, 1), dtype=np.uint8, encoding_format="jpeg")
        for name, way in (("flow_x", "right"), ("flow_y", "down")):
            features[name] = tfds.features.Sequence(image, doc=f"(T - 1, H, W, 1) motion to the {way}: {flow.DECODE}")
    if "pose" in streams:
        shape = (None, pose.PEOPLE, len(pose.JOINTS), 3)
        features["pose"] = tfds.features.Tensor(shape=shape, dtype=np.float32, doc="x / width, y / height, score")
    if "boxes" in streams:
        features["person_box"] = tfds.features.Tensor(shape=(None, 4), dtype=np.float32, doc="x, y, width, height")
    if "objects" in streams:
        shape = (None, len(objects.COLUMNS))
        features["objects"] = tfds.features.Tensor(shape=shape, dtype=np.float32, doc=", ".join(objects.COLUMNS))
    return features


def stream_metadata(config: Haa500Config) -> dict:
    """What a reader of the streams must know, as plain values."""
    found = {"streams": list(config.streams)}
    if "flow" in config.streams:
        found["flow"] = {"method": config.flow_method, "bound": flow.BOUND, "decode": flow.DECODE}
    if "pose" in config.streams:
        found["pose"] = {"joints": list(pose.JOINTS), "people": pose.PEOPLE}
    if "objects" in config.streams:
        found["objects"] = {"groups": list(objects.GROUPS)}
    if config.relaxed:
        found["context"] = {"seconds": config.context_seconds, "factor": config.context_factor}
    return found


# Stream -> (its feature, what reads its file).
_PARSERS = {"pose": ("pose", pose.parse), "boxes": ("person_box", boxes.parse), "objects": ("objects", objects.parse)}


def make_example(table: taxonomy.Taxonomy, flow_method: str, clip: archive.Clip) -> dict | Failure:
    """Decodes one clip into an example of the dataset's features (runs in worker processes).

    With a `flow_method`, the example has flow; of each other stream, if the clip has its file.
    """
    try:
        computed = "" if flow_method == flow.IMAGES else flow_method
        encoded = video.encode_clip(archive.read_bytes(clip.root, clip.path), flow_method=computed)
    except (video.VideoError, flow.FlowError, *_UNREADABLE) as error:
        return Failure((f"{clip.path}: {error}",))
    streams, problems = {}, []
    if flow_method:
        streams.update(flow_x=encoded.flow_x, flow_y=encoded.flow_y)
    for side, (root, path) in clip.sides.items():
        try:
            streams.update(_read_side(side, root, path, encoded))
        except side_files.SideFileError as error:
            problems += [f"{path}: {problem}" for problem in error.problems]
        except (flow.FlowError, *_UNREADABLE) as error:
            problems.append(f"{path}: {error}")
    if problems:
        return Failure(tuple(problems))
    return _example(table, clip, encoded, clip.annotation.start, clip.annotation.end) | streams


def make_relaxed_example(table: taxonomy.Taxonomy, context: dict, clip: archive.Clip) -> dict | Failure:
    """Cuts one clip with its surroundings; `context` has the `seconds` or the `factor` of `relaxed.window`."""
    try:
        encoded, start, end = relaxed.encode(epath.Path(clip.root) / clip.path, clip.annotation, **context)
    except (video.VideoError, *_UNREADABLE) as error:
        return Failure((f"{clip.path} ({clip.clip_id}): {error}",))
    return _example(table, clip, encoded, start, end)


def _example(
    table: taxonomy.Taxonomy, clip: archive.Clip, encoded: video.EncodedClip, start: float, end: float
) -> dict:
    """The features that every clip has."""
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
        "start": start,
        "end": end,
        "camera_moving": row.camera_moving,
        "num_people": row.num_people,
    }


def _read_side(side: str, root: str, path: str, encoded: video.EncodedClip) -> dict:
    """The features of one of the files beside a clip."""
    if side == "flow":
        size = video.jpeg_size(encoded.frames[0])
        read = lambda name: archive.read_bytes(root, f"{path}/{name}")  # noqa: E731
        names = archive.list_folder(root, path)
        flow_x, flow_y = flow.read_images(names, read, len(encoded.frames) - 1, size, video.encode_jpeg)
        return {"flow_x": flow_x, "flow_y": flow_y}
    feature, parse = _PARSERS[side]
    return {feature: parse(archive.read_bytes(root, path), len(encoded.frames), encoded.size)}


def all_failures(clips: Sequence[archive.Clip], to_example, progress) -> archive.ArchiveError:
    """Decodes clips only to find out which of them fail."""
    problems = []
    for _, result in parallel.ordered_map(functools.partial(_failure_only, to_example), clips):
        problems += result.problems if result else ()
        progress.update()
    return archive.ArchiveError(str(epath.Path(clips[0].root)), problems)


def _failure_only(to_example, clip) -> Failure | None:
    result = to_example(clip)
    return result if isinstance(result, Failure) else None
