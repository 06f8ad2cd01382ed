"""Optical flow between the frames of a clip, stored as two gray pictures a field: computed by OpenCV, or read.

Field t is the motion from frame t to frame t + 1 in pixels of the stored frames: x to the right, y down. It is clipped
to +-20 pixels and stored with 8 bits, the input that two-stream networks since TSN expect. The levels are 40 / 255
(0.157) pixels apart, and no level is exactly zero: stillness is stored as 128, which reads 0.078.
"""

from collections.abc import Callable

import cv2
import numpy as np
import tensorflow_datasets as tfds

from tfds_haa500.problems import ClipError
from tfds_haa500.streams import flow_images, video

FILES = ("{clip}",)  # a folder of pictures: see flow_images.py
METHODS = ("dis", "tvl1")
IMAGES = "images"  # instead of a method: the user's own flow
BOUND = 20.0  # pixels
MIN_SIDE = 16  # pixels; below it OpenCV's DIS fails at some sizes and crashes the process at others
DECODE = "pixels = level * 40 / 255 - 20"


def features() -> dict[str, tfds.features.FeatureConnector]:
    """`flow_x` and `flow_y`: T - 1 gray JPEGs each for a clip of T frames."""
    image = tfds.features.Image(shape=(None, None, 1), dtype=np.uint8, encoding_format="jpeg")
    return {
        name: tfds.features.Sequence(image, doc=f"(T - 1, H, W, 1) motion to the {direction}: {DECODE}")
        for name, direction in (("flow_x", "right"), ("flow_y", "down"))
    }


def metadata(method: str) -> dict:
    """How the flow was made, and how its levels are decoded."""
    return {"method": method, "bound": BOUND, "decode": DECODE}


class Computation:
    """Computes the flow of a clip from its frames, which it is called with in order.

    Raises:
      ValueError: this OpenCV does not have the method.
    """

    def __init__(self, method: str):
        self._estimate = estimator(method)
        self._previous = None
        self._fields = {"flow_x": [], "flow_y": []}

    def __call__(self, image: np.ndarray) -> None:
        """Takes the next frame, (H, W, 3) uint8 BGR; raises ClipError if it is too small or of another size."""
        if self._previous is not None:
            levels = to_levels(self._estimate(self._previous, image))
            for axis, jpegs in enumerate(self._fields.values()):
                jpegs.append(video.encode_jpeg(np.ascontiguousarray(levels[..., axis])))
        self._previous = image

    def features(self) -> dict[str, list[bytes]]:
        """`flow_x` and `flow_y`: T - 1 JPEGs each; raises ClipError if there were fewer than two frames."""
        if not self._fields["flow_x"]:
            raise ClipError("has one frame, and flow needs two")
        return self._fields


def read(file, clip: video.EncodedClip) -> dict[str, list[bytes]]:
    """The flow of a clip from the user's own pictures in the folder `file`; raises ClipError, see `flow_images`."""
    size = video.jpeg_size(clip.frames[0])
    read_picture = lambda name: (file / name).read_bytes()  # noqa: E731
    flow_x, flow_y = flow_images.read_images(file.names(), read_picture, len(clip.frames) - 1, size, video.encode_jpeg)
    return {"flow_x": flow_x, "flow_y": flow_y}


def check_method(method: str) -> None:
    """Raises ValueError if this OpenCV does not have the method."""
    if method not in METHODS:
        raise ValueError(f"flow_method={method!r}, must be one of {', '.join(METHODS)}")
    if method == "tvl1" and not hasattr(cv2, "optflow"):
        raise ValueError(
            "flow_method='tvl1' needs OpenCV's contrib modules, which are not installed:"
            " replace opencv-python-headless by opencv-contrib-python-headless"
        )


def estimator(method: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function from two frames (H, W, 3) uint8 BGR of one size to the flow between them.

    "dis" is dense inverse search at its medium preset (Kroeger et al., 2016). "tvl1" (Zach et al., 2007) with
    OpenCV's defaults is what I3D and TSN were trained with; it takes about a hundred times as long.

    Returns:
      The function; its flow is (H, W, 2) float32 pixels, not clipped. It raises ClipError for frames that
      are too small or differ in size.

    Raises:
      ValueError: this OpenCV does not have the method.
    """
    check_method(method)
    if method == "dis":
        engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    else:
        engine = cv2.optflow.DualTVL1OpticalFlow_create()

    def estimate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if first.shape != second.shape:
            raise ClipError(f"flow needs frames of one size, found {_size(first)} and {_size(second)} pixels")
        if min(first.shape[:2]) < MIN_SIDE:
            raise ClipError(f"flow needs frames of {MIN_SIDE} or more pixels a side, found {_size(first)}")
        gray = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
        return engine.calc(*gray, None)

    return estimate


def to_levels(pixels: np.ndarray) -> np.ndarray:
    """Flow in pixels, any shape -> uint8 levels: 0 is -20 pixels or less, 255 is 20 or more."""
    return np.round((np.clip(pixels, -BOUND, BOUND) + BOUND) * (255 / (2 * BOUND))).astype(np.uint8)


def to_pixels(levels: np.ndarray) -> np.ndarray:
    """uint8 levels of `flow_x` or `flow_y`, any shape -> float32 pixels."""
    return np.asarray(levels, np.float32) * np.float32(2 * BOUND / 255) - np.float32(BOUND)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
