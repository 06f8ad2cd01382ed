"""The files of one generated clip: video, pose, boxes, objects, the source video and flow, by kind."""

import csv
import io
import json
import pathlib
from collections.abc import Sequence

import av
import numpy as np
from etils import epath

from tfds_haa500.demo import clip as demo_clip
from tfds_haa500.streams import boxes, flow, video

# Every frame is coded by itself at a fixed quality: prediction from earlier frames would leave traces of the past in a
# frame, and so reveal the direction of time, which a single frame must not. Besides, x264 with prediction is not always
# reproducible to the byte, not even with one thread.
ENCODER = {"g": "1", "qp": "24", "preset": "fast", "threads": "1"}


def free_folder(out: epath.PathLike) -> pathlib.Path:
    """The absolute path of a folder to write to.

    Raises:
      FileExistsError: it is a file or a folder with something in it.
    """
    out = pathlib.Path(out).absolute()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not an empty folder: it is not overwritten")
    return out


def write_clip(root: str, clip: demo_clip.Clip, kinds: Sequence[str]) -> None:
    """Renders a clip and writes its files of each kind (of KINDS) into `root`/<kind>/."""
    frames = demo_clip.render(clip)
    for kind in kinds:
        for name, data in KINDS[kind](clip, frames).items():
            path = pathlib.Path(root, kind, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def encode_video(images: list[np.ndarray], fps: int) -> bytes:
    """An H.264 mp4 without sound: `images` are (h, w, 3) uint8 RGB of one size, both sides even."""
    file = io.BytesIO()
    # "bitexact" keeps the date and the library versions out of the file.
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=ENCODER)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def raw_line(clip: demo_clip.Clip) -> str:
    """The clip's line of raw/<class>.txt: url,start,end,is_camera_moving,num_of_dominant_figure."""
    url = f"https://www.youtube.com/watch?v={clip.source_id}"
    end = clip.start + clip.frames / clip.fps
    moving, figures = int(clip.pan.any()), 1 if clip.bystander is None else 2
    return f"{url},{clip.start:.4f},{end:.4f},{moving},{figures}\n"


def _video(clip, frames) -> dict[str, bytes]:
    return {f"{clip.name}/{clip.stem}.mp4": encode_video([frame.image for frame in frames], clip.fps)}


def _pose(clip, frames) -> dict[str, bytes]:
    return _detections(clip, [frame.people for frame in frames])


def _objects(clip, frames) -> dict[str, bytes]:
    return _detections(clip, [frame.objects for frame in frames])


def _detections(clip, found: list[list[dict]]) -> dict[str, bytes]:
    named = [{"image_id": f"{i}.jpg", **item} for i, items in enumerate(found) for item in items]
    return {f"{clip.name}/{clip.stem}.json": json.dumps(named).encode()}


def _boxes(clip, frames) -> dict[str, bytes]:
    rows = [boxes.COLUMNS, *((i, *frame.box) for i, frame in enumerate(frames))]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    return {f"{clip.name}/{clip.stem}.csv": table.getvalue().encode()}


def _source(clip, frames) -> dict[str, bytes]:
    """The longer video that the clip is a cut of, as if it came from YouTube."""
    before, after = demo_clip.render_around(clip)
    return {f"{clip.source_id}.mp4": encode_video([*before, *(frame.image for frame in frames), *after], clip.fps)}


def _flow(clip, frames) -> dict[str, bytes]:
    """The flow of the encoded video, in the files that dense_flow writes."""
    (data,) = _video(clip, frames).values()
    computation = flow.Computation("dis")
    video.encode_clip(data, on_frame=[computation])
    fields, folder = computation.features(), f"{clip.name}/{clip.stem}"
    return {f"{folder}/{axis}_{i:05d}.jpg": jpeg for axis in fields for i, jpeg in enumerate(fields[axis], 1)}


# Kind -> a function that returns the files of one clip, by their paths in the kind's folder.
KINDS = {"video": _video, "pose": _pose, "boxes": _boxes, "objects": _objects, "youtube": _source, "flow": _flow}
