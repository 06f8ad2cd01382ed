"""Which frames of a clip its views show, of every stream, and when pictures are decoded."""

import concurrent.futures
import gc
import subprocess
import sys
import time
import weakref

import cv2
import numpy as np
import pytest

from haa_jax import streams
from haa_jax.data import sampling
from haa_jax.data.views import ClipViews, empty_clips, row
from haa_jax.streams import images
from haa_jax.streams.pictures import StoredClip
from tests.streams.clips import (
    encode,
    filled,
    frames_of,
    numbered_example,
    settings,
    textured_example,
    train,
    views_at_test,
)

SPECS = {
    "rgb": ((4, 32, 32, 3), np.uint8),
    "flow": ((4, 32, 32, 6), np.uint8),
    "pose": ((4, 17, 3), np.float32),
    "skeleton": ((2, 4, 17, 3), np.float32),
}


@pytest.mark.parametrize("stream", SPECS)
@pytest.mark.parametrize("short_side", [36, 40, 50])  # smaller than stored, as stored, larger
def test_shapes_and_types_of_what_is_written(stream, short_side):
    shape, dtype = SPECS[stream]
    data = settings(stream, resize=short_side, flow_stack=3 if stream == "flow" else 1)
    assert streams.clip_spec(data) == {stream: (shape, dtype)}
    for clip in (train(textured_example(), data), *views_at_test(textured_example(), data, 2)):
        assert clip.shape == shape
        assert len(np.unique(clip)) > 10  # it has been written
        assert np.isfinite(clip.astype(float)).all()


@pytest.mark.parametrize("stream", SPECS)
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


@pytest.mark.parametrize("stream", SPECS)
@pytest.mark.parametrize(("length", "stride"), [(12, 1), (14, 3), (30, 2)])
def test_windows_are_consecutive_and_start_anywhere(stream, length, stride):
    data = settings(stream, stride=stride, flip=False)
    example = numbered_example(length)
    if stream == "pose":  # whole frames, so that x in pixels is the number of the frame
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


def test_several_views_are_inside_segments_of_fractional_length():
    data = settings(sampling="segments", frames=3)
    for view in views_at_test(numbered_example(11), data, 5):
        for segment, frame in enumerate(frames_of(view, "rgb")):
            assert np.floor(segment * 11 / 3) <= frame < (segment + 1) * 11 / 3


def test_clips_shorter_than_the_segments():
    data = settings(sampling="segments", frames=8)
    (center,) = views_at_test(numbered_example(3), data)
    assert frames_of(center, "rgb") == [0, 0, 0, 1, 1, 2, 2, 2]
    assert frames_of(train(numbered_example(3), data), "rgb") == [0] * 8


def test_frames_are_counted_at_the_configured_rate():
    data = settings(frames=4, stride=2, fps=30.0, flip=False)
    example = numbered_example(8)
    for fps, expected in ((30.0, [0, 2, 4, 6]), (15.0, [0, 1, 2, 3])):
        (view,) = views_at_test(dict(example, fps=np.float32(fps)), data)
        assert np.diff(frames_of(view, "rgb")).tolist() == np.diff(expected).tolist()
        clip = train(dict(example, fps=np.float32(fps)), data)
        assert np.diff(frames_of(clip, "rgb")).tolist() == np.diff(expected).tolist()


def test_zero_windows_show_every_frame():
    for length, windows in ((3, 1), (4, 1), (9, 3)):
        data = settings(flip=False)
        assert sampling.num_windows(streams.num_positions(length, data), data, 0) == windows
        out = filled(empty_clips(data, windows))
        views = ClipViews(lambda length=length: numbered_example(length), data, 0, 1)
        for view in range(windows):
            views.write(view, row(out, view))
        shown = {frame for clip in out["rgb"] for frame in frames_of(clip, "rgb")}
        assert shown == set(range(length))


def test_views_are_ordered_by_window_and_then_by_crop():
    data = settings(frames=2, resize=36, crop=36)
    views = views_at_test(numbered_example(12), data, 3, 3)
    assert [frames_of(view, "rgb") for view in views] == [[1, 2]] * 3 + [[5, 6]] * 3 + [[9, 10]] * 3
    across = views_at_test(textured_example(), settings(resize=40, crop=40), 1, 3)
    assert len({view.tobytes() for view in across}) == 3


def test_no_picture_is_decoded_twice(monkeypatch):
    decoded = []
    decode = images.decode

    def counted(jpeg, *args, **kwargs):
        decoded.append(jpeg)
        return decode(jpeg, *args, **kwargs)

    monkeypatch.setattr(images, "decode", counted)
    views_at_test(numbered_example(5), settings(frames=4), 3, 3)
    assert len(decoded) == len(set(decoded)) == 5
    decoded.clear()
    train(numbered_example(3), settings(frames=12))
    assert len(decoded) == 3


def test_threads_that_want_the_same_picture_decode_it_once(monkeypatch):
    decoded, decode = [], images.decode
    monkeypatch.setattr(images, "decode", lambda jpeg: decoded.append(jpeg) or time.sleep(0.01) or decode(jpeg))
    example, data = numbered_example(8), settings(frames=6)
    out = filled(empty_clips(data, 9))
    views = ClipViews(lambda: example, data, 3, 3)
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda view: views.write(view, row(out, view)), range(9)))
    assert len(decoded) == len(set(decoded)) == 8
    assert [frames_of(view, "rgb")[0] for view in out["rgb"]] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_picture_is_freed_after_the_last_view_that_shows_it(monkeypatch):
    pictures, decode = [], images.decode

    def kept(jpeg):
        picture = decode(jpeg)
        pictures.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(images, "decode", kept)
    data = settings(frames=4, resize=40)  # as stored: what is decoded is kept
    example, out = numbered_example(31), filled(empty_clips(data))
    views = ClipViews(lambda: example, data, 14, 3)  # windows start two frames apart and share two frames
    alive = []
    for view in range(14 * 3):
        views.write(view, out)
        alive.append(sum(picture() is not None for picture in pictures))
    assert alive == [4, 4, 2] * 13 + [4, 4, 0]
    assert len(pictures) == 30


def test_a_clip_for_training_keeps_no_picture_that_it_does_not_show_again(monkeypatch):
    alive, most, decode = weakref.WeakSet(), [], images.decode

    class Picture(np.ndarray):
        __hash__ = object.__hash__

    def counted(jpeg):
        picture = decode(jpeg).view(Picture)
        alive.add(picture)
        most.append(len(alive))
        return picture

    monkeypatch.setattr(images, "decode", counted)
    train(numbered_example(31), settings(frames=16, resize=40))
    assert most == [1] * 16
    most.clear()
    train(numbered_example(5), settings(frames=8, resize=40))  # in a loop: 0, 1, 2, 3, 4, 0, 1, 2
    assert most == [1, 2, 3, 4, 4]  # none is decoded twice, and frame 3 is freed before frame 4


@pytest.mark.parametrize("stream", ["rgb", "flow", "pose"])
def test_the_pictures_of_a_clip_are_freed_without_a_garbage_collection(stream, monkeypatch):
    clips, init = [], StoredClip.__init__
    monkeypatch.setattr(
        StoredClip, "__init__", lambda self, *args: clips.append(weakref.ref(self)) or init(self, *args)
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
    views = ClipViews(lambda: {}["gone"], settings(), 2, 1)
    for view in range(2):
        with pytest.raises(KeyError, match="gone"):
            views.write(view, empty_clips(settings()))


@pytest.mark.parametrize("stored", [lambda picture: picture[..., ::-1].copy(), encode], ids=["arrays", "encoded"])
def test_a_loose_video_needs_no_dataset(stored):
    """A view needs decoded frames or encoded images, and `config.data`."""
    frames = np.random.default_rng(0).integers(0, 256, (9, 4, 6, 3), np.uint8)
    frames = [cv2.resize(frame, (60, 40)) for frame in frames]  # smooth, so that JPEG changes little
    data = settings(fps=25.0, resize=40, crop=32)
    views = views_at_test({"video": [stored(frame) for frame in frames], "fps": 25.0}, data, windows=2, crops=3)
    assert views.shape == (6, 4, 32, 32, 3)
    middle = np.stack([frame[4:36, 14:46, ::-1] for frame in frames[1:5]])  # OpenCV's order is BGR
    assert np.abs(views[1].astype(int) - middle).mean() <= (5 if stored is encode else 0)


def test_views_and_batches_import_no_tensorflow():
    code = (
        "import sys; from haa_jax.data import pipeline; print({'tensorflow', 'tensorflow_datasets'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "set()\n"
