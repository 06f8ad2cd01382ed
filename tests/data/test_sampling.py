import numpy as np
import pytest

from haa_jax.data import sampling


def test_every_epoch_shows_every_clip_once_in_another_order():
    orders = [sampling.clip_order(seed=3, epoch=epoch, num_clips=50) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in orders}) == 3
    assert tuple(sampling.clip_order(4, 0, 50)) not in {tuple(order) for order in orders}


def test_batches_run_on_over_the_end_of_an_epoch():
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
    """These draws make a run repeatable; if they change, old runs cannot be resumed exactly: say so in a release."""
    assert list(sampling.clip_order(0, 0, 8)) == [2, 4, 3, 6, 5, 0, 1, 7]
    assert sampling.example_rng(0, 0).integers(1000) == 522


def test_random_starts_cover_the_clip_and_stay_inside():
    rng = np.random.default_rng(0)
    starts = {sampling.random_start(20, frames=8, stride=2, rng=rng) for _ in range(300)}
    assert starts == set(range(6))  # 15 frames are spanned
    assert sampling.random_start(10, frames=8, stride=2, rng=rng) == 0


@pytest.mark.parametrize(("windows", "expected"), [(1, [6]), (2, [0, 12]), (3, [0, 6, 12]), (5, [0, 3, 6, 9, 12])])
def test_window_starts(windows, expected):
    assert sampling.window_starts(20, frames=8, stride=1, windows=windows) == expected


def test_short_clips_have_one_window():
    assert sampling.window_starts(5, frames=8, stride=1, windows=3) == [0, 0, 0]


@pytest.mark.parametrize(
    ("start", "stride", "short_clips", "expected"),
    [
        (0, 1, "loop", [0, 1, 2, 3, 4, 0, 1, 2]),
        (0, 2, "loop", [0, 2, 4, 1, 3, 0, 2, 4]),
        (0, 1, "hold", [0, 1, 2, 3, 4, 4, 4, 4]),
        (0, 2, "hold", [0, 2, 4, 4, 4, 4, 4, 4]),
    ],
)
def test_short_clips_loop_or_hold(start, stride, short_clips, expected):
    assert list(sampling.frame_indices(start, 5, 8, stride, short_clips)) == expected


def test_long_clips_are_read_straight():
    for short_clips in sampling.SHORT_CLIPS:
        assert list(sampling.frame_indices(7, 40, 4, 3, short_clips)) == [7, 10, 13, 16]


def test_segments_are_equal_parts():
    assert list(sampling.segment_positions(12, 4, 0.0)) == [0, 3, 6, 9]
    assert list(sampling.segment_positions(12, 4, 0.5)) == [1, 4, 7, 10]
    assert list(sampling.segment_positions(3, 5, 0.5)) == [0, 0, 1, 2, 2]
    assert list(sampling.segment_positions(1, 3, 0.5)) == [0, 0, 0]


def test_an_offset_next_to_one_stays_inside_the_clip():
    """(24 + offset) rounds to 25 here."""
    for length in (1, 10, 25, 57):
        assert sampling.segment_positions(length, 25, np.nextafter(1, 0)).max() == length - 1


def test_zero_leaves_positions_behind_the_end():
    assert list(sampling.frame_indices(0, 5, 8, 1, "zero")) == list(range(8))
