"""Clips of a video in NumPy alone: the frames, scaling and crops with which the exported network is evaluated.

    settings = load.description()["preprocessing"]
    batch = {"rgb": views(frames, fps, settings)}  # frames: uint8 RGB (frames, height, width, 3)
    logits = average(load.network()(batch)["atomic"], settings)

`sampling.py` is haa_jax's own. Pictures are scaled by linear interpolation in floating point; haa_jax uses OpenCV,
whose levels differ by 1 at most.
"""

import types

import numpy as np

from haa_jax.data import sampling

STREAMS = {"rgb": "frames", "flow": "fields"}  # whose clips are crops of pictures -> what `views` takes of a video


def views(video: np.ndarray, fps: float, preprocessing: dict) -> np.ndarray:
    """The views of a video that an evaluation averages: uint8 (windows * crops, frames, crop, crop, channels).

    Args:
      video: uint8. For "rgb", (frames, height, width, 3) in RGB order. For "flow", (fields, height, width, 2): x and y
        from each frame to the next as levels, of which 128 is no motion (see "inputs" in export.json).
      fps: frames per second of the video; used if "fps" is not 0.
      preprocessing: of export.json.

    Raises:
      ValueError: this network's clips are not plain crops of pictures; "inputs" in export.json tells what they hold.
    """
    data = types.SimpleNamespace(**preprocessing)
    if data.stream not in STREAMS or data.person_crop:
        raise ValueError(f"clips of {data.stream!r} (person_crop={data.person_crop}) are not plain crops of pictures")
    is_flow = data.stream == "flow"
    length = max(1, len(video) + 1 - data.flow_stack) if is_flow else len(video)
    out = []
    for positions in sampling.test_positions(length, fps, data, data.windows):
        if is_flow:  # a stack of fields from each position on, as channels x1 y1 x2 y2 ...
            fields = np.minimum(positions[:, None] + np.arange(data.flow_stack), len(video) - 1)
            pictures = np.concatenate(np.moveaxis(video[fields], 1, 0), axis=-1)
        else:
            pictures = video[positions]
        pictures = scaled(pictures, data.resize)
        for top, left, mirrored in corners(*pictures.shape[1:3], data.crop, data.crops):
            clip = pictures[:, top : top + data.crop, left : left + data.crop]
            out.append(mirror(clip, is_flow) if mirrored else clip)
    return np.stack(out)


def scaled(pictures: np.ndarray, short_side: int) -> np.ndarray:
    """Pictures (frames, height, width, channels) uint8 with their short side scaled to `short_side` pixels."""
    height, width = pictures.shape[1:3]
    scale = short_side / min(height, width)
    sizes = max(short_side, round(height * scale)), max(short_side, round(width * scale))
    if sizes == (height, width):
        return pictures
    for axis, size in enumerate(sizes, start=1):
        pictures = _interpolate(pictures, axis, size)
    return np.rint(pictures).astype(np.uint8)


def _interpolate(pictures: np.ndarray, axis: int, size: int) -> np.ndarray:
    old = pictures.shape[axis]
    places = ((np.arange(size) + 0.5) * old / size - 0.5).clip(0, old - 1)  # centers of the new pixels
    first = places.astype(np.int64)
    weight = np.expand_dims((places - first).astype(np.float32), [other for other in range(4) if other != axis])
    low, high = (pictures.take(index, axis).astype(np.float32) for index in (first, np.minimum(first + 1, old - 1)))
    return low + weight * (high - low)


def corners(height: int, width: int, crop: int, crops: int) -> list[tuple[int, int, bool]]:
    """(top, left, mirrored) of 1 crop (center), 3 (along the long side) or 10 (corners, center, and all mirrored)."""
    down, right = height - crop, width - crop
    if crops == 1:
        return [(down // 2, right // 2, False)]
    if crops == 3:
        top, left = -(-down // 2), -(-right // 2)
        tall = [(0, left, False), (top, left, False), (down, left, False)]
        return tall if height > width else [(top, 0, False), (top, left, False), (top, right, False)]
    down, right = down // 4, right // 4
    places = [(0, 0), (0, 4 * right), (4 * down, 0), (4 * down, 4 * right), (2 * down, 2 * right)]
    return [(*place, mirrored) for mirrored in (False, True) for place in places]


def mirror(clip: np.ndarray, is_flow: bool) -> np.ndarray:
    """A clip (frames, crop, crop, channels) from left to right."""
    clip = clip[:, :, ::-1].copy()
    if is_flow:
        clip[..., 0::2] = 255 - clip[..., 0::2]  # what moved right moves left
    return clip


def average(logits: np.ndarray, preprocessing: dict) -> np.ndarray:
    """The logits of a video from those of its views: (views, classes) to (classes,)."""
    logits = np.asarray(logits)
    if preprocessing["average"] == "logits":
        return logits.mean(0)
    if preprocessing["average"] == "sigmoid":
        yes, no = (np.logaddexp.reduce(-np.logaddexp(0, -each), axis=0) for each in (logits, -logits))
        return yes - no
    sums = np.logaddexp.reduce(logits, axis=1, keepdims=True)  # else of the views' softmaxes
    return np.logaddexp.reduce(logits - sums, axis=0) - np.log(len(logits)).astype(logits.dtype) + sums.mean()
