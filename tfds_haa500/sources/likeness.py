"""How alike the pictures of two clips are: finds footage that was taken twice, whatever its cut, size and compression.

A clip is known by a few of its frames, spread over its length, each shrunk to 16x16 pixels, with its mean removed and
scaled to length 1. The product of two such frames is their correlation. Two clips are as alike as the frames of one
have a frame in the other that is like them: the median over the frames of the shorter match of the best correlation.

Two people doing the same in two places are not alike; one person in one video is, also in parts of it that do not
overlap, if the camera rests. Mirrored copies and copies that show a smaller part of the picture are not found.
"""

from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter

FRAMES, SIDE = 8, 16
ALIKE = 0.95  # docs/adding_a_class.md says how often this is right and wrong


def thumbnails(frames: Iterator[av.VideoFrame]) -> list[np.ndarray]:
    """Each frame as a picture (SIDE, SIDE, 3) uint8."""
    reformatter, options = VideoReformatter(), {"format": "rgb24", "interpolation": "AREA", "threads": 1}
    return [reformatter.reformat(frame, width=SIDE, height=SIDE, **options).to_ndarray() for frame in frames]


def signature(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """FRAMES of a clip's thumbnails, in order, as vectors of length 1 (0 if of one color): (FRAMES, 3·SIDE²)."""
    chosen = np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int)
    vectors = np.array([pictures[number] for number in chosen], np.float32).reshape(FRAMES, -1)
    vectors -= vectors.mean(1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def alike(signatures: np.ndarray, threshold: float = ALIKE) -> Iterator[tuple[int, int, float]]:
    """The pairs of clips that are at least this much alike: (first, second, likeness), the first before the second.

    Args:
      signatures: (clips, FRAMES, ...) float32, of `signature`.
    """
    for first in range(len(signatures) - 1):
        products = np.einsum("ix,cjx->cij", signatures[first], signatures[first + 1 :], optimize=True)
        best = np.maximum(np.median(products.max(2), axis=1), np.median(products.max(1), axis=1))
        for later in np.flatnonzero(best >= threshold):
            yield first, first + 1 + int(later), float(best[later])
