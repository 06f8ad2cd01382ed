"""Optical flow between the frames of a clip, computed by OpenCV, stored as two grey pictures a field.

Field t is the motion from frame t to frame t + 1 in pixels of the stored frames: x to the right, y down. Each
is clipped to +-20 pixels and stored with 8 bits, as the two-stream networks since TSN take it. The levels lie
40 / 255 (0.157) pixels apart, and no level is exactly zero: stillness is stored as 128, which reads 0.078.
"""

from collections.abc import Callable

import cv2
import numpy as np

METHODS = ("dis", "tvl1")
BOUND = 20.0  # pixels
MIN_SIDE = 16  # pixels; below it OpenCV's DIS fails at some sizes and crashes the process at others
DECODE = "pixels = level * 40 / 255 - 20"


class FlowError(ValueError):
    """Flow that cannot be computed; the message is the reason."""


def check_method(method: str) -> None:
    """Raises FlowError where this OpenCV does not have the method."""
    if method not in METHODS:
        raise FlowError(f"flow_method={method!r}, must be one of {', '.join(METHODS)}")
    if method == "tvl1" and not hasattr(cv2, "optflow"):
        raise FlowError(
            "flow_method='tvl1' needs OpenCV's contrib modules, which are not installed:"
            " put opencv-contrib-python-headless in the place of opencv-python-headless"
        )


def estimator(method: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function from two frames (H, W, 3) uint8 BGR of one size to the flow between them.

    "dis" is dense inverse search at its medium preset (Kroeger et al., 2016). "tvl1" (Zach et al., 2007) with
    OpenCV's defaults is what I3D and TSN were trained with; it takes about a hundred times as long.

    Returns:
      The function; its flow is (H, W, 2) float32 pixels, not clipped. It raises FlowError on frames that
      are too small or differ in size.

    Raises:
      FlowError: this OpenCV does not have the method.
    """
    check_method(method)
    if method == "dis":
        engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    else:
        engine = cv2.optflow.DualTVL1OpticalFlow_create()

    def estimate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if first.shape != second.shape:
            raise FlowError(f"flow needs frames of one size, found {_size(first)} and {_size(second)} pixels")
        if min(first.shape[:2]) < MIN_SIDE:
            raise FlowError(f"flow needs frames of {MIN_SIDE} or more pixels a side, found {_size(first)}")
        grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
        return engine.calc(*grey, None)

    return estimate


def to_levels(pixels: np.ndarray) -> np.ndarray:
    """Flow in pixels, any shape -> uint8 levels: 0 is -20 pixels or less, 255 is 20 or more."""
    return np.round((np.clip(pixels, -BOUND, BOUND) + BOUND) * (255 / (2 * BOUND))).astype(np.uint8)


def to_pixels(levels: np.ndarray) -> np.ndarray:
    """uint8 levels of `flow_x` or `flow_y`, any shape -> float32 pixels."""
    return np.asarray(levels, np.float32) * np.float32(2 * BOUND / 255) - np.float32(BOUND)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
