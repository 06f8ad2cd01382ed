"""Small stored clips whose pictures identify frame, place and joint, and helpers that write their views."""

import functools

import cv2
import numpy as np

from haa_jax.configs import base
from haa_jax.data.views import ClipViews, empty_clips, row, train_clip

SIZE = (40, 60)  # height, width


def encode(picture) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


@functools.cache
def numbered_example(frames):
    """Frame t is gray and of level 8 t; field t has x of level 8 t and y of level 8 t + 4; pose t has x = t / 64."""
    video = [encode(np.full((*SIZE, 3), 8 * t, np.uint8)) for t in range(frames)]
    flow_x = [encode(np.full(SIZE, 8 * t, np.uint8)) for t in range(frames - 1)]
    flow_y = [encode(np.full(SIZE, 8 * t + 4, np.uint8)) for t in range(frames - 1)]
    pose = np.zeros((frames, 2, 17, 3), np.float32)
    pose[..., 0] = np.arange(frames)[:, None, None] / 64
    pose[..., 1] = np.array([0.25, 0.75])[:, None]  # which of the two people
    pose[..., 2] = 0.5
    return {"video": video, "flow_x": flow_x, "flow_y": flow_y, "pose": pose}


@functools.cache
def textured_example(frames=6, size=SIZE):
    """Pictures of which no two places are alike, and people with joints anywhere."""
    rng = np.random.default_rng(0)

    def texture(*channels):
        return cv2.resize(rng.integers(0, 256, (size[0] // 4, size[1] // 4, *channels), np.uint8), size[::-1])

    pose = rng.uniform(0.05, 1, (frames, 2, 17, 3)).astype(np.float32)
    pose[:, :, 4] = 0  # an ear that is not detected
    return {
        "video": [encode(texture(3)) for _ in range(frames)],
        "flow_x": [encode(texture()) for _ in range(frames - 1)],
        "flow_y": [encode(texture()) for _ in range(frames - 1)],
        "pose": pose,
    }


@functools.cache
def dotted_example(size):
    """17 frames; frame t shows a bright dot at joint t's place, and the pose has all joints in every frame."""
    height, width = size
    rng = np.random.default_rng(1)
    person = np.stack([rng.uniform(0.1, 0.9, 17), rng.uniform(0.1, 0.9, 17), np.linspace(0.1, 0.9, 17)], axis=-1)
    pose = np.broadcast_to(person.astype(np.float32), (17, 2, 17, 3))
    down, across = np.mgrid[:height, :width] + 0.5
    dots = [255 * np.exp(-((across - x * width) ** 2 + (down - y * height) ** 2) / 8) for x, y, _ in person]
    gray = [encode(np.round(dot).astype(np.uint8)) for dot in dots]
    return {"video": gray, "flow_x": gray, "flow_y": gray, "pose": pose}


def dot_center(picture):
    """(x, y) in pixels of the only dot of a picture, or None if it is not entirely inside."""
    level = np.where(picture < 12, 0.0, picture)  # below are JPEG artifacts
    if level.max() < 100 or level[[0, -1]].any() or level[:, [0, -1]].any():
        return None
    pixels = np.arange(len(level)) + 0.5
    return np.array([level.sum(0) @ pixels, level.sum(1) @ pixels]) / level.sum()


def settings(stream="rgb", **fields):
    data = base.get_config().data
    data.stream = stream
    data.frames, data.resize, data.crop = 4, 36, 32
    data.temporal_padding = "zero" if stream == "skeleton" else "loop"
    data.update(fields)
    return data


def train(example, data, seed=0):
    out = filled(empty_clips(data))
    train_clip(example, data, np.random.default_rng(seed), out)
    return out if "+" in data.stream else out[data.stream]


def views_at_test(example, data, windows=1, crops=1):
    out = filled(empty_clips(data, windows * crops))
    views = ClipViews(lambda: example, data, windows, crops)
    for view in range(windows * crops):
        views.write(view, row(out, view))
    return out if "+" in data.stream else out[data.stream]


def filled(clips):
    """Fills clips with a level that shows what was not written."""
    for array in clips.values():
        array[...] = 77
    return clips


def frames_of(clip, stream):
    """Which frames of a numbered example a clip shows, or fields; frames past the end are -1."""
    if stream == "skeleton":
        seen = clip[..., 2].any((0, 2))
        return np.where(seen, np.round((clip[0, :, 0, 0] + 0.5) * 64), -1).astype(int).tolist()
    if stream == "pose":
        return np.round(clip[:, 0, 0]).astype(int).tolist()  # of crops of 64 pixels
    levels = clip.reshape(len(clip), -1, clip.shape[-1]).astype(float)[..., 0]
    assert (np.ptp(levels, axis=1) <= 2).all()
    return np.round(levels.mean(1) / 8).astype(int).tolist()
