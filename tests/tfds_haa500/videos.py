"""Videos in all kinds of containers, whose frames can be told from one another by their brightness."""

import pathlib

import av
import cv2
import numpy as np

from tests.conftest import REAL_CLASS, SIZE, numbered_frame

REAL_CLIPS = REAL_CLASS.parent / "clips"


def write_encoded(path: pathlib.Path, codec: str, num_frames: int, rate: int = 10, **options) -> None:
    """As `write_video`, by another encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={name: str(value) for name, value in options.items()})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 1_000_000
        for t in range(num_frames):
            container.mux(stream.encode(gray_frame(t)))
        container.mux(stream.encode())


def gray_frame(t: int) -> av.VideoFrame:
    image = np.broadcast_to(numbered_frame(t)[..., None], (*SIZE, 3)).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")


def write_gif(path: pathlib.Path, delays: list[int]) -> None:
    """A palette GIF whose frame t is shown for `delays[t]` hundredths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "bgr8"
        for t in range(len(delays)):
            container.mux(stream.encode(gray_frame(t).reformat(format="bgr8")))
        container.mux(stream.encode())
    # The encoder has delays of its own: each stands in the block before its frame.
    first, *blocks = path.read_bytes().split(b"\x21\xf9\x04")
    assert len(blocks) == len(delays)
    blocks = [block[:1] + delay.to_bytes(2, "little") + block[3:] for block, delay in zip(blocks, delays, strict=True)]
    path.write_bytes(b"\x21\xf9\x04".join([first, *blocks]))


def brightness(jpegs) -> np.ndarray:
    """The mean level of each frame, which rises by about 4 a frame in the clips of these tests."""
    return np.array([cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean() for jpeg in jpegs])
