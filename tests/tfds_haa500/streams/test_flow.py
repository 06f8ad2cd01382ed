"""Flow against the true motion of generated scenes, and its coding."""

import cv2
import numpy as np
import pytest

from tests.conftest import write_video
from tfds_haa500.problems import ClipError
from tfds_haa500.streams import flow, video

SIZE = (96, 128)  # height, width
METHODS = [
    "dis",
    pytest.param("tvl1", marks=pytest.mark.skipif(not hasattr(cv2, "optflow"), reason="OpenCV without contrib")),
]


def texture() -> np.ndarray:
    """A picture with detail at all scales, larger than the frames: (224, 256, 3) uint8."""
    rng = np.random.default_rng(0)
    canvas = np.full((SIZE[0] + 128, SIZE[1] + 128), 128.0)
    for cells, strength in ((6, 30), (24, 25), (80, 15)):
        noise = rng.normal(0, strength, (cells, cells))
        canvas += cv2.resize(noise, canvas.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(canvas, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def turn(degrees: float) -> np.ndarray:
    """About the middle of the frame, clockwise in the picture."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    middle = shift((SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2)
    return middle @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.linalg.inv(middle)


def scene(motion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two frames between which every point moves by `motion` (3, 3), and the true flow (H, W, 2)."""
    start = shift(-64, -64)
    frames = [cv2.warpAffine(texture(), m[:2], SIZE[::-1], flags=cv2.INTER_CUBIC) for m in (start, motion @ start)]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    moved = np.stack([x, y, np.ones(SIZE)], -1) @ motion.T
    return *frames, moved[..., :2] - np.stack([x, y], -1)


def stored(pixels: np.ndarray) -> np.ndarray:
    """Through levels and JPEG, and back."""
    axes = [np.ascontiguousarray(flow.to_levels(pixels)[..., axis]) for axis in (0, 1)]
    files = [video.encode_jpeg(axis) for axis in axes]
    decoded = [cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED) for file in files]
    return flow.to_pixels(np.stack(decoded, -1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("motion", "bound"), [(shift(0, 0), 0.12), (shift(3, -1.5), 0.15), (turn(2), 0.2)], ids=["still", "shift", "turn"]
)
def test_stored_flow_is_the_true_motion(method, motion, bound):
    first, second, truth = scene(motion)
    found = stored(flow.estimator(method)(first, second))
    error = np.linalg.norm(found - truth, axis=-1).mean()
    print(f"{method}: mean end-point error {error:.3f} px")
    assert error < bound


def test_levels():
    pixels = np.array([-30, -20, 0, 0.1, 20, 30])
    assert flow.to_levels(pixels).tolist() == [0, 0, 128, 128, 255, 255]
    assert flow.to_levels(pixels).dtype == np.uint8
    inside = np.linspace(-20, 20, 1001)
    assert np.abs(flow.to_pixels(flow.to_levels(inside)) - inside).max() <= 20 / 255 + 1e-5
    assert flow.to_pixels(flow.to_levels(inside)).dtype == np.float32
    # A mirrored picture's motion: levels turn into 255 - level, exactly.
    levels = np.arange(256, dtype=np.uint8)
    assert np.allclose(flow.to_pixels(255 - levels), -flow.to_pixels(levels), atol=1e-5)


def test_frames_that_are_too_small_or_differ():
    estimate = flow.estimator("dis")
    small = np.zeros((12, 200, 3), np.uint8)  # OpenCV would crash on it
    with pytest.raises(ClipError, match="16 or more pixels a side, found 200x12"):
        estimate(small, small)
    with pytest.raises(ClipError, match="one size, found 64x48 and 48x64"):
        estimate(np.zeros((48, 64, 3), np.uint8), np.zeros((64, 48, 3), np.uint8))
    assert estimate(*[np.zeros((16, 200, 3), np.uint8)] * 2).shape == (16, 200, 2)


def test_unknown_and_missing_methods(monkeypatch):
    with pytest.raises(ValueError, match="'farneback', must be one of dis, tvl1"):
        flow.check_method("farneback")
    monkeypatch.delattr(cv2, "optflow", raising=False)
    with pytest.raises(ValueError, match="opencv-contrib-python-headless"):
        flow.estimator("tvl1")


def test_threads_change_nothing():
    first, second, _ = scene(turn(3))
    before, results = cv2.getNumThreads(), []
    for threads in (1, 2, 5):
        cv2.setNumThreads(threads)
        results.append(flow.estimator("dis")(first, second))
    cv2.setNumThreads(before)
    assert all(np.array_equal(results[0], result) for result in results)


def test_clip_has_one_field_less_than_frames(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, 5)
    computation = flow.Computation("dis")
    clip = video.encode_clip(path.read_bytes(), on_frame=[computation])
    assert len(clip.frames) == 5
    assert {name: len(jpegs) for name, jpegs in computation.features().items()} == {"flow_x": 4, "flow_y": 4}
    assert video.encode_clip(path.read_bytes()).frames == clip.frames


def test_flow_is_in_pixels_of_the_stored_frames(tmp_path):
    """A scene of 192 x 256 that moves by (4, 0) a frame, stored at half that size."""
    import av

    path = tmp_path / "moving.mp4"
    canvas = cv2.resize(texture(), (512, 448))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 256, 192, "yuv420p"
        for t in range(3):
            image = np.ascontiguousarray(canvas[100:292, 100 - 4 * t : 356 - 4 * t])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    computation = flow.Computation("dis")
    video.encode_clip(path.read_bytes(), short_side=96, on_frame=[computation])
    for axis, expected in (("flow_x", 2.0), ("flow_y", 0.0)):
        jpegs = computation.features()[axis]
        images = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_UNCHANGED) for jpeg in jpegs]
        assert np.shape(images) == (2, 96, 128)
        assert np.abs(flow.to_pixels(np.stack(images)) - expected).mean() < 0.2


def test_one_frame_has_no_flow(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, 1)
    assert len(video.encode_clip(path.read_bytes()).frames) == 1
    computation = flow.Computation("dis")
    video.encode_clip(path.read_bytes(), on_frame=[computation])
    with pytest.raises(ClipError, match="has one frame, and flow needs two"):
        computation.features()
