"""Footage that was taken twice is told from footage that is only similar."""

import itertools

import av
import cv2
import numpy as np
import pytest

from tests.conftest import REAL_CLASS
from tfds_haa500.sources import likeness
from tfds_haa500.streams import video


def pictures(seed: int, count: int = 24, size=(48, 64)) -> list[np.ndarray]:
    """A scene of random blocks in which a square moves."""
    rng = np.random.default_rng(seed)
    scene = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    frames = [scene.copy() for _ in range(count)]
    for t, frame in enumerate(frames):
        cv2.rectangle(frame, (t, 10), (t + 16, 40), rng.integers(0, 256, 3).tolist() if t == 0 else (0, 0, 0), -1)
    return frames


def signature(frames) -> np.ndarray:
    return likeness.signature(likeness.thumbnails(av.VideoFrame.from_ndarray(frame, "rgb24") for frame in frames))


def found(*clips) -> list[tuple[int, int]]:
    return [(i, j) for i, j, _ in likeness.alike(np.array([signature(frames) for frames in clips]))]


def test_the_same_footage_in_another_size_brightness_and_cut():
    clip, other = pictures(0), pictures(1)
    smaller = [cv2.resize(frame, (40, 30), interpolation=cv2.INTER_AREA) for frame in clip]
    darker = [(frame * 0.8).astype(np.uint8) for frame in clip]
    assert found(clip, other, smaller) == [(0, 2)]
    assert found(other, clip, darker) == [(1, 2)]
    assert found(clip[:18], clip[6:], other) == [(0, 1)]
    assert found(clip, clip[10:14]) == [(0, 1)]  # a part of it


def test_scenes_that_differ_are_not_alike_nor_is_a_single_color():
    black = [np.zeros((48, 64, 3), np.uint8)] * 5
    assert found(*(pictures(seed) for seed in range(8)), black, black) == []


def test_a_likeness_is_a_correlation():
    clips = np.array([signature(pictures(0)), signature(pictures(0))])
    ((first, second, value),) = likeness.alike(clips)
    assert (first, second) == (0, 1)
    assert value == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(clips, axis=2), 1, rtol=1e-5)
    assert clips.shape == (2, likeness.FRAMES, 3 * likeness.SIDE**2)


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real class is not on this machine")
def test_no_two_clips_of_a_real_class_are_alike():
    clips = []
    for path in sorted(REAL_CLASS.glob("video/pushup/*.mp4")):
        with video.open_container(str(path)) as container:
            clips.append(likeness.thumbnails(itertools.islice(container.decode(video=0), 0, None, 3)))
    assert len(clips) == 20
    halves = [half for clip in clips for half in (clip[: len(clip) // 3 * 2], clip[len(clip) // 3 :])]
    pairs = [(i, j) for i, j, _ in likeness.alike(np.array([likeness.signature(half) for half in halves]))]
    assert all(j == i + 1 and i % 2 == 0 for i, j in pairs)  # never two clips
    assert len(pairs) >= 18  # but overlapping parts of one clip
