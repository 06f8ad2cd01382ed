"""Early fusion and crops around the person: what is drawn must be where the video shows it."""

import cv2
import numpy as np
import pytest

from haa_jax import streams
from haa_jax.configs import base
from haa_jax.data.views import ClipViews, empty_clips, row, train_clip

SIZE = (48, 80)  # height, width
FRAMES = 5


def example():
    """A bright square moves over a dark frame; a joint, an object and the person's box are where it is."""
    video, pose = [], np.zeros((FRAMES, 2, 17, 3), np.float32)
    objects, boxes = [], np.zeros((FRAMES, 4), np.float32)
    for t in range(FRAMES):
        left, top, side = 20 + 8 * t, 16 + 2 * t, 12
        picture = np.full((*SIZE, 3), 20, np.uint8)
        picture[top : top + side, left : left + side] = 240
        video.append(cv2.imencode(".png", picture)[1].tobytes())
        pose[t, 0, 0] = (left + side / 2) / SIZE[1], (top + side / 2) / SIZE[0], 0.8
        boxes[t] = left / SIZE[1], top / SIZE[0], side / SIZE[1], side / SIZE[0]
        objects.append([t, 2, *boxes[t], 0.6])
    return {"video": video, "pose": pose, "person_box": boxes, "objects": np.array(objects, np.float32)}


def settings(stream, **fields):
    data = base.get_config().data
    data.stream, data.frames, data.resize, data.crop, data.pose_sigma = stream, 3, 40, 32, 1.0
    data.update(fields)
    return data


def train(data, seed):
    out = empty_clips(data)
    train_clip(example(), data, np.random.default_rng(seed), out)
    return out


def center(weights):
    """Mean place (down, across) of a picture's weights, pixels."""
    down, across = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(weights * down).sum(), (weights * across).sum()]) / weights.sum()


@pytest.mark.parametrize("augment_by", ["crop", "multi_scale", "resized_crop"])
@pytest.mark.parametrize("person_crop", [0.0, 2.0])
def test_joints_are_where_the_frames_show_them(augment_by, person_crop):
    data = settings("rgb+pose", augment=augment_by, person_crop=person_crop)
    compared = 0
    for seed in range(12):
        clip = train(data, seed)
        for t, mask in enumerate((clip["rgb"][..., 0] > 130).astype(float)):
            inside = mask[1:-1, 1:-1].sum() == mask.sum() > 0  # the square does not touch the edge
            if inside:
                np.testing.assert_allclose(clip["pose"][t, 0, 1::-1], center(mask), atol=0.8)
                compared += 1
    assert compared > 5


@pytest.mark.parametrize("person_crop", [0.0, 2.0])
def test_objects_are_where_the_frames_show_them(person_crop):
    data = settings("rgb+objects", augment="multi_scale", person_crop=person_crop)
    compared = 0
    for seed in range(12):
        clip = train(data, seed)
        for picture, heat in zip(clip["rgb"], clip["objects"], strict=True):
            mask = (picture[..., 0] > 130).astype(float)
            if mask[1:-1, 1:-1].sum() == mask.sum() > 0:
                assert set(np.unique(heat[..., 2])) == {0, 153}  # 0.6 of 255
                assert not np.delete(heat, 2, axis=-1).any()
                np.testing.assert_allclose(center(heat[..., 2].astype(float)), center(mask), atol=0.8)
                assert abs((heat[..., 2] > 0).sum() - mask.sum()) < 0.35 * mask.sum()
                compared += 1
    assert compared > 5


def test_a_person_crop_keeps_the_persons_size():
    """The square is 12 of the 24 pixels that a window of twice the box shows, whatever the frame's size."""
    data = settings("rgb", person_crop=2.0, frames=5, resize=32, crop=32)
    out = empty_clips(data, 1)
    ClipViews(example, data, 1, 1).write(0, row(out, 0))
    for picture in out["rgb"][0]:
        mask = picture[..., 0] > 130
        assert abs(mask.sum() - 16 * 16) < 40
        np.testing.assert_allclose(center(mask.astype(float)), (16, 16), atol=0.5)


@pytest.mark.parametrize(("stream", "channels"), [("rgb+pose", 6), ("rgb+objects", 8)])
def test_a_network_sees_the_channels_concatenated(stream, channels):
    data = settings(stream, flip=False)
    clip = train(data, 0)
    prepared = np.asarray(streams.preprocess(clip, data))
    assert prepared.shape == (3, 32, 32, channels)
    np.testing.assert_allclose(prepared[..., :3], clip["rgb"] / 127.5 - 1, atol=1e-5)
    if stream == "rgb+objects":
        np.testing.assert_allclose(prepared[..., 3:], clip["objects"] / 255, atol=1e-6)
    else:
        assert prepared[..., 3:].max() <= 0.8


@pytest.mark.parametrize("stream", ["rgb+pose", "rgb+objects"])
def test_mirrored_clips_mirror_every_stream(stream):
    data, plain = settings(stream, resize=32, crop=32), settings(stream, resize=32, crop=32, flip=False)
    other = stream.partition("+")[2]
    seen = set()
    for seed in range(10):
        flipped, straight = train(data, seed), train(plain, seed)
        if np.array_equal(flipped["rgb"], straight["rgb"]):
            assert np.array_equal(flipped[other], straight[other])
            seen.add("straight")
        elif np.array_equal(flipped["rgb"], straight["rgb"][:, :, ::-1]):
            seen.add("mirrored")
            if other == "objects":
                assert np.array_equal(flipped[other], straight[other][:, :, ::-1])
            else:
                np.testing.assert_allclose(flipped[other][:, 0, 0], 32 - straight[other][:, 0, 0], atol=1e-4)
    assert seen == {"straight", "mirrored"}
