"""Clips as a built data set stores them: frames, and flow, joints and boxes where it has them."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500 import records
from tfds_haa500.browsing import drawing, film, picks
from tfds_haa500.browsing.film import Film
from tfds_haa500.browsing.page import Card, Legend
from tfds_haa500.browsing.picks import BrowseError
from tfds_haa500.features import class_names
from tfds_haa500.streams import flow
from tfds_haa500.streams.objects import GROUPS

BASE = ("clip_id", "video", "label", "composite", "area", "labels", "fps", "youtube_url", "start", "end",
        "camera_moving", "num_people")  # features of every data set  # fmt: skip
DRAWN = ("flow_x", "flow_y", "pose", "person_box", "objects")
FLOW_LEGEND = [
    Legend(f"motion {name}", tuple(drawing.flow_colors(np.array([x, y], np.float64), 1.0).tolist()))
    for name, x, y in (("right", 1, 0), ("down", 0, 1), ("left", -1, 0), ("up", 0, -1))
]
PEOPLE_LEGEND = [
    Legend(label, color) for label, color in zip(("first person", "second"), drawing.PEOPLE_COLORS, strict=True)
]
GROUPS_LEGEND = [Legend(label, color) for label, color in zip(GROUPS, drawing.GROUP_COLORS, strict=True)]


def open_dataset(name: str, data_dir: str | None):
    """The TFDS builder of a data set that has been built as TFRecords. Raises BrowseError."""
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # TFDS and its parsers raise anything on a damaged file
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BrowseError(
            f"{name!r} is not a data set, or not built in {data_dir or 'the default folder'}: {why}"
        ) from error
    if not builder.info.splits:
        raise BrowseError(f"{name!r} is not built: {builder.data_dir} is missing")
    if builder.info.file_format.value != "tfrecord":
        found = builder.info.file_format.value
        raise BrowseError(f"{builder.data_dir} is stored as {found}, and only tfrecord can be read at random")
    return builder


def open_splits(builder, names: Sequence[str], classes: Sequence[str], area: str) -> dict[str, records.ClipReader]:
    """Readers of the clips of some splits, all by default, that are of some classes or of an area.

    Raises:
      BrowseError: a name that the data set does not have, or no clip is left.
      records.RecordError: shards are missing or of the wrong length.
    """
    for name in names:
        if name not in builder.info.splits:
            raise BrowseError(f"{builder.info.full_name} has no split {name!r}, only {', '.join(builder.info.splits)}")
    features = builder.info.features
    readers = {}
    for name in names or builder.info.splits:
        index = records.checked_index(builder, name)
        keep = picks.selected(index, *names_of(features), classes, area)
        chosen = index.select(np.isin(np.arange(len(index)), keep))
        readers[name] = records.ClipReader(builder.data_path, features, chosen)
    if not any(map(len, readers.values())):
        raise BrowseError(f"{builder.info.full_name}: no clip of these classes is of area={area!r} and in these splits")
    return readers


def spread(readers: dict[str, records.ClipReader], most: int, seed: int) -> list[tuple[str, int]]:
    """At most `most` clips of some splits, as (split, number), by class: as many of each class as possible."""
    every = [(split, number) for split, reader in readers.items() for number in range(len(reader))]
    labels = np.concatenate([reader.index.first_class for reader in readers.values()])
    chosen = picks.spread(labels, most, seed)
    return [every[i] for i in chosen[np.argsort(labels[chosen], kind="stable")]]


def cards(readers: dict[str, records.ClipReader], chosen: Sequence[tuple[str, int]], features) -> Iterator[Card]:
    """A card for each chosen clip."""
    for split, number in chosen:
        example = readers[split][number]
        seconds = len(example["video"]) / float(example["fps"])
        yield card(example, split, features, [("", films(example, seconds))])


def card(example: dict, split: str, features, rows) -> Card:
    """The card of a stored clip, with any rows of films."""
    height, width = cv2.imdecode(np.frombuffer(example["video"][0], np.uint8), cv2.IMREAD_GRAYSCALE).shape
    num_frames, fps = len(example["video"]), float(example["fps"])
    tags = {**_labels(example, features), "split": split}
    if people := int(example["num_people"]):  # 0 stands for "not known", of the camera too
        tags["camera"] = "moving camera" if example["camera_moving"] else "still camera"
        tags["people"] = f"{people} {'person' if people == 1 else 'people'}"
    facts = [
        f"{num_frames} frames, {num_frames / fps:.2f} s at {fps:g} fps",
        f"{width}x{height}",
        f"{sum(map(len, example['video'])) / 1e3:.0f} kB",
        f"{float(example['start']):.2f} to {float(example['end']):.2f} s of its source",
    ]
    return Card(example["clip_id"].decode(), tags, facts, rows, example["youtube_url"].decode())


def names_of(features) -> tuple[list[str], list[str]]:
    """The names of the classes and of the areas; none of these where clips have several classes."""
    return class_names(features), features["area"].names if "area" in features else []


def _labels(example: dict, features) -> dict[str, str | list[str]]:
    """The class, composite and area of a clip, as far as the data set tells them apart; or its classes."""
    if records.LABELS in example:
        return {"class": [class_names(features)[i] for i in example[records.LABELS]]}
    names = {key: features[key].int2str(int(example[key])) for key in records.CLASSES}
    tags = {"class": names["label"]}
    if features["composite"].names != features["label"].names:
        tags["composite"] = names["composite"]
    if features["area"].num_classes > 1:
        tags["area"] = names["area"]
    return tags


def films(example: dict, seconds: float) -> list[Film]:
    """One film for the frames and for each kind of stream that the clip has."""
    shown = film.chosen(len(example["video"]))
    pictures = [film.shrunk(_decoded(example["video"][i])) for i in shown]
    found = [film.make("frames", pictures, seconds)]
    if "flow_x" in example:
        fields = np.minimum(shown, len(example["flow_x"]) - 1)  # one field fewer than frames
        found.append(_flow_film(example, fields, seconds))
    if "pose" in example:
        found.append(film.make("joints", list(map(_with_people, pictures, example["pose"][shown])), seconds))
    if "person_box" in example or "objects" in example:
        captions = {"person_box": "person", "objects": "objects"}
        caption = " and ".join(text for name, text in captions.items() if name in example)
        boxed = [_with_boxes(picture, example, i) for picture, i in zip(pictures, shown, strict=True)]
        found.append(film.make(caption, boxed, seconds))
    return found


def legend(features) -> list[Legend]:
    """What the colors stand for, of the streams that a data set has."""
    entries = FLOW_LEGEND if "flow_x" in features else []
    entries = entries + (PEOPLE_LEGEND if "pose" in features else [])
    entries = entries + ([Legend("person", drawing.PERSON_COLOR)] if "person_box" in features else [])
    return entries + (GROUPS_LEGEND if "objects" in features else [])


def not_drawn(features) -> list[str]:
    """The features that a page does not show, such as those of streams added to this package."""
    return [name for name in features if name not in (*BASE, *DRAWN)]


def _flow_film(example: dict, fields: np.ndarray, seconds: float) -> Film:
    axes = [[film.shrunk(_decoded(example[name][i], gray=True)) for i in fields] for name in ("flow_x", "flow_y")]
    pixels = flow.to_pixels(np.stack(axes, axis=-1))
    most = drawing.full_length(pixels)
    return film.make(f"flow, full color at {most:.1f} px", list(drawing.flow_colors(pixels, most)), seconds)


def _with_people(picture: np.ndarray, people: np.ndarray) -> np.ndarray:
    """A faded picture with people (people, 17, 3), x and y in 0..1 of it."""
    drawn = drawing.faded(picture)
    drawing.draw_people(drawn, people * (*picture.shape[1::-1], 1))
    return drawn


def _with_boxes(picture: np.ndarray, example: dict, frame: int) -> np.ndarray:
    """A faded picture with the boxes of the person and of the objects in a frame."""
    drawn = drawing.faded(picture)
    for row in example.get("objects", np.empty((0, 7))):
        if row[0] == frame:
            drawing.draw_box(drawn, row[2:6], drawing.GROUP_COLORS[int(row[1])])
    if "person_box" in example:
        drawing.draw_box(drawn, example["person_box"][frame], drawing.PERSON_COLOR)
    return drawn


def _decoded(jpeg: bytes, *, gray: bool = False) -> np.ndarray:
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
