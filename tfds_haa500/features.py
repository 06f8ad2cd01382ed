"""What an example holds, and what the metadata of a dataset tell its readers: the same for every builder.

Every example has T frames (`video`) of the stored size, whose short side is at most 256 pixels, its class or classes,
and what is known of the clip. The features of streams are defined by their modules in `streams/`.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500 import streams
from tfds_haa500.streams import flow
from tfds_haa500.taxonomy import Taxonomy


@dataclasses.dataclass
class ClipConfig(tfds.core.BuilderConfig):
    """What every dataset of clips can be asked for.

    Attributes:
      streams: what is stored besides the RGB frames, any of `streams.STREAMS`.
      flow_method: how flow is computed: "dis", or "tvl1", about a hundred times slower; or "images" to read the user's
        own flow (see `streams/flow.py` and `streams/flow_images.py`).
      multi_label: whether clips have several classes (`Clip.labels`). They are stored as `labels`, in place of `label`,
        `composite` and `area`, which hold one each; those of every class are in the class table.
    """

    streams: tuple[str, ...] = ()
    flow_method: str = "dis"
    multi_label: bool = False

    def __post_init__(self):
        """Raises ValueError for an unknown or repeated stream, or a method that this OpenCV does not have."""
        streams.check_names(self.streams)
        if self.flow_method != flow.IMAGES:
            flow.check_method(self.flow_method)

    @property
    def methods(self) -> dict[str, str]:
        """The streams in the order of `streams.STREAMS`, each with the method that computes it; "" to read it."""
        chosen = {"flow": self.flow_method}
        return {
            name: chosen.get(name, next(iter(module.METHODS), ""))
            for name, module in streams.STREAMS.items()
            if name in self.streams
        }

    @property
    def streams_from_files(self) -> list[str]:
        """The streams of which every clip must have its own file."""
        return [name for name, method in self.methods.items() if not streams.is_computed(name, method)]


def example_features(table: Taxonomy, config: ClipConfig, docs: Mapping[str, str]) -> tfds.features.FeaturesDict:
    """The features of every example.

    Args:
      table: the classes.
      config: which streams there are.
      docs: descriptions of features, by name: how this data set fills what not every source of clips has.
    """
    image = tfds.features.Image(shape=(None, None, 3), dtype=np.uint8, encoding_format="jpeg")

    def doc(name: str) -> dict[str, str]:
        return {"doc": docs[name]} if name in docs else {}

    features = {
        "clip_id": tfds.features.Text(**doc("clip_id")),
        # A sequence of images rather than features.Video: the same records, but readable without TensorFlow.
        "video": tfds.features.Sequence(image, doc="(T, H, W, 3) uint8 RGB"),
        **_classes(table, config.multi_label, doc),
        "fps": tfds.features.Scalar(np.float32, doc="native frames per second"),
        "youtube_url": tfds.features.Text(**doc("youtube_url")),
        "start": tfds.features.Scalar(np.float32, **doc("start")),
        "end": tfds.features.Scalar(np.float32, **doc("end")),
        "camera_moving": tfds.features.Scalar(np.bool_, **doc("camera_moving")),
        "num_people": tfds.features.Scalar(np.int32, **doc("num_people")),
    }
    for name in config.methods:
        features |= streams.STREAMS[name].features()
    return tfds.features.FeaturesDict(features)


def _classes(table: Taxonomy, multi_label: bool, doc: Callable[[str], dict]) -> dict:
    """The features of a clip's class or classes."""
    label = tfds.features.ClassLabel(names=table.names)
    if multi_label:
        return {"labels": tfds.features.Sequence(label, doc="all its classes, one or more, in the order of their ids")}
    return {
        "label": label,
        "composite": tfds.features.ClassLabel(names=table.composite_names, **doc("composite")),
        "area": tfds.features.ClassLabel(names=table.area_names, **doc("area")),
    }


def class_names(features: Mapping) -> list[str]:
    """The names of the classes by id, from the features of a data set."""
    return features["labels"].feature.names if "labels" in features else features["label"].names


def supervised_keys(config: ClipConfig) -> tuple[str, str]:
    """The input and the target of `tfds.load(as_supervised=True)`."""
    return "video", "labels" if config.multi_label else "label"


def metadata(table: Taxonomy, config: ClipConfig, **others) -> tfds.core.MetadataDict:
    """The class table as CSV text (`taxonomy`), the names of the streams, what each of these has, and `others`."""
    found = {"taxonomy": table.to_csv(), "streams": list(config.streams)}
    for name, method in config.methods.items():
        if of_stream := streams.STREAMS[name].metadata(method):
            found[name] = of_stream
    return tfds.core.MetadataDict(found | others)
