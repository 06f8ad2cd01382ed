import numpy as np
import pytest

from haa_jax.configs import base
from haa_jax.data import sampling


def test_every_epoch_has_every_clip_once_in_a_different_order():
    orders = [sampling.clip_order(seed=3, epoch=epoch, num_clips=50) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in orders}) == 3
    assert tuple(sampling.clip_order(4, 0, 50)) not in {tuple(order) for order in orders}


def test_batches_may_span_epochs():
    seen = np.concatenate(
        [sampling.batch_clips(seed=0, step=step, batch_size=7, num_clips=10)[0] for step in range(10)]
    )
    epochs = seen.reshape(7, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)


def test_a_batch_is_a_function_of_seed_and_step():
    clips, examples = sampling.batch_clips(seed=5, step=1234, batch_size=8, num_clips=100)
    again, _ = sampling.batch_clips(seed=5, step=1234, batch_size=8, num_clips=100)
    assert list(clips) == list(again)
    assert list(examples) == list(range(1234 * 8, 1235 * 8))
    draws = [sampling.example_rng(5, example).random() for example in examples]
    assert len(set(draws)) == 8
    assert sampling.example_rng(5, 9872).random() == draws[0]


def test_the_order_does_not_depend_on_the_batch_size():
    small = np.concatenate([sampling.batch_clips(1, step, 4, 30)[0] for step in range(30)])
    large = np.concatenate([sampling.batch_clips(1, step, 12, 30)[0] for step in range(10)])
    assert list(small) == list(large)


def test_the_golden_order():
    """Runs depend on these draws: if they change, old runs cannot be resumed exactly, and release notes must say so."""
    assert list(sampling.clip_order(0, 0, 8)) == [2, 4, 3, 6, 5, 0, 1, 7]
    assert sampling.example_rng(0, 0).integers(1000) == 522


def settings(**fields):
    data = base.get_config().data
    data.update(fields)
    return data


def starts(length, fps=0.0, windows=1, **fields):
    return sampling.window_starts(length, fps, settings(**fields), windows)


def test_random_windows_cover_the_clip_and_stay_inside():
    data, rng = settings(frames=8, stride=2), np.random.default_rng(0)
    seen = [sampling.train_positions(20, 0.0, data, rng).tolist() for _ in range(300)]
    assert {positions[0] for positions in seen} == set(range(5))  # a window covers 16 frames
    assert all(np.diff(positions).tolist() == [2] * 7 for positions in seen)
    assert sampling.train_positions(10, 0.0, data, rng).tolist() == [0, 2, 4, 6, 8, 0, 2, 4]


@pytest.mark.parametrize(("windows", "expected"), [(1, [6]), (2, [3, 9]), (3, [2, 6, 10]), (0, [0, 6, 12])])
def test_windows_are_centered_in_equal_segments_or_end_to_end(windows, expected):
    assert starts(20, windows=windows, frames=8) == expected


@pytest.mark.parametrize("length", [7, 31, 32, 33, 64, 65, 300])
def test_zero_windows_leave_no_frame_out(length):
    data = settings(frames=32)
    windows = sampling.test_positions(length, 0.0, data, 0)
    assert len(windows) == sampling.num_windows(length, data, 0) == -(-length // 32)
    assert set(np.concatenate(windows)) == set(range(length))


def test_a_given_number_of_windows_is_kept():
    assert sampling.num_windows(20, settings(frames=32), 10) == 10


def test_short_clips_have_one_window():
    assert starts(5, windows=3, frames=8) == [0, 0, 0]
    assert starts(5, windows=3, frames=8, sampling="spread") == [0, 0, 0]


def test_spread_windows_start_at_equal_steps_and_a_single_window_is_centered():
    fields = {"sampling": "spread", "frames": 8, "stride": 2}
    assert starts(41, windows=10, **fields) == [2.5 * index for index in range(10)]
    assert starts(41, windows=1, **fields) == [13]
    assert starts(41, windows=0, **fields) == [0, 12, 25]


def test_spread_frames_reach_from_the_first_to_the_last_of_the_window():
    data = settings(sampling="spread", frames=4, stride=2)
    assert sampling.window(0, 30, 0.0, data).tolist() == [0, 2, 4, 7]
    assert sampling.window(2.5, 30, 0.0, data).tolist() == [2, 4, 7, 9]


@pytest.mark.parametrize(
    ("kind", "fps", "expected"),
    [
        ("window", 30.0, [0, 2, 4, 6]),
        ("window", 15.0, [0, 1, 2, 3]),
        ("window", 25.0, [0, 1, 3, 5]),
        ("window", 60.0, [0, 4, 8, 12]),
        ("spread", 30.0, [0, 2, 4, 7]),
        ("spread", 15.0, [0, 1, 2, 3]),
        ("spread", 60.0, [0, 5, 10, 15]),
    ],
)
def test_a_window_lasts_as_long_at_any_frame_rate(kind, fps, expected):
    data = settings(sampling=kind, frames=4, stride=2, fps=30.0)
    assert sampling.window(0, 100, fps, data).tolist() == expected
    assert sampling.span(fps, data) == pytest.approx(8 * fps / 30)
    room = 100 - sampling.span(fps, data)
    rng = np.random.default_rng(0)
    found = {int(sampling.train_positions(100, fps, data, rng)[0]) for _ in range(3000)}
    assert min(found) == 0
    assert room - 1 <= max(found) <= room


def test_the_rate_of_a_clip_is_ignored_without_a_configured_rate():
    assert sampling.window(0, 100, 60.0, settings(frames=4, stride=2)).tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("stride", "temporal_padding", "expected"),
    [
        (1, "loop", [0, 1, 2, 3, 4, 0, 1, 2]),
        (2, "loop", [0, 2, 4, 1, 3, 0, 2, 4]),
        (1, "clamp", [0, 1, 2, 3, 4, 4, 4, 4]),
        (2, "clamp", [0, 2, 4, 4, 4, 4, 4, 4]),
        (1, "repeat", [0, 1, 2, 3, 3, 3, 3, 3]),
        (2, "repeat", [0, 2, 2, 2, 2, 2, 2, 2]),
        (8, "repeat", [0] * 8),
        (1, "zero", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_padding_past_the_end_of_a_short_clip(stride, temporal_padding, expected):
    assert sampling.within(stride * np.arange(8), 5, temporal_padding).tolist() == expected


def test_a_clip_of_one_frame():
    for temporal_padding in ("loop", "clamp", "repeat"):
        assert sampling.within(np.arange(3), 1, temporal_padding).tolist() == [0, 0, 0]
    for kind in sampling.SAMPLINGS:
        data = settings(sampling=kind, frames=3)
        assert sampling.train_positions(1, 0.0, data, np.random.default_rng(0)).tolist() == [0, 0, 0]
        assert [view.tolist() for view in sampling.test_positions(1, 0.0, data, 2)] == [[0, 0, 0]] * 2


def test_long_clips_are_not_padded():
    for temporal_padding in sampling.TEMPORAL_PADDINGS:
        data = settings(frames=4, stride=3, temporal_padding=temporal_padding)
        assert sampling.window(7, 40, 0.0, data).tolist() == [7, 10, 13, 16]


def test_one_position_is_drawn_in_each_segment_and_the_remainder_is_left_out():
    data, rng = settings(sampling="segments", frames=4), np.random.default_rng(0)
    found = np.array([sampling.train_positions(15, 0.0, data, rng) for _ in range(100)])
    assert [set(column) for column in found.T] == [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9, 10, 11}]


def test_clips_of_fewer_frames_than_segments_train_on_their_first():
    data = settings(sampling="segments", frames=8)
    assert sampling.train_positions(7, 0.0, data, np.random.default_rng(0)).tolist() == [0] * 8


def test_few_stacks_of_flow_are_drawn_and_sorted():
    data = settings(sampling="segments", frames=5, flow_stack=5, stream="flow")
    found = [sampling.train_positions(3, 0.0, data, np.random.default_rng(seed)).tolist() for seed in range(30)]
    assert all(positions == sorted(positions) for positions in found)
    assert {position for positions in found for position in positions} == {0, 1, 2}
    assert sampling.train_positions(1, 0.0, data, np.random.default_rng(0)).tolist() == [0] * 5


def test_centers_of_equal_segments():
    assert sampling.centers(12, 4).tolist() == [1, 4, 7, 10]
    assert sampling.centers(3, 5).tolist() == [0, 0, 1, 2, 2]
    assert sampling.centers(1, 3).tolist() == [0, 0, 0]


def test_views_of_segments_are_interleaved():
    views = sampling.test_positions(16, 0.0, settings(sampling="segments", frames=4), 2)
    assert [view.tolist() for view in views] == [[1, 5, 9, 13], [3, 7, 11, 15]]
