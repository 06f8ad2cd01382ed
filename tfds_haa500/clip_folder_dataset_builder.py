"""Any folder of videos as a TFDS dataset with HAA500's features (`features.py`).

What a folder of videos does not tell is filled so that training works unchanged: without a class table, every class is
its own `composite` and the one `area` is "all"; each clip has camera_moving False and num_people 0, which stand for
"not known". `start` and `end` are 0 and the clip's length, or its place in its video if a list cuts clips from longer
videos.
"""

import dataclasses
import functools
from typing import ClassVar

import tensorflow_datasets as tfds
from etils import epath

from tfds_haa500 import features, packaging, taxonomy
from tfds_haa500.sources import clip_folder
from tfds_haa500.sources.clips import Clip
from tfds_haa500.sources.random_split import RandomSplit

AREA = "all"
_DESCRIPTION = "Clips of a folder of videos: JPEG frames with a short side of at most 256, labels and side streams."
_DOCS = {
    "clip_id": "<split>/<class>/<the file's name>, and _<number> of a part of a file; or <split>/<path> of a list",
    "composite": "the class, or as the class table has it",
    "area": "one for all, or as the class table has it",
    "youtube_url": "where the video is from, if a list says so",
    "start": "seconds into the file",
    "end": "seconds into the file",
    "camera_moving": "False: not known",
    "num_people": "0: not known",
}


@dataclasses.dataclass
class ClipFolderConfig(features.ClipConfig):
    """What goes into a dataset.

    Attributes:
      streams, flow_method: see `features.ClipConfig`.
      folder: the folder of videos (see `clip_folder.py` for the layouts).
      split_list: UCF101's, HMDB51's or ActivityNet's lists (see `split_lists.py`), or a folder of lists of `path label`
        (see `path_lists.py`).
      split_number: which of the lists' splits; None if there is only one.
      random_split: how folders of classes are split; None for split folders and lists.
      class_table: path of a class table with the areas and composites of the classes (see `taxonomy.py`); "" for none.
    """

    folder: str = ""
    split_list: str = ""
    split_number: int | None = None
    random_split: RandomSplit | None = None
    class_table: str = ""

    @property
    def split_metadata(self) -> dict:
        """How the dataset was split."""
        if self.random_split:
            return self.random_split.metadata
        if self.split_list:
            return {"by": "lists", "lists": epath.Path(self.split_list).name, "number": self.split_number}
        return {"by": "folders"}


class Builder(packaging.ClipBuilder):
    """DatasetBuilder for a folder of videos (registered as `clip_folder`).

    Its configs are the user's own: `Builder(config=ClipFolderConfig(name=NAME, folder=DIR))` builds what
    `tfds.load("clip_folder/NAME")` loads.

    Raises:
      BuildError: lists everything that is wrong with the folder and its lists; when built, with its files.
      TaxonomyError: the config's class table is missing or damaged.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "The features of haa500 1.1.0."}

    @functools.cached_property
    def _class_table(self) -> taxonomy.Taxonomy | None:
        path = self.builder_config.class_table
        return taxonomy.load(path) if path else None

    @functools.cached_property
    def taxonomy(self) -> taxonomy.Taxonomy:
        """The classes of the folder in `sorted()` order."""
        names = tuple(clip_folder.class_names(self._clips))
        return self._class_table or taxonomy.Taxonomy(names, (AREA,) * len(names), names, ("folder",) * len(names))

    @functools.cached_property
    def _clips(self) -> list[Clip]:
        config = self.builder_config
        return clip_folder.scan(
            config.folder,
            config.split_list,
            config.split_number,
            config.streams_from_files,
            config.random_split,
            self._class_table.names if self._class_table else (),
            config.multi_label,
        )

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        if not isinstance(config, ClipFolderConfig):
            raise ValueError("clip_folder has no configs of its own; build one: python -m tfds_haa500.build_folder -h")
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features.example_features(self.taxonomy, config, _DOCS),
            supervised_keys=features.supervised_keys(config),
            metadata=features.metadata(self.taxonomy, config, split=config.split_metadata),
        )

    def find_clips(self, dl_manager) -> list[Clip]:
        """The clips of the folder, by class and name."""
        return self._clips
