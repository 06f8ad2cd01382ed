"""AlphaPose's JSON -> (T, 2, 17, 3), and everything that a pose file can get wrong."""

import json
import re

import numpy as np
import pytest

from tfds_haa500.demo import motion as demo_motion
from tfds_haa500.problems import ClipError
from tfds_haa500.streams import pose

SIZE = (200, 100)  # width, height


def joints_of(person: float) -> np.ndarray:
    """(17, 3): x, y in pixels, score; different for every joint and person."""
    joint = np.arange(17)
    return np.stack([10 * joint + person, 5 * joint + person, joint / 20], axis=1)


def entry(image_id, score=1.0, person=0.0, **others) -> dict:
    keypoints = [float(value) for value in joints_of(person).ravel()]
    return {"image_id": image_id, "category_id": 1, "keypoints": keypoints, "score": score} | others


def parse(*entries, num_frames=4) -> np.ndarray:
    return pose.parse(json.dumps(entries).encode(), num_frames, SIZE)


def problems_of(*entries, num_frames=4) -> list[str]:
    with pytest.raises(ClipError) as error:
        parse(*entries, num_frames=num_frames)
    return error.value.problems


def with_value(index: int, value) -> dict:
    changed = entry(0)
    changed["keypoints"][index] = value
    return changed


def fractions(person: float) -> np.ndarray:
    return (joints_of(person) / (*SIZE, 1)).astype(np.float32)


def test_place_order_and_scale():
    found = parse(
        entry("2.jpg", 1.5, 1), entry("2.jpg", 2.5, 2), entry("2.jpg", 0.5, 3), entry("0.jpg", 0.1, 4), entry("3.jpg")
    )
    assert found.shape == (4, 2, 17, 3)
    assert found.dtype == np.float32
    assert np.array_equal(found[2], [fractions(2), fractions(1)])  # the third person is left out
    assert np.array_equal(found[0], [fractions(4), np.zeros((17, 3))])
    assert not found[1].any()  # nobody was found
    assert np.array_equal(found[3, 0], fractions(0))


def test_equal_scores_stay_in_the_order_of_the_file():
    found = parse(entry(0, 1, 5), entry(0, 1, 6))
    assert np.array_equal(found[0], [fractions(5), fractions(6)])


@pytest.mark.parametrize("image_id", [3, "3", "3.jpg", "000003.png"])
def test_forms_of_a_frame_number(image_id):
    assert parse(entry(image_id)).any((1, 2, 3)).tolist() == [False, False, False, True]


def test_nobody_in_the_whole_clip():
    assert not parse().any()


def test_joints_are_those_that_the_demo_draws():
    for joint, name in enumerate(pose.JOINTS):
        assert getattr(demo_motion, name.upper().replace("LEFT", "L").replace("RIGHT", "R")) == joint


def test_mirrored_joints_are_those_of_the_other_side():
    other = {"left": "right", "right": "left"}
    for name, mirrored in zip(pose.JOINTS, pose.MIRRORED, strict=True):
        side, _, what = name.partition("_")
        assert pose.JOINTS[mirrored] == (f"{other[side]}_{what}" if what else name)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("person", "is 'person', must be an object"),
        ({"image_id": 0, "keypoints": []}, "has no score"),
        ({"category_id": 1}, "has no image_id and no keypoints and no score"),
        (entry("frame_0.jpg"), "has image_id 'frame_0.jpg', must be like 12, '12.jpg' or '000012.png'"),
        (entry(1.0), "has image_id 1.0"),
        (entry(True), "has image_id True"),
        (entry(0, score=float("nan")), "has score nan, must be a finite number"),
        (entry(0, score="1"), "has score '1'"),
        (entry(0, keypoints=[1.0] * 54), "has 54 numbers as keypoints, must have 51"),
        (entry(0, keypoints="51"), "has '51' as keypoints"),
        (with_value(3, "7"), "has keypoints that are not numbers"),
        (with_value(3, 10**400), "has keypoints that are not numbers"),
        (with_value(27, float("inf")), "has left_wrist not finite"),
        (with_value(50, float("nan")), "has right_ankle not finite"),
        (with_value(2, 90), "has nose with score 90, must be 0 to 6"),
        (with_value(5, -0.1), "has left_eye with score -0.1"),
        (with_value(27, 301), "has left_wrist at (301, 45), far outside the frame of 200x100 pixels"),
        (with_value(28, -51), "has left_wrist at (90, -51), far outside"),
    ],
)
def test_bad_entries(bad, reason):
    (problem,) = problems_of(entry(0), bad)
    assert problem.startswith(f"entry 1 {reason}")


def test_joints_a_little_outside_are_kept():
    found = parse(with_value(27, 299.0))
    assert found[0, 0, 9, 0] == pytest.approx(1.495)


def test_frames_outside_the_clip():
    assert problems_of(entry(0), entry(7), entry(-1)) == ["has frames -1, 7, but the clip's are 0 to 3"]
    counted_from_1 = problems_of(*[entry(f"{t:04d}.png") for t in (1, 2, 3, 4)])
    assert counted_from_1 == ["has frames 4, but the clip's are 0 to 3; these seem to be counted from 1"]
    assert "..." in problems_of(*[entry(t) for t in range(20)])[0]


def test_one_frame_by_two_names():
    assert problems_of(entry("2.jpg"), entry("0002.jpg"), entry(1), entry("1.jpg"), entry("3.jpg")) == [
        "names frame 1 as '1.jpg' and 1 (and 1 more frames)"
    ]


def test_all_kinds_at_once_each_with_its_number():
    problems = problems_of(*[entry(0, keypoints=[1.0])] * 30, entry(9), with_value(0, float("nan")))
    assert len(problems) == 3
    assert re.fullmatch(r"entry 0 has 1 numbers .* \(and 29 more entries\)", problems[0])
    assert "nose not finite" in problems[1]
    assert "frames 9" in problems[2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[" + b"9" * 5000 + b"]", "is not JSON"),
        (b'{"bodies": []}', "is a JSON dict, must be a list of people"),
        (b"3", "is a JSON int"),
    ],
)
def test_not_a_list(data, reason):
    with pytest.raises(ClipError, match=reason):
        pose.parse(data, 4, SIZE)
