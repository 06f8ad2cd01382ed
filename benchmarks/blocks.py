"""Whether it would pay to hand over clips as blocks of 2x2x2 pixels, which is not done.

    python -m benchmarks.blocks

Of such blocks as channels, a first convolution of 7x7x7 at a stride of 2 is one of 4x4x4 at a stride of 1. Prints what
writing the blocks adds to a clip of 32 frames of 224 pixels on the host (CPU milliseconds, median of 30), and what a
TPU's compiler says of the forms of I3D's first convolution with the gradient of its kernel: 8 clips on one v5e chip,
bfloat16, at the effort of training. Nothing is run on a TPU; needs libtpu (`pip install "haa_jax[tpu]"`).
"""

import re
import statistics
import time

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.compile_for import find_target
from benchmarks.figures import line
from haa_jax.models import tpu_convolution, xla_convolution

CLIPS, FRAMES, SIZE, FEATURES = 8, 32, 224, 64
TOP, LEFT = 16, 58  # of the crop in a picture
PADS, BLOCK_PADS = ((2, 3),) * 3, ((1, 2),) * 3  # before and after: SAME, of pixels and of blocks
PIXELS = (CLIPS, FRAMES, SIZE, SIZE, 3)
BLOCKS = (CLIPS, FRAMES // 2, SIZE // 2, SIZE // 2, 24)


def write_pixels(pictures: list[np.ndarray], out: np.ndarray) -> None:
    for picture, row in zip(pictures, out, strict=True):
        row[...] = picture[TOP : TOP + SIZE, LEFT : LEFT + SIZE]


def write_blocks(pictures: list[np.ndarray], out: np.ndarray) -> None:
    """Two neighbors in a row are three numbers of 16 bits; OpenCV merges those of two rows of two pictures."""
    for t in range(0, FRAMES, 2):
        levels = [picture.reshape(len(picture), -1)[:, 3 * LEFT : 3 * (LEFT + SIZE)] for picture in pictures[t : t + 2]]
        rows = [picture[TOP + row : TOP + SIZE : 2] for picture in levels for row in (0, 1)]
        cv2.merge([row.view(np.uint16).reshape(SIZE // 2, SIZE // 2, 3) for row in rows], out[t // 2].view(np.uint16))


def write_ms(write, shape) -> float:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (256, 340, 3), np.uint8) for _ in range(FRAMES)]
    out, times = np.zeros(shape, np.uint8), []
    for _ in range(30):
        start = time.thread_time()
        write(pictures, out)
        times.append(1e3 * (time.thread_time() - start))
    return statistics.median(times)


def of_blocks(kernel):
    """The kernel (7, 7, 7, 3, features) for blocks: (4, 4, 4, 24, features)."""
    padded = jnp.pad(kernel, ((0, 1),) * 3 + ((0, 0),) * 2)
    taps = padded.reshape(4, 2, 4, 2, 4, 2, 3, FEATURES).transpose(0, 2, 4, 1, 3, 5, 6, 7)
    return taps.reshape(4, 4, 4, 24, FEATURES)


def plain(x, kernel):
    return xla_convolution.forward_3d(x, kernel, (2, 2, 2), PADS)


def ours(x, kernel):
    return tpu_convolution.forward(x, kernel, (2, 2, 2), PADS)


def blocks(x, kernel):
    return xla_convolution.forward_3d(x, of_blocks(kernel), (1, 1, 1), BLOCK_PADS)


def blocks_and_taps(x, kernel):
    length = x.shape[1]
    x = jnp.pad(x, ((0, 0), BLOCK_PADS[0], *((0, 0),) * 3))
    x = jnp.concatenate([x[:, tap : tap + length] for tap in range(4)], axis=-1)
    wide = jnp.moveaxis(of_blocks(kernel), 0, 2).reshape(1, 4, 4, 96, FEATURES)
    return xla_convolution.forward(x, wide, (1, 1, 1), ((0, 0), *BLOCK_PADS[1:]))


FORMS = {
    "plain": (plain, PIXELS),
    "ours: taps over time as channels": (ours, PIXELS),
    "blocks": (blocks, BLOCKS),
    "blocks, taps over time as channels": (blocks_and_taps, BLOCKS),
}


def compiled(form, shape, device):
    def step(clips, kernel, dy):
        def activations(kernel):
            x = (clips.astype(jnp.float32) / 127.5 - 1).astype(jnp.bfloat16)
            return jax.nn.relu(form(x, kernel.astype(jnp.bfloat16)))

        y, pull_back = jax.vjp(activations, kernel)
        return y, pull_back(dy * y)[0]

    place = jax.sharding.SingleDeviceSharding(device)
    arrays = (shape, np.uint8), ((7, 7, 7, 3, FEATURES), np.float32), ((*BLOCKS[:-1], FEATURES), jnp.bfloat16)
    structs = [jax.ShapeDtypeStruct(*array, sharding=place) for array in arrays]
    return jax.jit(step).lower(*structs).compile()


def main() -> None:
    jax.config.update("jax_platforms", "cpu")
    cv2.setNumThreads(1)
    shapes = {"pixels": (write_pixels, PIXELS[1:]), "blocks": (write_blocks, BLOCKS[1:])}
    print(
        ", ".join(f"{name}: {write_ms(*each):.2f} ms a clip" for name, each in shapes.items()), end="\n\n", flush=True
    )
    print(line(("form", "estimated cycles, millions", "temporary MB", "GB moved")), line(["---"] * 4), sep="\n")
    device = find_target("v5e:2x4", None).devices[0]
    for name, (form, shape) in FORMS.items():
        program = compiled(form, shape, device)
        cycles = sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', program.as_text()))) / 1e6
        temporary = program.memory_analysis().temp_size_in_bytes / 1e6
        moved = program.cost_analysis()["bytes accessed"] / 1e9
        print(line((name, f"{cycles:.1f}", f"{temporary:,.0f}", f"{moved:.2f}")), flush=True)


if __name__ == "__main__":
    main()
