"""HAA500 as a TFDS dataset: the release on disk -> JPEG frames, flow, poses and metadata in TFRecords.

`features.py` and the modules of `streams/` define what an example holds. The dataset's metadata hold the class table
(`taxonomy`), the streams, how flow was computed and is decoded (`flow`), and the names of joints and object groups.
"""

import dataclasses
import functools
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import ClassVar

import tensorflow_datasets as tfds

from tfds_haa500 import features, packaging, taxonomy
from tfds_haa500.runtime import bucket
from tfds_haa500.sources import archive, clip_folder, relaxed
from tfds_haa500.sources.clips import Annotation, Clip
from tfds_haa500.streams import STREAMS, flow

_INSTRUCTIONS = f"""\
HAA500 cannot be downloaded automatically. Its authors announce the release at
https://github.com/a6o/HAA500 (take v1.1, raw + video). Put it, unpacked or as the zip file it comes in, into
one folder and name that folder: `python -m tfds_haa500.build --manual_dir=DIR`. DIR must hold

    DIR/{archive.RELEASE}.zip
or
    DIR/raw/ALS_IceBucket_Challenge.txt                            (500 files, one per class)
    DIR/video/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.mp4
    DIR/video/ALS_IceBucket_Challenge/...                          (20 clips a class, _000 to _019)
(DIR/{archive.RELEASE}/raw and DIR/{archive.RELEASE}/video are found too).

The release has neither poses nor boxes nor objects. For configs and streams with them, put them next to it, one file a
clip (their formats are in the README of tfds_haa500):

    DIR/pose/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.json       AlphaPose's results
    DIR/boxes/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.csv       the person of interest
    DIR/objects/ALS_IceBucket_Challenge/ALS_IceBucket_Challenge_000.json    COCO detections

The config `relaxed` needs raw/ and the videos that the clips were cut from, DIR/youtube/<id>.mp4 (mkv, webm, avi, mov).
"""
RELAXED = 4400 / 591  # times as long: by so much the frames grow in the paper's Table 12
FLOW_METHODS = (*flow.METHODS, flow.IMAGES)
_DOCS = {
    "clip_id": "<class>_<number>, the file's name in the release",
    "youtube_url": "where the clip was cut from",
    "start": "seconds into the source video",
    "end": "seconds into the source video",
    "num_people": "number of dominant figures",
}


@dataclasses.dataclass
class Haa500Config(features.ClipConfig):
    """What goes into a dataset.

    Attributes:
      streams, flow_method: see `features.ClipConfig`.
      classes: names of the classes to package; all by default. Label ids stay those of the whole table.
      class_table: path of a class table (see `taxonomy.py`); the table of the 500 by default.
      context_seconds, context_factor: clips are cut longer, from the videos in youtube/: by so many seconds on both
        sides, or to so many times their length (see `relaxed.py`). They have no other streams then.
      generated: True for the demo, whose clips are drawn and need no files.
    """

    classes: tuple[str, ...] = ()
    class_table: str = ""
    context_seconds: float | None = None
    context_factor: float | None = None
    generated: bool = False

    def __post_init__(self):
        """Raises ValueError for impossible streams or contexts, or a flow method that this OpenCV does not have."""
        super().__post_init__()
        if self.relaxed:
            relaxed.check_context(self.context_seconds, self.context_factor)
            if self.streams:
                raise ValueError(f"streams={','.join(self.streams)!r}: clips that are cut longer have none")
        own_choice = self.streams or self.classes or self.class_table or self.relaxed
        if self.multi_label and (own_choice or not self.generated):
            raise ValueError("multi_label: only generated clips of all classes, without streams, have several classes")

    @property
    def relaxed(self) -> bool:
        """Whether clips are cut longer than annotated."""
        return self.context_seconds is not None or self.context_factor is not None

    def read_taxonomy(self) -> taxonomy.Taxonomy:
        """The class table; raises TaxonomyError."""
        if self.multi_label:
            from tfds_haa500.demo import pairs

            return pairs.classes()
        default = taxonomy.DEMO_CSV if self.generated else taxonomy.HAA500_CSV
        return taxonomy.load(self.class_table or default)


class Builder(packaging.ClipBuilder):
    """DatasetBuilder for HAA500 (registered as `haa500`)."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {"1.1.0": "The v1.1 release of HAA500; JPEG frames with a short side of at most 256."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    BUILDER_CONFIGS: ClassVar = [
        Haa500Config(name="rgb", description="All 500 classes, RGB frames."),
        Haa500Config(name="flow", description="All 500 classes, RGB frames and flow.", streams=("flow",)),
        Haa500Config(name="pose", description="All 500 classes, RGB frames and poses.", streams=("pose",)),
        Haa500Config(name="full", description="All 500 classes, RGB frames and all streams.", streams=tuple(STREAMS)),
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
            streams=tuple(STREAMS),
            generated=True,
            version="1.3.0",
            release_notes={"1.2.0": "Flow and poses beside the frames.", "1.3.0": "Boxes and objects too."},
        ),
        Haa500Config(
            name="demo_pairs",
            description="Two people who act at once, one or two of six generated classes; needs no files.",
            multi_label=True,
            generated=True,
            version="1.0.0",
            release_notes={"1.0.0": "First version."},
        ),
    ]

    @functools.cached_property
    def taxonomy(self) -> taxonomy.Taxonomy:
        """The class table of the config."""
        return self.builder_config.read_taxonomy()

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        context = {"seconds": config.context_seconds, "factor": config.context_factor}
        others = {"context": context} if config.relaxed else {}
        return self.dataset_info_from_configs(
            features=features.example_features(self.taxonomy, config, _DOCS),
            supervised_keys=features.supervised_keys(config),
            homepage="https://www.cse.ust.hk/haa/",
            metadata=features.metadata(self.taxonomy, config, **others),
        )

    def find_clips(self, dl_manager) -> list[Clip]:
        """The clips of the release, by class and number."""
        config = self.builder_config
        if config.multi_label:
            return self._pairs()
        manual_dir = self._draw() if config.generated else dl_manager.manual_dir
        if config.relaxed:
            return relaxed.locate(manual_dir, archive.scan_annotations(manual_dir, self.taxonomy, config.classes))
        return archive.scan(manual_dir, self.taxonomy, config.classes, config.streams_from_files)

    def encoder(self) -> Callable:
        """Cuts clips with their surroundings if the config asks for it."""
        config = self.builder_config
        if not config.relaxed:
            return super().encoder()
        return functools.partial(relaxed.encode, seconds=config.context_seconds, factor=config.context_factor)

    def _pairs(self) -> list[Clip]:
        """The clips of two people."""
        from tfds_haa500.demo import pairs

        folder = pathlib.Path(self._temporary(), "pairs")
        pairs.write_folder(folder)
        clips = clip_folder.scan(folder / "videos", folder / "lists", table=self.taxonomy.names, multi_label=True)
        return [dataclasses.replace(clip, annotation=Annotation(num_people=2)) for clip in clips]

    def _temporary(self) -> str:
        """A folder that is removed when the build ends."""
        # In the folder of a local dataset that is being written: what a killed build leaves is deleted with it.
        parent = None if bucket.is_remote(self.data_path) else self.data_path
        return self._resources.enter_context(tempfile.TemporaryDirectory(dir=parent))

    def _draw(self) -> str:
        """A folder with the generated archive, which is removed when the build ends."""
        from tfds_haa500.demo import archive as demo

        folder = self._temporary()
        kinds = ("youtube",) if self.builder_config.relaxed else demo.BUILT
        demo.write_archive(os.path.join(folder, archive.RELEASE), classes=self.builder_config.classes, kinds=kinds)
        return os.path.join(folder, archive.RELEASE)
