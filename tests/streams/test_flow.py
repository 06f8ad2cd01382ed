import numpy as np

from tests.streams.clips import numbered_example, settings, train


def test_a_stack_is_x_and_y_of_consecutive_fields():
    data = settings("flow", frames=2, stride=3, flow_stack=3, flip=False)
    clip = train(numbered_example(12), data).astype(float)
    first = round(clip[0, ..., 0].mean() / 8)
    levels = [[[8 * (first + 3 * frame + k), 8 * (first + 3 * frame + k) + 4] for k in range(3)] for frame in range(2)]
    np.testing.assert_allclose(clip.mean((1, 2)), np.reshape(levels, (2, 6)), atol=1)


def test_stacks_end_with_the_clip_and_repeat_the_last_field_of_a_shorter_clip():
    data = settings("flow", frames=3, flow_stack=5, sampling="segments", flip=False)
    last = [train(numbered_example(12), data, seed)[-1].astype(float).mean((0, 1)) for seed in range(80)]
    # 11 fields have stacks of five that start at 0 to 6; three segments of two leave out the last.
    assert sorted({round(levels[0] / 8) for levels in last}) == [4, 5]
    assert max(round(levels[8] / 8) for levels in last) == 9
    short = train(numbered_example(4), data).astype(float).mean((1, 2))  # three fields
    np.testing.assert_allclose(short, [[0, 4, 8, 12, 16, 20, 16, 20, 16, 20]] * 3, atol=1)
