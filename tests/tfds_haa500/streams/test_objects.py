"""Detected objects: what is read, and everything that such a file can get wrong."""

import json
import re

import numpy as np
import pytest

from tfds_haa500.problems import ClipError
from tfds_haa500.streams import objects

SIZE = (200, 100)  # width, height


def detection(image_id=0, category_id=37, bbox=(20, 10, 40, 20), score=0.5, **others):
    return {"image_id": image_id, "category_id": category_id, "bbox": list(bbox), "score": score} | others


def read_objects(*entries, num_frames=4):
    return objects.parse(json.dumps(entries).encode(), num_frames, SIZE)


def test_objects_by_frame_with_their_group():
    found = read_objects(
        detection("3.jpg", 48),
        detection("000001.png", 3, score=1),
        detection("2", 1),
        detection("3.jpg", 59, (0, 0, 200, 100)),
    )
    assert found.dtype == np.float32
    expected = [[1, 3, 0.1, 0.1, 0.2, 0.2, 1], [3, 4, 0.1, 0.1, 0.2, 0.2, 0.5], [3, 1, 0, 0, 1, 1, 0.5]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_objects_at_all():
    assert read_objects().shape == (0, 7)
    assert read_objects(detection(category_id=1)).shape == (0, 7)  # a person


def test_the_groups_are_the_papers():
    assert [len(categories) for categories in objects.GROUPS.values()] == [10, 10, 10, 8, 4]
    assert len(objects.GROUP_OF) == 42
    assert len(objects.CATEGORIES) == 80
    assert set(objects.GROUP_OF) < objects.CATEGORIES


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (
            [detection(category_id=12), detection(category_id=91)],
            "entry 0 has category_id 12, which is none of COCO's 80",
        ),
        ([detection(category_id="37")], "entry 0 has category_id '37'"),
        ([detection(score=1.5)], "entry 0 has score 1.5, must be a number from 0 to 1"),
        ([detection(score=float("nan"))], "entry 0 has score nan"),
        ([detection(bbox=(1, 2, 3))], r"entry 0 has bbox [1, 2, 3], must be four numbers"),
        ([detection(bbox=(1, 2, 3, float("inf")))], "entry 0 has a box that is not finite"),
        ([detection(bbox=(1, 2, 0, 3))], "entry 0 has a box of 0x3 pixels"),
        ([detection(bbox=(190, 2, 30, 3))], "entry 0 has a box from (190, 2) to (220, 5), outside the frame"),
        ([detection(image_id=4)], "has frames 4, but the clip's are 0 to 3"),
        ([detection(), detection("0.jpg")], "names frame 0 as '0.jpg' and 0"),
        ([{"image_id": 0}], "entry 0 has no category_id and no bbox and no score"),
        ([3], "entry 0 is 3, must be an object"),
        ([detection(image_id="x.jpg")], "entry 0 has image_id 'x.jpg', must be like 12"),
    ],
)
def test_faulty_objects_are_named(entries, problem):
    with pytest.raises(ClipError, match="^" + re.escape(problem)):
        read_objects(*entries)


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"{", "is not JSON"), (b"{}", r"is a JSON dict, must be a list of detections"), (b"[" * 9999, "is not JSON")],
)
def test_files_of_another_kind_are_named(data, problem):
    with pytest.raises(ClipError, match=problem):
        objects.parse(data, 4, SIZE)
