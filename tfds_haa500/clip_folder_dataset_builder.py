"""Any folder of videos as a TFDS dataset with HAA500's features (`haa500_dataset_builder.py` has their meaning).

What a folder of videos does not say is filled so that training works unchanged: every class is its own `composite`,
the one `area` is "all", and each clip has camera_moving False and num_people 0, which stand for "not known". `start`
and `end` are 0 and the clip's length, or its place in the source where a list cuts clips from longer videos.
"""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from tfds_haa500 import records, taxonomy
from tfds_haa500.runtime import parallel
from tfds_haa500.runtime.build_lock import OneBuild
from tfds_haa500.sources import clip_folder, cut
from tfds_haa500.streams import flow, pose, video

STREAMS = ("flow", "pose")
AREA = "all"
_DESCRIPTION = "Clips of a folder of videos: JPEG frames with a short side of at most 256, labels and side streams."


@dataclasses.dataclass
class ClipFolderConfig(tfds.core.BuilderConfig):
    """What goes into a dataset.

    Attributes:
      folder: the folder of videos (see `clip_folder.py` for the layouts).
      split_list: UCF101's, HMDB51's or ActivityNet's lists where there are no split folders (see `split_lists.py`).
      split_number: which of the lists' splits; None where there is one.
      streams: what goes in beside the RGB frames: "flow", "pose" or both.
      flow_method: how flow is computed (see `flow.py`).
    """

    folder: str = ""
    split_list: str = ""
    split_number: int | None = None
    streams: tuple[str, ...] = ()
    flow_method: str = "dis"

    def __post_init__(self):
        """Raises ValueError on an unknown or repeated stream, FlowError on a method that is not there."""
        if not set(self.streams) <= set(STREAMS) or len(set(self.streams)) != len(self.streams):
            raise ValueError(f"streams={','.join(self.streams)!r}, must be {' and '.join(STREAMS)}, each at most once")
        flow.check_method(self.flow_method)


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why one clip cannot be packaged, each as `path: reason`."""

    problems: tuple[str, ...]


class Builder(OneBuild, tfds.core.GeneratorBasedBuilder):
    """DatasetBuilder for a folder of videos (registered as `clip_folder`).

    Its configs are the user's own: `Builder(config=ClipFolderConfig(name=NAME, folder=DIR))` builds what
    `tfds.load("clip_folder/NAME")` loads.

    Raises (when built):
      clip_folder.FolderError: lists every fault of the folder, its lists and its files.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "The features of haa500 1.1.0."}

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        if not isinstance(config, ClipFolderConfig):
            raise ValueError("clip_folder has no configs of its own; build one: python -m tfds_haa500.build_folder -h")
        table = _taxonomy(self._clips)
        image = tfds.features.Image(shape=(None, None, 3), dtype=np.uint8, encoding_format="jpeg")
        features = {
            "clip_id": tfds.features.Text(doc="<split>/<class>/<the file's name>, and _<number> of a part of a file"),
            "video": tfds.features.Sequence(image, doc="(T, H, W, 3) uint8 RGB"),
            "label": tfds.features.ClassLabel(names=table.names),
            "composite": tfds.features.ClassLabel(names=table.composite_names, doc="the class"),
            "area": tfds.features.ClassLabel(names=table.area_names, doc="one for all"),
            "fps": tfds.features.Scalar(np.float32, doc="native frames per second"),
            "youtube_url": tfds.features.Text(doc="where the video is from, if a list says so"),
            "start": tfds.features.Scalar(np.float32, doc="seconds into the file"),
            "end": tfds.features.Scalar(np.float32, doc="seconds into the file"),
            "camera_moving": tfds.features.Scalar(np.bool_, doc="False: not known"),
            "num_people": tfds.features.Scalar(np.int32, doc="0: not known"),
        }
        metadata = {"taxonomy": table.to_csv(), "streams": list(config.streams)}
        if "flow" in config.streams:
            field = tfds.features.Image(shape=(None, None, 1), dtype=np.uint8, encoding_format="jpeg")
            for name, way in (("flow_x", "right"), ("flow_y", "down")):
                doc = f"(T - 1, H, W, 1) motion to the {way}: {flow.DECODE}"
                features[name] = tfds.features.Sequence(field, doc=doc)
            metadata["flow"] = {"method": config.flow_method, "bound": flow.BOUND, "decode": flow.DECODE}
        if "pose" in config.streams:
            shape = (None, pose.PEOPLE, len(pose.JOINTS), 3)
            doc = "x / width, y / height, score"
            features["pose"] = tfds.features.Tensor(shape=shape, dtype=np.float32, doc=doc)
            metadata["pose"] = {"joints": list(pose.JOINTS), "people": pose.PEOPLE}
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("video", "label"),
            metadata=tfds.core.MetadataDict(metadata),
        )

    @functools.cached_property
    def _clips(self) -> list[clip_folder.Clip]:
        config = self.builder_config
        poses = "pose" in config.streams
        return clip_folder.scan(config.folder, config.split_list, config.split_number, poses)

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        # As in haa500's builder: what is written in here is there whenever the dataset is.
        with contextlib.ExitStack() as self._resources:
            super()._download_and_prepare(dl_manager, download_config)
        if self.info.file_format.value == "tfrecord" and self.info.splits:
            records.write_index(self.data_path, self)

    def _split_generators(self, dl_manager):
        progress = parallel.progress_bar(len(self._clips), "packaging")
        self._resources.enter_context(progress)
        splits = {split: list(group) for split, group in itertools.groupby(self._clips, lambda clip: clip.split)}
        return {split: self._generate_examples(split, splits, progress) for split in splits}

    def _generate_examples(self, split: str, splits: dict, progress) -> Iterator[tuple[str, dict]]:
        """Examples of one split; on the first bad clip, looks for all others and raises instead."""
        config = self.builder_config
        names = clip_folder.class_names(self._clips)
        method = config.flow_method if "flow" in config.streams else ""
        results = parallel.ordered_map(functools.partial(make_example, names, method), splits[split])
        for number, (clip, result) in enumerate(results):
            if isinstance(result, Failure):
                later = itertools.dropwhile(lambda name: name != split, splits)
                rest = list(itertools.chain.from_iterable(splits[name] for name in later))[number:]
                # "dis" is the faster flow, and fails on the same clips.
                to_example = functools.partial(make_example, names, "dis" if method else "")
                raise _all_failures(rest, to_example, progress)
            progress.update()
            yield clip.clip_id, result


def make_example(names: list[str], flow_method: str, clip: clip_folder.Clip) -> dict | Failure:
    """Decodes one clip into an example of the dataset's features (runs in worker processes)."""
    file = epath.Path(clip.root) / clip.path
    place = clip.path + (" from {:g} to {:g} s".format(*clip.segment) if clip.segment else "")
    try:
        if clip.segment:
            encoded = cut.encode_segment(file, *clip.segment, flow_method=flow_method)
        else:
            encoded = video.encode_clip(file.read_bytes(), flow_method=flow_method)
    except (video.VideoError, flow.FlowError, OSError) as error:
        return Failure((f"{place}: {error}",))
    streams = {"flow_x": encoded.flow_x, "flow_y": encoded.flow_y} if flow_method else {}
    if clip.pose:
        try:
            data = (epath.Path(clip.root) / clip.pose).read_bytes()
            streams["pose"] = pose.parse(data, len(encoded.frames), encoded.size)
        except pose.PoseError as error:
            return Failure(tuple(f"{clip.pose}: {problem}" for problem in error.problems))
        except OSError as error:
            return Failure((f"{clip.pose}: {error}",))
    label = names.index(clip.class_name)
    start, end = clip.segment or (0.0, len(encoded.frames) / encoded.fps)
    return {
        "clip_id": clip.clip_id,
        "video": encoded.frames,
        "label": label,
        "composite": label,  # the composites are the classes, in the same order
        "area": 0,
        "fps": encoded.fps,
        "youtube_url": clip.url,
        "start": start,
        "end": end,
        "camera_moving": False,
        "num_people": 0,
        **streams,
    }


def _taxonomy(clips: list[clip_folder.Clip]) -> taxonomy.Taxonomy:
    names = tuple(clip_folder.class_names(clips))
    return taxonomy.Taxonomy(names, (AREA,) * len(names), names, ("folder",) * len(names))


def _all_failures(clips, to_example, progress) -> clip_folder.FolderError:
    """Decodes clips only to find out which of them fail."""
    problems = []
    for _, result in parallel.ordered_map(functools.partial(_failure_only, to_example), clips):
        problems += result.problems if result else ()
        progress.update()
    return clip_folder.FolderError(clips[0].root, problems)


def _failure_only(to_example, clip) -> Failure | None:
    result = to_example(clip)
    return result if isinstance(result, Failure) else None
