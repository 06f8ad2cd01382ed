import numpy as np

from benchmarks import blocks


def in_blocks(clips):
    """(..., time, height, width, 3) as 2x2x2 pixels side by side as channels."""
    *batch, time, height, width, _ = clips.shape
    split = clips.reshape(*batch, time // 2, 2, height // 2, 2, width // 2, 2, 3)
    return np.moveaxis(split, (-6, -4), (-4, -3)).reshape(*batch, time // 2, height // 2, width // 2, 24)


def test_the_host_writes_the_pixels_of_each_block_side_by_side():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (256, 340, 3), np.uint8) for _ in range(blocks.FRAMES)]
    pixels, written = np.zeros(blocks.PIXELS[1:], np.uint8), np.zeros(blocks.BLOCKS[1:], np.uint8)
    blocks.write_pixels(pictures, pixels)
    blocks.write_blocks(pictures, written)
    np.testing.assert_array_equal(written, in_blocks(pixels))


def test_all_forms_are_the_same_convolution():
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(2, 4, 6, 8, 3)).astype(np.float32)
    kernel = rng.normal(size=(7, 7, 7, 3, blocks.FEATURES)).astype(np.float32)
    expected = blocks.plain(clips, kernel)
    for form, shape in blocks.FORMS.values():
        given = clips if shape == blocks.PIXELS else in_blocks(clips)
        np.testing.assert_allclose(form(given, kernel), expected, atol=1e-4)
