"""The built dataset, opened for training: which clips each split has, and how to read them."""

import dataclasses
import hashlib
from collections.abc import Sequence

import jax
import numpy as np
import tensorflow_datasets as tfds
from etils import epath

import tfds_haa500  # noqa: F401  registers `haa500`
from haa_jax import streams
from haa_jax.data.labels import Head, classes_of
from haa_jax.errors import UserError
from haa_jax.runtime import paths
from tfds_haa500 import records, taxonomy


class DatasetError(UserError, ValueError):
    """A dataset that is missing or cannot be trained on; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Split:
    """The clips of one split that an experiment uses, with a class for each head.

    Attributes:
      reader: `reader[i]` is the stored example of clip i of `index`.
      labels: head name -> int32 (clips,), each a class of that head; or of sets, multi-hot int8 (clips, classes).
    """

    reader: records.ClipReader
    labels: dict[str, np.ndarray]

    @property
    def index(self) -> records.ClipIndex:
        return self.reader.index

    def __len__(self) -> int:
        return len(self.index)


def open_builder(name: str, data_dir: str = ""):
    """The TFDS builder of a dataset that has been built.

    Raises:
      DatasetError: it has not been built, or not as TFRecords; says how to build it.
      paths.PathError: `data_dir` is not a usable path.
    """
    data_dir = paths.expand(data_dir)
    command = _build_command(name, data_dir)
    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
        version = builder.info.version
    except Exception as error:  # TFDS and its parsers raise anything on a damaged file
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatasetError(
            f"data.dataset={name!r} is not a dataset, or not built ({why}); build it with\n  {command}"
        ) from error
    if not builder.info.splits:
        raise DatasetError(f"data.dataset={name!r} is not in {builder.data_dir}; build it with\n  {command}")
    folder = epath.Path(builder.data_dir).name
    if len({str(version), folder, str(builder.version)}) > 1 or _version_of(name) not in (None, version):
        raise DatasetError(
            f"{builder.data_dir} holds version {version}, its folder says {folder}, and this is version "
            f"{_version_of(name) or builder.version} of {name.partition('/')[0]}: build it with\n  {command}"
        )
    if builder.info.file_format.value != "tfrecord":
        found = builder.info.file_format.value
        raise DatasetError(
            f"{builder.data_dir} is stored as {found}, training reads tfrecord: build it elsewhere with\n  {command}"
        )
    return builder


def _build_command(name: str, data_dir: str = "", wanted: str = "") -> str:
    """The command that builds a dataset, or another one with the streams `wanted`."""
    family, _, config = name.partition("/")
    command = BUILD_COMMANDS.get(family, _unknown_command)("NAME" if wanted else config)
    options = {"--streams": wanted, "--name": "NAME" if wanted else "", "--data_dir": data_dir}
    given = [f"{option}={value}" for option, value in options.items() if value and f"{option}=" not in command]
    return " ".join([command, *given])


def _haa500_command(config: str) -> str:
    generated = config in ("demo", "demo_pairs", "demo_relaxed")
    by_name = generated or config in ("flow", "pose", "full", "relaxed")  # the builder's own, besides the default
    options = [f"--config={config}"] * by_name + ["--manual_dir=DIR"] * (not generated)
    return f"python -m tfds_haa500.build {' '.join(options)}"


def _clip_folder_command(config: str) -> str:
    return f"python -m tfds_haa500.build_folder --dir=DIR --name={config or 'NAME'}"


def _unknown_command(_) -> str:
    return f"the command of its builder; this project builds {', '.join(BUILD_COMMANDS)}"


# Name of a builder -> the command that builds one of its configurations, by name.
BUILD_COMMANDS = {"haa500": _haa500_command, "clip_folder": _clip_folder_command}


def _version_of(name: str):
    """The version that a builder would build today, for configurations that it does not list by name."""
    family, _, config = name.partition("/")
    builder = tfds.builder_cls(family)
    return None if config in builder.builder_configs else builder.VERSION


def check_stream(builder, data) -> None:
    """Raises DatasetError if a dataset lacks features that `config.data` needs; says how to build one that has them."""
    lacking = {name: stream for name, stream in streams.features(data).items() if name not in builder.info.features}
    if lacking:
        crop = f", config.data.person_crop={data.person_crop}" if data.person_crop else ""
        wanted = ",".join(dict.fromkeys(filter(None, lacking.values())))
        raise DatasetError(
            f"config.data.stream={data.stream!r}{crop} needs {', '.join(lacking)}, which {builder.info.full_name} "
            f"lacks; build one that has them, and name it in --config.data.dataset={builder.name}/NAME:\n"
            f"  {_build_command(builder.name, wanted=wanted)}"
        )


def check_same_classes(builder, other) -> None:
    """Raises DatasetError if two datasets differ in their class tables; says how."""
    ours, theirs = read_taxonomy(builder), read_taxonomy(other)
    # Where a table has its rows from may be worded otherwise by another version.
    if dataclasses.replace(ours, sources=theirs.sources) != theirs:
        rows = [set(zip(table.names, table.composites, table.areas, strict=True)) for table in (ours, theirs)]
        named = ", ".join("/".join(row) for row in sorted(rows[0] ^ rows[1])[:10])
        raise DatasetError(
            f"config.eval.dataset: {other.info.full_name} and {builder.info.full_name} have different classes; "
            f"class/composite/area in one of them only: {named or 'none, another order'}"
        )


def check_labels(builder, heads: Sequence[Head]) -> None:
    """Raises DatasetError if the clips of a dataset have one label each and the heads want several, or vice versa."""
    lacking = [head.feature for head in heads if head.feature not in builder.info.features]
    if lacking:
        several = records.LABELS in builder.info.features
        has, fits = ("several classes", "multi_label") if several else ("one class each", "atomic")
        raise DatasetError(
            f"config.objective needs the feature {lacking[0]!r}; the clips of {builder.info.full_name} have {has}: "
            f"set config.objective={fits}"
        )


def read_taxonomy(builder) -> taxonomy.Taxonomy:
    """The class table that the dataset was built with.

    Raises:
      DatasetError: the dataset has none.
      taxonomy.TaxonomyError: it is damaged.
    """
    if "taxonomy" not in (builder.info.metadata or {}):
        raise DatasetError(f"{builder.data_dir} has no class table in metadata.json: restore it, or build again")
    return taxonomy.parse(builder.info.metadata["taxonomy"], origin=f"{builder.data_dir} metadata")


def open_split(builder, split: str, heads: tuple[Head, ...], area: str = "") -> Split:
    """Opens one split, restricted to an area if one is named.

    Raises:
      DatasetError: there is no such split, or no clip is left.
      labels.LabelError: a label is not one of the head's classes.
      records.RecordError: a part of it is missing or of the wrong length.
    """
    if split not in builder.info.splits:
        found = ", ".join(builder.info.splits)
        raise DatasetError(f"{builder.info.full_name} has no {split} split, only {found}{_WITHOUT.get(split, '')}")
    index = _index(builder, split)
    if area and index.area is None:
        raise DatasetError(
            f"config.area={area!r}: the clips of {builder.info.full_name} have several classes, and no area"
        )
    if area:
        index = index.select(index.area == read_taxonomy(builder).area_names.index(area))
    if not len(index):
        raise DatasetError(f"{builder.info.full_name}: the {split} split has no clips of area={area!r}")
    labels = {head.name: classes_of(head, getattr(index, head.feature), index.clip_id) for head in heads}
    return Split(records.ClipReader(builder.data_path, builder.info.features, index), labels)


def _index(builder, split: str) -> records.ClipIndex:
    """All processes see the same bucket, and one of them checks it; each host checks its own disk."""
    if not paths.is_local(builder.data_path) and jax.process_index() > 0:
        return records.read_index(builder.data_path, split)
    return records.checked_index(builder, split)


_WITHOUT = {
    "validation": ": set config.eval.every_epochs=0 and config.eval.split=test",
    "test": ": set config.eval.split=validation",
}


def fingerprint(builder) -> str:
    """A short hash of a dataset's contents: clips, labels, frame counts and streams."""
    metadata = builder.info.metadata
    digest = hashlib.sha256(metadata["taxonomy"].encode())
    digest.update(repr([metadata.get(key) for key in ("streams", "flow", "pose")]).encode())
    for index in records.read_indexes(builder.data_path, sorted(builder.info.splits)).values():
        rows = zip(index.clip_id, index.labels or index.label.tolist(), index.num_frames.tolist(), strict=True)
        digest.update(repr(sorted(rows)).encode())
    return digest.hexdigest()[:16]
