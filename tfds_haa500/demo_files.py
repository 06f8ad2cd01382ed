"""The files of one generated clip: video, pose, main-person boxes and object detections."""

import csv
import io
import json
import pathlib

import av
import numpy as np

from tfds_haa500 import demo_clip

FOLDERS = ("video", "pose", "boxes", "objects")
# Every frame is coded by itself at a fixed quality: prediction from earlier frames would leave traces of the
# past in a frame, and so tell the direction of time that a single frame must not tell. x264 with prediction is
# also not repeatable to the byte, now and then, not even with one thread.
ENCODER = {"g": "1", "qp": "24", "preset": "fast", "threads": "1"}


def write_clip(root: str, clip: demo_clip.Clip) -> None:
    """Renders a clip and writes its files into `root`/<kind>/<class>/, which exist."""
    frames = demo_clip.render(clip)
    folders = {kind: pathlib.Path(root, kind, clip.name) for kind in FOLDERS}
    write_video(folders["video"] / f"{clip.stem}.mp4", [frame.image for frame in frames], clip.fps)
    for kind, items in (("pose", [f.people for f in frames]), ("objects", [f.objects for f in frames])):
        named = [{"image_id": f"{i}.jpg", **item} for i, found in enumerate(items) for item in found]
        _write_text(folders[kind] / f"{clip.stem}.json", json.dumps(named))
    rows = [("frame", "x", "y", "width", "height"), *((i, *frame.box) for i, frame in enumerate(frames))]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    _write_text(folders["boxes"] / f"{clip.stem}.csv", table.getvalue())


def write_video(path: pathlib.Path, images: list[np.ndarray], fps: int) -> None:
    """Writes an H.264 mp4 without sound: `images` are (h, w, 3) uint8 RGB of one size, both sides even."""
    # "bitexact" keeps the date and the library versions out of the file.
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=ENCODER)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def raw_line(clip: demo_clip.Clip) -> str:
    """The clip's line of raw/<class>.txt: url,start,end,is_camera_moving,num_of_dominant_figure."""
    end = clip.start + clip.frames / clip.fps
    moving, figures = int(clip.pan.any()), 1 if clip.bystander is None else 2
    return f"https://www.youtube.com/watch?v=generated,{clip.start:.2f},{end:.4f},{moving},{figures}\n"


def _write_text(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
