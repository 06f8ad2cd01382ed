"""A clip's flow from the user's own pictures, as yjxiong/dense_flow and open-mmlab/denseflow write them.

They are called flow_x_00001.jpg and flow_y_00001.jpg and so on, counted from 0 or from 1, .jpg or .png. Their levels
have the meaning that this package stores (a bound of 20 pixels). Gray JPEGs of the right size are kept unchanged.
"""

import re
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from tfds_haa500.problems import ClipError

_NAME = re.compile(r"flow_([xy])_(\d{1,9})\.(jpg|jpeg|png)", re.ASCII)
_ROUNDING = 2  # pixels by which a picture's size may differ from that of the stored frames


def read_images(names: Sequence[str], read: Callable[[str], bytes], num_fields: int, size: tuple[int, int], encode):
    """Reads the flow of one clip.

    Args:
      names: the names of the files in the clip's folder.
      read: from a name to the file's bytes.
      num_fields: T - 1 for a clip of T frames.
      size: (width, height) of the clip's stored frames; pictures that differ by up to two pixels are resized.
      encode: from a gray picture, (H, W) uint8, to a JPEG's bytes.

    Returns:
      Two lists of num_fields JPEGs, flow_x and flow_y.

    Raises:
      ClipError: everything that is wrong with the names, or the first picture that cannot be used.
    """
    fields = _numbered(names, num_fields)
    return tuple([_read_image(name, read(name), size, encode) for name in fields[axis]] for axis in ("x", "y"))


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
        problems += _miscounted(axis, numbers, range(first, first + num_fields))
    if problems:
        raise ClipError("; ".join(problems))
    return {axis: [numbers[i][0] for i in sorted(numbers)] for axis, numbers in by_axis.items()}


def _miscounted(axis: str, numbers: dict[int, list[str]], wanted: range) -> list[str]:
    """What is wrong with the numbers of an axis's files."""
    twice = [files for files in numbers.values() if len(files) > 1]
    problems = [f"flow_{axis} has {' and '.join(twice[0])}"] if twice else []
    for what, wrong in (("lacks", set(wanted) - set(numbers)), ("has, beyond the clip,", set(numbers) - set(wanted))):
        if wrong:
            listed = ", ".join(map(str, sorted(wrong)[:5])) + (" ..." if len(wrong) > 5 else "")
            count = f"a clip of {len(wanted) + 1} frames has {len(wanted)} fields"
            problems.append(f"flow_{axis} {what} {listed} ({count})")
    return problems


def _read_image(name: str, data: bytes, size: tuple[int, int], encode) -> bytes:
    """One picture as a JPEG of the right size."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint8:
        raise ClipError(f"{name} is not a picture of 8 bits")
    color = image.ndim == 3
    if color and not (image == image[..., :1]).all():
        raise ClipError(f"{name} is not gray")
    gray = np.ascontiguousarray(image[..., 0]) if color else image
    height, width = gray.shape
    if max(abs(width - size[0]), abs(height - size[1])) > _ROUNDING:
        raise ClipError(f"{name} has {width}x{height} pixels, the clip's frames are stored with {size[0]}x{size[1]}")
    if (width, height) != size:
        return encode(cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR))
    return data if data[:2] == b"\xff\xd8" and not color else encode(gray)
