import numpy as np
import pytest

from haa_jax.models.skeleton import SKELETONS
from haa_jax.streams import images, joints
from tfds_haa500.streams.pose import JOINTS as NAMES
from tfds_haa500.streams.pose import PEOPLE

OPENPOSE = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip


def test_people_and_joints_are_those_of_the_dataset_and_of_the_graphs():
    """haa_jax keeps its own numbers, since tfds_haa500 imports TensorFlow Datasets."""
    assert joints.PEOPLE == PEOPLE
    assert joints.NUM_JOINTS["coco17"] == len(NAMES)
    assert {name: skeleton.joints for name, skeleton in SKELETONS.items()} == joints.NUM_JOINTS


def some_joints(*shape, seed=0):
    """x, y in 0..1 and scores; joint 3, a left one, is not detected."""
    found = np.random.default_rng(seed).uniform(0.1, 1, (*shape, 17, 3)).astype(np.float32)
    found[..., 3, :] = 0
    return found


def test_flipping_moves_left_joints_to_the_right():
    before = some_joints(2)
    after = joints.flip(before)
    assert after.dtype == np.float32
    for j, name in enumerate(NAMES):
        other = NAMES.index(name.replace("left", "RIGHT").replace("right", "left").lower())
        x, y, score = before[0, other]
        assert after[0, j] == pytest.approx([1 - x if score else 0, y, score])
    assert not after[:, NAMES.index("right_ear")].any()


def test_flipping_twice_changes_nothing():
    before = some_joints(4, 2)
    np.testing.assert_allclose(joints.flip(joints.flip(before)), before, atol=1e-6)


def test_to_crop_takes_joints_to_pixels():
    one = np.zeros((17, 3), np.float32)
    one[9] = 0.5, 0.25, 0.7  # left wrist
    box = images.Box(top=10, left=20, height=40, width=80)
    placed = joints.to_crop(one, 100, 200, box, 20)
    assert placed[9] == pytest.approx([(100 - 20) / 4, (25 - 10) / 2, 0.7])
    mirrored = joints.to_crop(one, 100, 200, images.Box(10, 20, 40, 80, flip=True), 20)
    assert mirrored[10] == pytest.approx([0, 7.5, 0.7])
    assert not placed[:9, 2].any()
    assert one[9, 0] == 0.5  # the argument is not changed


def test_openpose_has_its_own_order_and_a_neck():
    coco = some_joints(3)
    openpose = joints.to_openpose(coco)
    assert openpose.shape == (3, 18, 3)
    for j, name in enumerate(OPENPOSE):
        if name != "neck":
            assert np.array_equal(openpose[:, j], coco[:, NAMES.index(name)]), name
    left, right = coco[:, 5], coco[:, 6]
    np.testing.assert_allclose(openpose[:, 1, :2], (left + right)[:, :2] / 2, rtol=1e-6)
    assert np.array_equal(openpose[:, 1, 2], np.minimum(left[:, 2], right[:, 2]))


def test_there_is_no_neck_without_both_shoulders():
    coco = some_joints(1)
    coco[:, 6] = 0
    assert not joints.to_openpose(coco)[:, 1].any()


def test_centered_moves_detected_joints_only():
    before = some_joints(2)
    after = joints.centered(before)
    assert after.dtype == np.float32
    assert not after[:, 3].any()
    np.testing.assert_allclose(after[:, 4:], before[:, 4:] - np.float32([0.5, 0.5, 0]), atol=1e-7)


def moved_course(seed, frames=11):
    """Rotation (degrees), scale and shift of random_move with this seed, for each frame."""
    probe = np.zeros((2, frames, 3, 3))
    probe[..., 2] = 1
    probe[..., 1, 0] = 0.4  # around a joint at the center: one to its right and one below
    probe[..., 2, 1] = 0.4
    moved = joints.random_move(probe, np.random.default_rng(seed))
    assert np.array_equal(moved[0], moved[1])  # both people in the same way
    shift, right, down = (moved[0, :, j, :2] for j in range(3))
    right, down = (right - shift) / 0.4, (down - shift) / 0.4
    np.testing.assert_allclose(down, np.stack([-right[:, 1], right[:, 0]], -1), atol=1e-12)  # a rotation, no shear
    return np.rad2deg(np.arctan2(right[:, 1], right[:, 0])), np.linalg.norm(right, axis=-1), *shift.T


def test_random_move_is_linear_in_time_between_the_documented_draws():
    choices = [(-10, -5, 0, 5, 10), (0.9, 1, 1.1), *[(-0.2, -0.1, 0, 0.1, 0.2)] * 2]
    ends = [set() for _ in choices]
    for seed in range(60):
        for course, allowed, seen in zip(moved_course(seed), choices, ends, strict=True):
            np.testing.assert_allclose(np.diff(course, 2), 0, atol=1e-9)
            for end in (course[0], course[-1]):
                assert np.isclose(allowed, end, atol=1e-9).any(), f"{end} is none of {allowed}"
                seen.add(round(end, 6))
    assert [sorted(seen) for seen in ends] == [sorted(allowed) for allowed in choices]


def test_random_move_leaves_undetected_joints_and_scores_alone():
    before = joints.centered(some_joints(2, 9))
    copy = before.copy()
    after = joints.random_move(before, np.random.default_rng(3))
    assert after.dtype == np.float32
    assert not after[:, :, 3].any()
    assert np.array_equal(after[..., 2], before[..., 2])
    assert np.array_equal(before, copy)
    assert np.isfinite(joints.random_move(before[:, :1], np.random.default_rng(3))).all()  # one frame
