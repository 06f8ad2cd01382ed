"""Boxes of the person of interest: what is read, and everything that such a file can get wrong."""

import numpy as np
import pytest

from tfds_haa500.problems import ClipError
from tfds_haa500.streams import boxes

SIZE = (200, 100)  # width, height


HEAD = "frame,x,y,width,height\n"


def read_boxes(text, num_frames=3):
    return boxes.parse(text.encode(), num_frames, SIZE)


def test_boxes_become_fractions_in_the_order_of_the_frames():
    found = read_boxes(HEAD + "2,0,0,200,100\n0,50,25,100,50\r\n1,-0.5,99,1.5,1.5\n")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.5, 0.5], [-0.0025, 0.99, 0.0075, 0.015], [0, 0, 1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["is empty, its first line must be 'frame,x,y,width,height'"]),
        ("0,1,1,1,1\n", ["has the first line '0,1,1,1,1', must be"]),
        (HEAD + "0,1,1,1,1\n2,1,1,1,1\n", ["has no box for frame 1; every frame of the clip (0 to 2)"]),
        (HEAD, ["has no box for frame 0, 1, 2;"]),
        (HEAD + "0,1,1,1,1\n1,1,1,1,1\n1,2,2,2,2\n2,1,1,1,1\n", ["has two boxes for frame 1"]),
        (HEAD + "0,1,1,1,1\n1,1,1,1,1\n2,1,1,1,1\n3,1,1,1,1\n", ["has frames 3, but the clip's are 0 to 2"]),
        (
            HEAD + "1,1,1,1,1\n2,1,1,1,1\n3,1,1,1,1\n",
            ["has frames 3, but the clip's are 0 to 2; these seem to be counted from 1"],
        ),
        (HEAD + "0,1,1,1\n1,1,1,1\n2,1,1,1,1\n", ["line 2 has 4 fields, must have 5 (and 1 more lines)"]),
        (HEAD + "a,1,1,1,1\n-1,1,1,1,1\n", ["line 2 has frame 'a', must be a whole number from 0 (and 1 more"]),
        (HEAD + "0,x,1,1,1\n", ["line 2 is not a box (could not convert string to float: 'x')"]),
        (HEAD + "0,nan,1,1,1\n", ["line 2 has a box that is not finite"]),
        (HEAD + "0,1,1,0,1\n", ["line 2 has a box of 0x1 pixels"]),
        (HEAD + "0,150,1,60,1\n", ["line 2 has a box from (150, 1) to (210, 2), outside the frame of 200x100"]),
        (
            HEAD + "0,1,1,0,1\n1,0,0,9,200\n7,1,1,1,1\n",
            ["line 2 has a box of", "line 3 has a box from", "has frames 7"],
        ),
        ('frame,"x\n', ["is not a CSV file ("]),
    ],
)
def test_faulty_boxes_are_named(text, problems):
    with pytest.raises(ClipError) as error:
        read_boxes(text)
    for found, wanted in zip(error.value.problems, problems, strict=True):
        assert found.startswith(wanted)


def test_boxes_that_are_no_text():
    with pytest.raises(ClipError, match="is not a CSV file"):
        boxes.parse(b"\xff\xfe\x00", 1, SIZE)
