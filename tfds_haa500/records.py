"""Random access to the clips of a built dataset, without TensorFlow.

TFRecord files can only be read from start to end, but training wants any clip at any time: an exact global
shuffle, many processes that share one order, and a restart that costs nothing. So the builder writes a small
table next to the shards, `clip_index.csv`: where each clip's record is, and what a sampler must know
before it reads one: its label, composite and area (or, in data sets whose clips have several, its labels), and its
number of frames.
"""

import csv
import dataclasses
import io
import os
import struct
from collections.abc import Iterable, Iterator

import google_crc32c
import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from tfds_haa500.runtime import bucket

INDEX_FILE = "clip_index.csv"
CLASSES = ("label", "composite", "area")
LABELS = "labels"  # in place of CLASSES where clips have several classes
# A TFRecord is: length (uint64), masked CRC of the length, data, masked CRC of the data (little endian).
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_BEYOND_THE_END = 416  # what the store answers if no byte of a range is there


class RecordError(OSError):
    """A shard that is missing, truncated or damaged; the message names it."""


@dataclasses.dataclass(frozen=True)
class ClipIndex:
    """One split of a built dataset: entry i of each field is clip i, in the order in which it is stored.

    Clips have either `label`, `composite` and `area`, or several classes in `labels`; the others are None.
    """

    shard: list[str]
    offset: np.ndarray  # int64, bytes from the start of the shard
    clip_id: list[str]
    label: np.ndarray | None  # int32, as the `label` feature
    composite: np.ndarray | None  # int32
    area: np.ndarray | None  # int32
    num_frames: np.ndarray  # int32
    labels: list[tuple[int, ...]] | None = None  # as the `labels` feature, in ascending order

    def __len__(self) -> int:
        return len(self.clip_id)

    def select(self, keep: np.ndarray) -> "ClipIndex":
        """The clips where the boolean array `keep` is true."""
        chosen = np.flatnonzero(keep)
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        there = {name: column for name, column in columns.items() if column is not None}
        kept = {n: c[chosen] if isinstance(c, np.ndarray) else [c[i] for i in chosen] for n, c in there.items()}
        return ClipIndex(**columns | kept)

    @property
    def first_class(self) -> np.ndarray:
        """The class of each clip, or the first of several: int32 (clips,)."""
        return self.label if self.labels is None else np.array([ids[0] for ids in self.labels], np.int32)

    def multi_hot(self, num_classes: int) -> np.ndarray:
        """Which clips are of which classes, one or several each: bool (clips, num_classes)."""
        found = np.zeros((len(self), num_classes), bool)
        for own, ids in zip(found, self.label[:, None] if self.labels is None else self.labels, strict=True):
            own[list(ids)] = True
        return found


class RawFrames(tfds.decode.SkipDecoding):
    """Passes a clip's JPEG frames (or flow) through undecoded, even when TFDS reads without TensorFlow."""

    def decode_batch_example(self, example):
        return example

    def decode_batch_example_np(self, example):
        return example


class ClipReader:
    """Reads the stored examples of a split in any order.

    Safe to share between threads, and between processes that are forked or that it is pickled for: each clip's file is
    opened anew. As a source of `len(reader)` and `reader[i]`, it is what PyTorch's DataLoader and grain take.

    Example i has the features of the builder as NumPy values, but each sequence of pictures as a list of JPEG byte
    strings: T for `video`, T - 1 for `flow_x` and `flow_y` if the dataset has them.
    """

    def __init__(self, data_path: epath.PathLike, features, index: ClipIndex):
        self._data_path = epath.Path(data_path)
        self._features = features
        self._decoders = raw_frames(features)
        self.index = index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> dict:
        """Raises RecordError if the shard is missing, truncated or damaged, or does not belong to the index."""
        path, offset = self._data_path / self.index.shard[i], int(self.index.offset[i])
        example = self._features.deserialize_example_np(read_record(path, offset), decoders=self._decoders)
        stored = (example["clip_id"].decode(), *_classes(example).values(), len(example["video"]))
        indexed = (self.index.clip_id[i], *self._indexed_classes(i), int(self.index.num_frames[i]))
        if stored != indexed:
            raise RecordError(
                f"{path} at byte {offset} holds {stored}, {INDEX_FILE} has {indexed}: they do not belong together"
            )
        return example

    def _indexed_classes(self, i: int) -> list:
        if self.index.labels is not None:
            return [self.index.labels[i]]
        return [int(getattr(self.index, key)[i]) for key in CLASSES]


def open_reader(builder, split: str) -> ClipReader:
    """A reader of a split of a TFDS builder whose data set was built as TFRecords. Errors as `checked_index`."""
    return ClipReader(builder.data_path, builder.info.features, checked_index(builder, split))


def read_record(path: epath.PathLike, offset: int) -> bytes:
    """The record that starts at `offset` bytes, checked against its checksums.

    Raises:
      RecordError: the message has the shard and what is wrong with it.
    """
    try:
        with _open(path) as file:
            file.seek(offset)
            return _read_one(file, path)
    except FileNotFoundError as error:
        raise RecordError(f"shard missing: {path}") from error


def iter_records(path: epath.PathLike) -> Iterator[tuple[int, bytes]]:
    """All records of a shard with their offsets, checked; errors as `read_record`."""
    with epath.Path(path).open("rb") as file:
        size = _size(file)
        file.seek(0)
        while (offset := file.tell()) < size:
            yield offset, _read_one(file, path)


def write_index(data_path: epath.PathLike, builder) -> None:
    """Writes `clip_index.csv` for all splits of a dataset that was just built in `data_path`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    classes = [key for key in (*CLASSES, LABELS) if key in builder.info.features]
    writer.writerow(["split", "shard", "offset", "clip_id", *classes, "num_frames"])
    decoders = raw_frames(builder.info.features)
    for split, info in builder.info.splits.items():
        for shard in sorted(path.name for path in info.filepaths):
            for offset, record in iter_records(epath.Path(data_path) / shard):
                example = builder.info.features.deserialize_example_np(record, decoders=decoders)
                facts = [_text(value) for value in _classes(example).values()]
                clip_id = example["clip_id"].decode()
                writer.writerow([split, shard, offset, clip_id, *facts, len(example["video"])])
    (epath.Path(data_path) / INDEX_FILE).write_text(out.getvalue())


def read_index(data_path: epath.PathLike, split: str) -> ClipIndex:
    """The clips of one split; errors as `read_indexes`."""
    return read_indexes(data_path, [split])[split]


def read_indexes(data_path: epath.PathLike, splits: Iterable[str]) -> dict[str, ClipIndex]:
    """The clips of each of several splits, for which the file is read once: in a bucket, that is a few requests.

    Raises:
      RecordError: the dataset has no index, or the index has no such split.
    """
    path = epath.Path(data_path) / INDEX_FILE
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing: build the dataset again with `python -m tfds_haa500.build`") from error
    rows = {split: [] for split in splits}
    for row in csv.DictReader(io.StringIO(text)):
        rows.get(row["split"], []).append(row)
    for split, found in rows.items():
        if not found:
            raise RecordError(f"{path} has no clips of split {split!r}")
    return {split: _index(found) for split, found in rows.items()}


def _index(rows: list[dict[str, str]]) -> ClipIndex:
    several = LABELS in rows[0]

    def column(name: str, dtype) -> np.ndarray | None:
        return None if several and name in CLASSES else np.array([int(row[name]) for row in rows], dtype)

    return ClipIndex(
        shard=[row["shard"] for row in rows],
        offset=column("offset", np.int64),
        clip_id=[row["clip_id"] for row in rows],
        label=column("label", np.int32),
        composite=column("composite", np.int32),
        area=column("area", np.int32),
        num_frames=column("num_frames", np.int32),
        labels=[tuple(map(int, row[LABELS].split())) for row in rows] if several else None,
    )


def checked_index(builder, split: str) -> ClipIndex:
    """The clips of one split, after a check that all of them are there, which reads a few bytes of each shard.

    Raises:
      RecordError: as `read_index`; or the index has another number of clips than the dataset, or shards are missing or
        of another length than when they were written; the message lists all of them.
    """
    index, expected = read_index(builder.data_path, split), builder.info.splits[split].num_examples
    if len(index) != expected:
        raise RecordError(f"{builder.data_path / INDEX_FILE} has {len(index)} clips of split {split!r}, not {expected}")
    last = {}
    for shard, offset in zip(index.shard, index.offset, strict=True):
        last[shard] = max(int(offset), last.get(shard, 0))
    problems = [_wrong_length(epath.Path(builder.data_path) / shard, offset) for shard, offset in last.items()]
    if any(problems):
        raise RecordError("\n".join(filter(None, problems)) + "\nRestore these files, or build the dataset again.")
    return index


def _size(file) -> int:
    file.seek(0, os.SEEK_END)
    return file.tell()  # not what `seek` returns: in a bucket that is None


class _Object(io.RawIOBase):
    """A file in a bucket whose every `read` is one request; as gcsfs opens it, it asks for more, and reads ahead."""

    def __init__(self, path: epath.PathLike):
        import fsspec  # what etils reads buckets with

        self._system, self._name = fsspec.core.url_to_fs(os.fspath(path))
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self._system.size(self._name) if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """At most `size` bytes; raises FileNotFoundError, or RecordError if gcsfs failed several times."""
        try:
            data = self._system.cat_file(self._name, self._position, self._position + size)
        except FileNotFoundError:
            raise
        except Exception as error:
            if getattr(error, "code", None) != _BEYOND_THE_END:
                raise RecordError(f"gs://{self._name} cannot be read: {error!r}") from error
            data = b""
        self._position += len(data)
        return data


def _open(path: epath.PathLike):
    """A shard, to read records in any order."""
    return _Object(path) if bucket.is_remote(path) else epath.Path(path).open("rb")


def _wrong_length(path: epath.Path, last_offset: int) -> str:
    """What is wrong with the length of a shard whose last record starts at `last_offset`; "" for nothing."""
    if not path.exists():
        return f"shard missing: {path}"
    with _open(path) as file:
        size = _size(file)
        file.seek(last_offset)
        header = file.read(_HEADER.size) if last_offset < size else b""
    if len(header) < _HEADER.size:
        return f"shard truncated: {path} has {size} bytes, its last record starts at {last_offset}"
    end = last_offset + _HEADER.size + _HEADER.unpack(header)[0] + _FOOTER.size
    return (
        "" if size == end else f"shard {'truncated' if size < end else 'damaged'}: {path} has {size} bytes, not {end}"
    )


def raw_frames(features) -> dict[str, RawFrames]:
    """Decoders for `features` that leave every picture of a sequence compressed."""
    sequences = {name: feature for name, feature in features.items() if isinstance(feature, tfds.features.Sequence)}
    return {name: RawFrames() for name, of in sequences.items() if isinstance(of.feature, tfds.features.Image)}


def _classes(example: dict) -> dict[str, int | tuple[int, ...]]:
    """The ids of a clip's class, or its classes, by feature."""
    if LABELS in example:
        return {LABELS: tuple(map(int, example[LABELS]))}
    return {key: int(example[key]) for key in CLASSES}


def _text(ids: int | tuple[int, ...]) -> str:
    """As the index has them: "7", or "3 7"."""
    return " ".join(map(str, ids)) if isinstance(ids, tuple) else str(ids)


def _read_one(file, path) -> bytes:
    """The record at the file's position."""
    start = file.tell()
    header = file.read(_HEADER.size)
    if len(header) == _HEADER.size:
        length, crc = _HEADER.unpack(header)
        if crc != _masked_crc(header[:8]):
            raise RecordError(f"shard damaged: {path} at byte {start} (the length fails its checksum)")
        body = file.read(length + _FOOTER.size)
        if len(body) == length + _FOOTER.size:
            data = body[:length]
            if _FOOTER.unpack(body[length:])[0] != _masked_crc(data):
                raise RecordError(f"shard damaged: {path} at byte {start} (the data fails its checksum)")
            return data
    raise RecordError(f"shard truncated: {path} ends inside the record at byte {start}")


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
