import itertools

import numpy as np
import pytest

from haa_jax.browsing import examples
from haa_jax.data import dataset, pipeline, views
from tests.streams.clips import frames_of, numbered_example, settings

SEED = 5


def test_training_views_are_the_rows_of_the_training(data_dir, tiny_config):
    tiny_config.data.color_jitter = True
    split = dataset.open_split(dataset.open_builder("haa500/tiny", data_dir), "train", ())
    clip, size = 11, len(split)
    seen = list(examples.in_training(split.reader[clip], tiny_config.data, SEED, clip, size, epochs=2))
    batches = pipeline.train_batches(split, tiny_config.data, size, SEED, 0, pipeline.ProcessShard())
    for view, batch in zip(seen, itertools.islice(batches, 2), strict=True):
        found = [row for row in range(size) if np.array_equal(batch["clips"]["rgb"][row], view.clip["rgb"])]
        assert len(found) == 1
    batches.close()
    assert not np.array_equal(seen[0].clip["rgb"], seen[1].clip["rgb"])


@pytest.mark.parametrize(
    "fields",
    [{}, {"sampling": "segments"}, {"sampling": "spread", "stride": 2}, {"fps": 10.0}, {"stream": "flow"}],
    ids=str,
)
def test_positions_are_those_that_were_drawn(fields):
    data = settings(**fields, resize_max=40, flip=False)  # mirrored flow has other levels
    example = numbered_example(14) | {"fps": 20.0}
    for view in examples.in_training(example, data, SEED, 3, 20, epochs=3):
        assert frames_of(view.clip[data.stream], data.stream) == view.positions.tolist()


def test_test_views_are_spread_over_all_of_them():
    data, example = settings(), numbered_example(14)
    every, count = examples.at_test(example, data, pipeline.Views(3, 3), most=9)
    assert count == len(every) == 9
    assert every[5].name == "test, window 2/3, crop 3/3"
    some, count = examples.at_test(example, data, pipeline.Views(3, 3), most=3)
    assert (count, [view.name for view in some]) == (9, [f"test, window {i}/3, crop 1/3" for i in (1, 2, 3)])
    clips = views.ClipViews(lambda: example, data, 3, 3)
    out = views.row(views.empty_clips(data, 1), 0)
    clips.write(5, out)
    np.testing.assert_array_equal(every[5].clip["rgb"], out["rgb"])
    assert frames_of(every[5].clip["rgb"], "rgb") == every[5].positions.tolist()


def test_a_view_is_described_by_its_frames():
    data = settings("skeleton", frames=8)
    (view,), _ = examples.at_test(numbered_example(5), data, pipeline.Views(1, 1), most=4)
    assert examples.describe(view, data) == "test, window 1/1, crop 1/1: frames 0 to 4 of 5, then 3 empty"
    assert examples.seconds(view, {"fps": 10.0}) == pytest.approx(0.5)


def test_a_view_plays_as_fast_as_its_clip():
    data = settings(stride=3)
    (view,), _ = examples.at_test(numbered_example(14), data, pipeline.Views(1, 1), most=1)
    assert examples.seconds(view, {"fps": 10.0}) == pytest.approx(1.2)
