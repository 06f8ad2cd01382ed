import numpy as np
import pytest

from haa_jax import streams
from haa_jax.configs import base
from haa_jax.streams import joints
from tests.streams.clips import settings, textured_example, train, views_at_test


@pytest.mark.parametrize("skeleton", ["coco17", "openpose18"])
def test_a_skeleton_is_both_people_around_the_center(skeleton):
    example = textured_example()
    data = settings("skeleton", skeleton=skeleton, frames=9, flip=False)
    clip = train(example, data)
    assert clip.shape == (2, 9, int(skeleton[-2:]), 3)
    nose = example["pose"][:, :, 0].swapaxes(0, 1)
    np.testing.assert_allclose(clip[:, :6, 0], nose - np.float32([0.5, 0.5, 0]), atol=1e-6)
    assert not clip[:, 6:].any()
    ear = {"coco17": 4, "openpose18": 16}[skeleton]  # the right one
    assert not clip[:, :, ear].any()
    ankle = {"coco17": 15, "openpose18": 13}[skeleton]
    np.testing.assert_allclose(clip[:, :6, ankle, 2], example["pose"][:, :, 15, 2].T)


@pytest.mark.parametrize("skeleton", ["coco17", "openpose18"])
def test_half_of_the_skeletons_are_mirrored(skeleton):
    data = settings("skeleton", skeleton=skeleton, frames=6, flip=False)
    straight = train(textured_example(), data)
    data.flip = True
    mirror = joints.centered(joints.flip(textured_example()["pose"])).swapaxes(0, 1)
    if skeleton == "openpose18":
        mirror = joints.centered(joints.to_openpose(joints.flip(textured_example()["pose"]))).swapaxes(0, 1)
    clips = [train(textured_example(), data, seed) for seed in range(20)]
    is_mirrored = [not np.array_equal(clip, straight) for clip in clips]
    assert 4 <= sum(is_mirrored) <= 16
    for clip, flipped in zip(clips, is_mirrored, strict=True):
        np.testing.assert_allclose(clip, mirror if flipped else straight, atol=1e-6)
    # People right of the center are left of it.
    np.testing.assert_allclose(mirror[:, :, 0, 0], -straight[:, :, 0, 0], atol=1e-6)
    assert np.array_equal(views_at_test(textured_example(), data)[0], straight)


def test_skeletons_move_in_training_only_and_zeros_stay_zero():
    data = settings("skeleton", frames=9, flip=False)
    straight = train(textured_example(), data, 5)
    data.random_move = True
    moved = train(textured_example(), data, 5)
    assert not np.allclose(moved, straight)
    assert not moved[:, 6:].any()
    assert not moved[:, :, 4].any()
    assert np.array_equal(moved[..., 2], straight[..., 2])
    assert np.array_equal(views_at_test(textured_example(), data)[0], straight)


def test_skeletons_pass_unchanged():
    data = base.get_config().data
    data.stream = "skeleton"
    clips = np.random.default_rng(0).normal(size=(2, 2, 5, 17, 3)).astype(np.float32)
    assert np.array_equal(streams.preprocess({"skeleton": clips}, data), clips)
