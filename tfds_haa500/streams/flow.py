"""Optical flow between the frames of a clip, stored as two gray pictures a field: computed by OpenCV, or read.

Field t is the motion from frame t to frame t + 1 in pixels of the stored frames: x to the right, y down. Each
is clipped to +-20 pixels and stored with 8 bits, as the two-stream networks since TSN take it. The levels lie
40 / 255 (0.157) pixels apart, and no level is exactly zero: stillness is stored as 128, which reads 0.078.
"""

import re
from collections.abc import Callable, Sequence

import cv2
import numpy as np

METHODS = ("dis", "tvl1")
IMAGES = "images"  # in the place of a method: the user's own flow
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
        gray = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
        return engine.calc(*gray, None)

    return estimate


def to_levels(pixels: np.ndarray) -> np.ndarray:
    """Flow in pixels, any shape -> uint8 levels: 0 is -20 pixels or less, 255 is 20 or more."""
    return np.round((np.clip(pixels, -BOUND, BOUND) + BOUND) * (255 / (2 * BOUND))).astype(np.uint8)


def to_pixels(levels: np.ndarray) -> np.ndarray:
    """uint8 levels of `flow_x` or `flow_y`, any shape -> float32 pixels."""
    return np.asarray(levels, np.float32) * np.float32(2 * BOUND / 255) - np.float32(BOUND)


def read_images(names: Sequence[str], read: Callable[[str], bytes], num_fields: int, size: tuple[int, int], encode):
    """A clip's flow from pictures of the user's own, as yjxiong/dense_flow and open-mmlab/denseflow leave them.

    Their names are flow_x_00001.jpg and flow_y_00001.jpg and so on, counted from 0 or from 1, .jpg or .png; their
    levels mean what ours do (a bound of 20 pixels). Gray JPEGs of the right size are taken as they are.

    Args:
      names: what is in the clip's folder.
      read: from a name to the file's bytes.
      num_fields: T - 1, one less than the clip has frames.
      size: (width, height) of the clip's stored frames; within two pixels, as rounding has it, pictures are resized.
      encode: from a gray picture to a JPEG's bytes.

    Returns:
      Two lists of num_fields JPEGs, flow_x and flow_y.

    Raises:
      FlowError: all that is wrong with the names, or the first fault in a picture.
    """
    fields = _numbered(names, num_fields)
    return tuple([_read_image(name, read(name), size, encode) for name in fields[axis]] for axis in ("x", "y"))


_NAME = re.compile(r"flow_([xy])_(\d{1,9})\.(jpg|jpeg|png)", re.ASCII)
_ROUNDING = 2  # pixels


def _numbered(names: Sequence[str], num_fields: int) -> dict[str, list[str]]:
    """The names of each axis in order."""
    names = sorted(name for name in names if not name.startswith("."))
    matches = {name: _NAME.fullmatch(name) for name in names}
    strange = [name for name, match in matches.items() if not match]
    problems = [f"{len(strange)} files are not named like flow_x_00001.jpg ({strange[0]})"] if strange else []
    by_axis = {axis: {} for axis in "xy"}
    for name, match in matches.items():
        if match:
            by_axis[match[1]].setdefault(int(match[2]), []).append(name)
    first = 0 if any(0 in numbers for numbers in by_axis.values()) else 1
    for axis, numbers in by_axis.items():
        wanted = set(range(first, first + num_fields))
        twice = [files for files in numbers.values() if len(files) > 1]
        problems += [f"flow_{axis} has {' and '.join(twice[0])}"] if twice else []
        for what, wrong in (("lacks", wanted - set(numbers)), ("has, beyond the clip,", set(numbers) - wanted)):
            if wrong:
                listed = ", ".join(map(str, sorted(wrong)[:5])) + (" ..." if len(wrong) > 5 else "")
                problems.append(
                    f"flow_{axis} {what} {listed} (a clip of {num_fields + 1} frames has {num_fields} fields)"
                )
    if problems:
        raise FlowError("; ".join(problems))
    return {axis: [numbers[i][0] for i in sorted(numbers)] for axis, numbers in by_axis.items()}


def _read_image(name: str, data: bytes, size: tuple[int, int], encode) -> bytes:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint8:
        raise FlowError(f"{name} is not a picture of 8 bits")
    color = image.ndim == 3
    if color and not (image == image[..., :1]).all():
        raise FlowError(f"{name} is not gray")
    gray = np.ascontiguousarray(image[..., 0]) if color else image
    if max(abs(gray.shape[1] - size[0]), abs(gray.shape[0] - size[1])) > _ROUNDING:
        raise FlowError(f"{name} has {_size(gray)} pixels, the clip's frames are stored with {size[0]}x{size[1]}")
    if gray.shape != size[::-1]:
        return encode(cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR))
    return data if data[:2] == b"\xff\xd8" and not color else encode(gray)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
