"""Every stream of small generated examples, whose pictures say which frame, place and joint they show."""

import concurrent.futures
import functools
import gc
import time
import weakref

import cv2
import numpy as np
import pytest

from haa_jax.configs import base
from haa_jax.data import sampling
from haa_jax.streams import joints
from haa_jax.streams import views as streams

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
    """Pictures whose every place can be told from the others, and people with joints anywhere."""
    rng = np.random.default_rng(0)

    def texture(*channels):
        return cv2.resize(rng.integers(0, 256, (size[0] // 4, size[1] // 4, *channels), np.uint8), size[::-1])

    pose = rng.uniform(0.05, 1, (frames, 2, 17, 3)).astype(np.float32)
    pose[:, :, 4] = 0  # an ear that nobody sees
    return {
        "video": [encode(texture(3)) for _ in range(frames)],
        "flow_x": [encode(texture()) for _ in range(frames - 1)],
        "flow_y": [encode(texture()) for _ in range(frames - 1)],
        "pose": pose,
    }


def settings(stream="rgb", **fields):
    data = base.get_config().data
    data.stream = stream
    data.frames, data.resize, data.crop = 4, 36, 32
    data.temporal_padding = "zero" if stream == "skeleton" else "loop"
    data.update(fields)
    return data


def train(example, data, seed=0):
    out = filled(streams.empty_clips(data))
    streams.train_clip(example, data, np.random.default_rng(seed), out)
    return out if "+" in data.stream else out[data.stream]


def views_at_test(example, data, windows=1, crops=1):
    out = filled(streams.empty_clips(data, windows * crops))
    views = streams.ClipViews(lambda: example, data, windows, crops)
    for view in range(windows * crops):
        views.write(view, streams.row(out, view))
    return out if "+" in data.stream else out[data.stream]


def filled(clips):
    """What is not written stands out."""
    for array in clips.values():
        array[...] = 77
    return clips


def frames_of(clip, stream):
    """Which frames of a numbered example a clip shows, or fields; frames behind the end are -1."""
    if stream == "skeleton":
        seen = clip[..., 2].any((0, 2))
        return np.where(seen, np.round((clip[0, :, 0, 0] + 0.5) * 64), -1).astype(int).tolist()
    if stream == "pose":
        return np.round(clip[:, 0, 0]).astype(int).tolist()  # of crops of 64 pixels
    levels = clip.reshape(len(clip), -1, clip.shape[-1]).astype(float)[..., 0]
    assert (np.ptp(levels, axis=1) <= 2).all()
    return np.round(levels.mean(1) / 8).astype(int).tolist()


STREAMS = {
    "rgb": ((4, 32, 32, 3), np.uint8),
    "flow": ((4, 32, 32, 6), np.uint8),
    "pose": ((4, 17, 3), np.float32),
    "skeleton": ((2, 4, 17, 3), np.float32),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("short_side", [36, 40, 50])  # smaller than stored, as stored, larger
def test_shapes_and_types_of_what_is_written(stream, short_side):
    shape, dtype = STREAMS[stream]
    data = settings(stream, resize=short_side, flow_stack=3 if stream == "flow" else 1)
    assert streams.clip_spec(data) == {stream: (shape, dtype)}
    for clip in (train(textured_example(), data), *views_at_test(textured_example(), data, 2)):
        assert clip.shape == shape
        assert len(np.unique(clip)) > 10  # it has been written
        assert np.isfinite(clip.astype(float)).all()


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sampling": "segments", "augment": "multi_scale"},
        {"augment": "resized_crop", "color_jitter": True},
        {"resize_max": 50, "random_move": True},
    ],
)
def test_a_clip_is_a_function_of_its_draws(stream, fields):
    fields = dict(fields, color_jitter=fields.get("color_jitter", False) and stream == "rgb")
    clips = [train(textured_example(), settings(stream, **fields), seed) for seed in (1, 1, 2, 3)]
    assert np.array_equal(clips[0], clips[1])
    assert not (np.array_equal(clips[0], clips[2]) and np.array_equal(clips[0], clips[3]))


# Which frames.


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(("length", "stride"), [(12, 1), (14, 3), (30, 2)])
def test_windows_are_consecutive_and_lie_anywhere(stream, length, stride):
    data = settings(stream, stride=stride, flip=False)
    example = numbered_example(length)
    if stream == "pose":  # whole frames, so that x in pixels says which frame it is
        data.resize = data.crop = 64
        example = dict(example, video=[encode(np.zeros((64, 64, 3), np.uint8))] * length)
    found = [frames_of(train(example, data, seed), stream) for seed in range(150)]
    for frames in found:
        assert np.diff(frames).tolist() == [stride] * 3
    room = length - (stream == "flow") - 4 * stride
    assert min(frames[0] for frames in found) == 0
    assert max(frames[0] for frames in found) == room
    (center,) = views_at_test(example, data)
    assert frames_of(center, stream)[0] == (room + 1) // 2
    first, middle, final = (frames_of(view, stream)[0] for view in views_at_test(example, data, 3))
    assert first <= middle <= final
    assert room - final - 1 <= first <= room - final  # as far from one end as from the other


@pytest.mark.parametrize(
    ("stream", "temporal_padding", "stride", "expected"),
    [
        ("rgb", "loop", 1, [0, 1, 2, 0, 1, 2, 0]),
        ("rgb", "clamp", 1, [0, 1, 2, 2, 2, 2, 2]),
        ("rgb", "clamp", 2, [0, 2, 2, 2, 2, 2, 2]),
        ("rgb", "repeat", 1, [0, 1, 1, 1, 1, 1, 1]),
        ("flow", "loop", 1, [0, 1, 0, 1, 0, 1, 0]),
        ("flow", "clamp", 1, [0, 1, 1, 1, 1, 1, 1]),
        ("skeleton", "zero", 1, [0, 1, 2, -1, -1, -1, -1]),
        ("skeleton", "zero", 2, [0, 2, -1, -1, -1, -1, -1]),
    ],
)
def test_clips_shorter_than_the_window(stream, temporal_padding, stride, expected):
    data = settings(stream, frames=7, stride=stride, temporal_padding=temporal_padding, flip=False)
    example = numbered_example(3)
    assert frames_of(train(example, data), stream) == expected
    assert [frames_of(view, stream) for view in views_at_test(example, data, 2)] == [expected] * 2


@pytest.mark.parametrize("stream", ["rgb", "flow", "skeleton"])
def test_segments_have_one_frame_each(stream):
    data = settings(stream, sampling="segments", frames=5, flip=False)
    length = 20 + (stream == "flow")
    found = np.array([frames_of(train(numbered_example(length), data, seed), stream) for seed in range(80)])
    for segment in range(5):
        assert set(found[:, segment]) == set(range(4 * segment, 4 * segment + 4))
    (center,) = views_at_test(numbered_example(length), data)
    assert frames_of(center, stream) == [2, 6, 10, 14, 18]
    views = views_at_test(numbered_example(length), data, 4)
    assert [frames_of(view, stream) for view in views] == [[v + 4 * s for s in range(5)] for v in range(4)]


def test_several_views_lie_inside_segments_that_are_not_whole():
    data = settings(sampling="segments", frames=3)
    for view in views_at_test(numbered_example(11), data, 5):
        for segment, frame in enumerate(frames_of(view, "rgb")):
            assert np.floor(segment * 11 / 3) <= frame < (segment + 1) * 11 / 3


def test_clips_shorter_than_the_segments():
    data = settings(sampling="segments", frames=8)
    (center,) = views_at_test(numbered_example(3), data)
    assert frames_of(center, "rgb") == [0, 0, 0, 1, 1, 2, 2, 2]
    assert frames_of(train(numbered_example(3), data), "rgb") == [0] * 8


def test_the_rate_of_a_clip_is_what_it_says():
    data = settings(frames=4, stride=2, fps=30.0, flip=False)
    example = numbered_example(8)
    for fps, expected in ((30.0, [0, 2, 4, 6]), (15.0, [0, 1, 2, 3])):
        (view,) = views_at_test(dict(example, fps=np.float32(fps)), data)
        assert np.diff(frames_of(view, "rgb")).tolist() == np.diff(expected).tolist()
        clip = train(dict(example, fps=np.float32(fps)), data)
        assert np.diff(frames_of(clip, "rgb")).tolist() == np.diff(expected).tolist()


def test_every_frame_is_shown_where_that_is_asked_for():
    for length, windows in ((3, 1), (4, 1), (9, 3)):
        data = settings(flip=False)
        assert sampling.num_windows(streams.num_positions(length, data), data, 0) == windows
        out = filled(streams.empty_clips(data, windows))
        views = streams.ClipViews(lambda length=length: numbered_example(length), data, 0, 1)
        for view in range(windows):
            views.write(view, streams.row(out, view))
        shown = {frame for clip in out["rgb"] for frame in frames_of(clip, "rgb")}
        assert shown == set(range(length))


def test_a_stack_is_x_and_y_of_consecutive_fields():
    data = settings("flow", frames=2, stride=3, flow_stack=3, flip=False)
    clip = train(numbered_example(12), data).astype(float)
    first = round(clip[0, ..., 0].mean() / 8)
    levels = [[[8 * (first + 3 * frame + k), 8 * (first + 3 * frame + k) + 4] for k in range(3)] for frame in range(2)]
    np.testing.assert_allclose(clip.mean((1, 2)), np.reshape(levels, (2, 6)), atol=1)


def test_stacks_end_with_the_clip_and_repeat_its_last_field_where_it_is_shorter():
    data = settings("flow", frames=3, flow_stack=5, sampling="segments", flip=False)
    last = [train(numbered_example(12), data, seed)[-1].astype(float).mean((0, 1)) for seed in range(80)]
    # 11 fields have stacks of five that start at 0 to 6; three parts of two leave the last.
    assert sorted({round(levels[0] / 8) for levels in last}) == [4, 5]
    assert max(round(levels[8] / 8) for levels in last) == 9
    short = train(numbered_example(4), data).astype(float).mean((1, 2))  # three fields
    np.testing.assert_allclose(short, [[0, 4, 8, 12, 16, 20, 16, 20, 16, 20]] * 3, atol=1)


# Where in the frame.


@pytest.mark.parametrize("augment", ["crop", "multi_scale", "resized_crop"])
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_mirrored_clip_is_the_mirror_image_of_the_same_draws(stream, augment):
    """The flip is the last draw: with and without it, the same place is taken."""
    data = settings(stream, augment=augment, flow_stack=2 if stream == "flow" else 1)
    mirrored = 0
    for seed in range(12):
        data.flip = True
        clip = train(textured_example(), data, seed)
        data.flip = False
        straight = train(textured_example(), data, seed)
        if np.array_equal(clip, straight):
            continue
        mirrored += 1
        expected = straight[:, :, ::-1].copy()
        if stream == "flow":
            expected[..., 0::2] = 255 - expected[..., 0::2]
        assert np.array_equal(clip, expected)
    assert 2 <= mirrored <= 10


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
    """(x, y) in pixels of the only dot of a picture, or None if it is not whole inside it."""
    level = np.where(picture < 12, 0.0, picture)  # below is what JPEG adds
    if level.max() < 100 or level[[0, -1]].any() or level[:, [0, -1]].any():
        return None
    pixels = np.arange(len(level)) + 0.5
    return np.array([level.sum(0) @ pixels, level.sum(1) @ pixels]) / level.sum()


@pytest.mark.parametrize(
    ("stream", "channel", "augment"),
    [
        ("rgb", 0, "crop"),
        ("rgb", 2, "resized_crop"),
        ("flow", 1, "crop"),
        ("flow", 1, "multi_scale"),  # of RGB it has a fourth scale: other draws
        ("flow", 1, "resized_crop"),
    ],
)
@pytest.mark.parametrize("size", [(80, 121), (121, 80)])
def test_joints_lie_where_the_crop_of_the_same_draws_shows_them(stream, channel, augment, size):
    example = dotted_example(size)
    compared, flips = 0, set()
    for seed in range(8):
        fields = {"augment": augment, "frames": 17, "resize": 72, "resize_max": 90, "crop": 64}
        pictures = train(example, settings(stream, **fields), seed)[..., channel]
        pose = train(example, settings("pose", **fields), seed)
        flip = int(np.abs(pose[0, 1, 2] - example["pose"][0, 0, 1, 2]) > 0.01)  # the left eye has become the right one
        flips.add(flip)
        for joint, picture in enumerate(pictures):
            here = joint + flip * (1 if joint % 2 else -1) * (joint > 0)  # left joints are odd, the right one is next
            assert pose[joint, here, 2] == example["pose"][0, 0, joint, 2]
            center = dot_center(picture)
            if center is not None:
                np.testing.assert_allclose(pose[joint, here, :2], center, atol=0.3)
                compared += 1
    assert flips == {0, 1}
    assert compared >= 20


def test_the_pose_is_that_of_the_most_prominent_person():
    example = dict(numbered_example(12), video=[encode(np.zeros((64, 64, 3), np.uint8))] * 12)
    pose = train(example, settings("pose", resize=64, crop=64, flip=False))
    np.testing.assert_allclose(pose[..., 1], 0.25 * 64)
    np.testing.assert_allclose(pose[..., 2], 0.5)


def test_joints_outside_the_crop_keep_their_place():
    data = settings("pose", resize=40, crop=20)
    (view,) = views_at_test(numbered_example(12), data)
    frames = np.arange(4, 8)
    np.testing.assert_allclose(view[:, 0, 0], frames / 64 * 60 - 20, rtol=1e-5)  # left of the crop: below 0
    assert (view[:, :, 0] < 0).all()


def test_training_clips_are_scaled_to_the_short_side_that_was_drawn():
    """Nose and shoulder are as many pixels apart as their part of the frame's height says."""
    example = dotted_example(SIZE)
    nose, shoulder = example["pose"][0, 0, [0, 5], 1]

    def short_sides(**fields):
        data = settings("pose", flip=False, **fields)
        clips = [train(example, data, seed) for seed in range(60)]
        return {round(float((clip[0, 5, 1] - clip[0, 0, 1]) / (shoulder - nose))) for clip in clips}

    assert short_sides(resize=36, resize_max=40) == {36, 37, 38, 39, 40}
    assert short_sides(resize=36) == {36}


# Skeletons.


@pytest.mark.parametrize("skeleton", ["coco17", "openpose18"])
def test_a_skeleton_is_both_people_around_the_middle(skeleton):
    example = textured_example()
    data = settings("skeleton", skeleton=skeleton, frames=9, flip=False)
    clip = train(example, data)
    assert clip.shape == (2, 9, int(skeleton[-2:]), 3)
    nose = example["pose"][:, :, 0].swapaxes(0, 1)
    np.testing.assert_allclose(clip[:, :6, 0], nose - np.float32([0.5, 0.5, 0]), atol=1e-6)
    assert not clip[:, 6:].any()
    ear = {"coco17": 4, "openpose18": 16}[skeleton]  # the right one
    assert not clip[:, :, ear].any()
    ankle = {"coco17": 15, "openpose18": 13}[skeleton]
    np.testing.assert_allclose(clip[:, :6, ankle, 2], example["pose"][:, :, 15, 2].T)


@pytest.mark.parametrize("skeleton", ["coco17", "openpose18"])
def test_half_of_the_skeletons_are_mirrored(skeleton):
    data = settings("skeleton", skeleton=skeleton, frames=6, flip=False)
    straight = train(textured_example(), data)
    data.flip = True
    mirror = joints.centered(joints.flip(textured_example()["pose"])).swapaxes(0, 1)
    if skeleton == "openpose18":
        mirror = joints.centered(joints.to_openpose(joints.flip(textured_example()["pose"]))).swapaxes(0, 1)
    clips = [train(textured_example(), data, seed) for seed in range(20)]
    is_mirrored = [not np.array_equal(clip, straight) for clip in clips]
    assert 4 <= sum(is_mirrored) <= 16
    for clip, flipped in zip(clips, is_mirrored, strict=True):
        np.testing.assert_allclose(clip, mirror if flipped else straight, atol=1e-6)
    # What moved to the left moves to the right; who was right of the middle is left of it.
    np.testing.assert_allclose(mirror[:, :, 0, 0], -straight[:, :, 0, 0], atol=1e-6)
    assert np.array_equal(views_at_test(textured_example(), data)[0], straight)


def test_skeletons_move_in_training_only_and_stay_empty_where_they_are():
    data = settings("skeleton", frames=9, flip=False)
    straight = train(textured_example(), data, 5)
    data.random_move = True
    moved = train(textured_example(), data, 5)
    assert not np.allclose(moved, straight)
    assert not moved[:, 6:].any()
    assert not moved[:, :, 4].any()
    assert np.array_equal(moved[..., 2], straight[..., 2])
    assert np.array_equal(views_at_test(textured_example(), data)[0], straight)


# Views at test.


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_ten_crops_are_five_and_their_mirror_images(stream):
    data = settings(stream, frames=1)
    views = views_at_test(textured_example(), data, 1, 10)
    mirror = views[:5, :, :, ::-1].copy()
    if stream == "flow":
        mirror[..., 0] = 255 - mirror[..., 0]
    assert np.array_equal(views[5:], mirror)
    assert len({view.tobytes() for view in views}) == 10
    data.resize, data.crop = 40, 40
    whole = views_at_test(textured_example(), data, 1, 3)  # as stored: three parts of the same pictures
    data.crop = 30
    corners = views_at_test(textured_example(), data, 1, 10)
    assert np.array_equal(corners[0], whole[0][:, :30, :30])
    assert np.array_equal(corners[3], whole[2][:, 8:38, 8:38])  # two pixels short of the corner
    assert np.array_equal(corners[4], whole[1][:, 4:34, 4:34])


def test_joints_of_ten_crops():
    views = views_at_test(textured_example(), settings("pose"), 1, 10)
    partner = [0, *(j + (1 if j % 2 else -1) for j in range(1, 17))]
    np.testing.assert_allclose(views[5:, ..., 0], 32 - views[:5, :, partner, 0], atol=1e-4)
    assert np.array_equal(views[5:, ..., 1:], views[:5][:, :, partner, 1:])


def test_views_are_windows_and_in_each_the_crops():
    data = settings(frames=2, resize=36, crop=36)
    views = views_at_test(numbered_example(12), data, 3, 3)
    assert [frames_of(view, "rgb") for view in views] == [[1, 2]] * 3 + [[5, 6]] * 3 + [[9, 10]] * 3
    across = views_at_test(textured_example(), settings(resize=40, crop=40), 1, 3)
    assert len({view.tobytes() for view in across}) == 3


def test_no_picture_is_decoded_twice(monkeypatch):
    decoded = []
    decode = streams.augment.decode

    def counted(jpeg, *args, **kwargs):
        decoded.append(jpeg)
        return decode(jpeg, *args, **kwargs)

    monkeypatch.setattr(streams.augment, "decode", counted)
    views_at_test(numbered_example(5), settings(frames=4), 3, 3)
    assert len(decoded) == len(set(decoded)) == 5
    decoded.clear()
    train(numbered_example(3), settings(frames=12))
    assert len(decoded) == 3


def test_threads_that_want_the_same_picture_decode_it_once(monkeypatch):
    decoded, decode = [], streams.augment.decode
    monkeypatch.setattr(
        streams.augment, "decode", lambda jpeg: decoded.append(jpeg) or time.sleep(0.01) or decode(jpeg)
    )
    example, data = numbered_example(8), settings(frames=6)
    out = filled(streams.empty_clips(data, 9))
    views = streams.ClipViews(lambda: example, data, 3, 3)
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda view: views.write(view, streams.row(out, view)), range(9)))
    assert len(decoded) == len(set(decoded)) == 8
    assert [frames_of(view, "rgb")[0] for view in out["rgb"]] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_picture_is_let_go_after_the_last_view_that_shows_it(monkeypatch):
    pictures, decode = [], streams.augment.decode

    def kept(jpeg):
        picture = decode(jpeg)
        pictures.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(streams.augment, "decode", kept)
    data = settings(frames=4, resize=40)  # as stored: what is decoded is what is kept
    example, out = numbered_example(31), filled(streams.empty_clips(data))
    views = streams.ClipViews(lambda: example, data, 14, 3)  # windows two frames apart, each shares two with the next
    alive = []
    for view in range(14 * 3):
        views.write(view, out)
        alive.append(sum(picture() is not None for picture in pictures))
    assert alive == [4, 4, 2] * 13 + [4, 4, 0]
    assert len(pictures) == 30


@pytest.mark.parametrize("stream", ["rgb", "flow", "pose"])
def test_the_pictures_of_a_clip_are_gone_with_it_without_a_garbage_collection(stream, monkeypatch):
    clips, init = [], streams._Frames.__init__
    monkeypatch.setattr(
        streams._Frames, "__init__", lambda self, *args: clips.append(weakref.ref(self)) or init(self, *args)
    )
    gc.disable()
    try:
        for _ in range(3):
            train(textured_example(), settings(stream))
            views_at_test(textured_example(), settings(stream), 2, 3)
        assert len(clips) == 6
        assert [clip() for clip in clips] == [None] * 6
    finally:
        gc.enable()


def test_a_clip_that_cannot_be_read_is_an_error_for_each_of_its_views():
    views = streams.ClipViews(lambda: {}["gone"], settings(), 2, 1)
    for view in range(2):
        with pytest.raises(KeyError, match="gone"):
            views.write(view, streams.empty_clips(settings()))


def test_the_colors_of_a_clip_change_together():
    plain = train(textured_example(), settings(), 4)
    jittered = train(textured_example(), settings(color_jitter=True), 4)
    assert not np.array_equal(plain, jittered)
    gray = train(numbered_example(12), settings(color_jitter=True), 4)
    assert (gray == gray[:, :1, :1]).all()  # the same for every place


def test_a_frame_that_is_not_an_image_is_an_error():
    example = dict(numbered_example(3), video=[b"nonsense"] * 3)
    with pytest.raises(ValueError, match="not an image"):
        train(example, settings())
