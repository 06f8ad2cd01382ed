"""Thumbnails of clips from the built dataset: each a strip of a few frames side by side, as one small JPEG."""

import base64
import dataclasses
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from haa_jax.errors import user_errors
from haa_jax.reporting.runs import Run
from haa_jax.streams import images
from tfds_haa500 import records, taxonomy

FRAMES = 6
HEIGHT = 96  # pixels
WIDEST = 176  # pixels; wider frames lose their sides
QUALITY = 60  # of the JPEG
MOST_CLIPS = 160
MOST_BYTES = 3_000_000  # of all strips in base64, so that a page stays below 5 MB


@dataclasses.dataclass(frozen=True)
class Source:
    """The clips of a built dataset's split, by id.

    Attributes:
      name: of the dataset, with its version.
      table: its class table.
      reader: of the split's stored clips.
      position: clip id -> place in the reader.
    """

    name: str
    table: taxonomy.Taxonomy
    reader: records.ClipReader
    position: dict[str, int]


def open_source(run: Run, name: str = "", data_dir: str = "") -> Source | str:
    """The dataset that a run was evaluated on, or the reason why there is none.

    Args:
      name: of the dataset, as `config.data.dataset`; "" for that of the run's config.
      data_dir: where it is; "" for that of the run's config.

    Raises:
      DatasetError, RecordError, TaxonomyError: what was named by an argument cannot be opened.
    """
    from haa_jax.data import dataset  # takes a second, and registers the builders

    given = bool(name or data_dir)
    config = run.meta.get("config", {})
    settings = config.get("data", {})
    name = name or config.get("eval", {}).get("dataset") or settings.get("dataset", "")
    if not name:
        return f"the dataset is not known, since {run.note or 'the config does not name it'}; name it by --dataset"
    try:
        builder = dataset.open_builder(name, data_dir or settings.get("data_dir", ""))
        index = records.checked_index(builder, run.split)
        table = dataset.read_taxonomy(builder)
    except user_errors() as error:
        if given:
            raise
        return f"{error}\nIf the dataset is elsewhere: --data_dir=DIR"
    reader = records.ClipReader(builder.data_path, builder.info.features, index)
    return Source(builder.info.full_name, table, reader, {clip: i for i, clip in enumerate(index.clip_id)})


def strips(source: Source, clip_ids: np.ndarray, wanted: Iterable[int]) -> tuple[dict[int, dict], list[str]]:
    """Thumbnails of the first of the wanted clips, as many as a page can hold.

    Args:
      clip_ids: of all clips of the report.
      wanted: positions of clips, the most important first; may repeat.

    Returns:
      Position -> {"uri": a data URI, "width", "height": of a frame in pixels, "frames": how many}, and a line for each
      clip that the dataset does not have or that cannot be read.
    """
    found, problems, size = {}, [], 0
    for clip in dict.fromkeys(wanted):
        clip_id = str(clip_ids[clip])
        if clip_id not in source.position:
            problems.append(f"{clip_id} is not in {source.name}")
            continue
        try:
            frames = source.reader[source.position[clip_id]]["video"]
        except records.RecordError as error:
            problems.append(f"{clip_id}: {error}")
            continue
        thumbnail = strip(frames)
        size += len(thumbnail["uri"])
        if len(found) == MOST_CLIPS or size > MOST_BYTES:
            break
        found[clip] = thumbnail
    return found, problems


def strip(frames: Sequence[bytes]) -> dict:
    """A thumbnail (see `strips`) of a clip's JPEGs, at even distances from the first to the last."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, FRAMES).round().astype(int))
    small = [_small(images.decode(frames[i])) for i in chosen]
    done, encoded = cv2.imencode(".jpg", np.hstack(small)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("OpenCV could not compress a thumbnail")
    uri = "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
    return {"uri": uri, "width": small[0].shape[1], "height": HEIGHT, "frames": len(small)}


def _small(image: np.ndarray) -> np.ndarray:
    """uint8 (height, width, 3) as (HEIGHT, at most WIDEST, 3)."""
    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    small = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    left = max(0, width - WIDEST) // 2
    return small[:, left : left + WIDEST]
