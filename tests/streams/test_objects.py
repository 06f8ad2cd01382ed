import numpy as np

from haa_jax.streams import objects
from tests.streams.clips import encode, settings, views_at_test
from tfds_haa500.streams.objects import COLUMNS, GROUPS


def test_groups_and_columns_are_those_of_the_dataset():
    """haa_jax keeps its own numbers, since tfds_haa500 imports TensorFlow Datasets."""
    assert len(GROUPS) == objects.GROUPS
    assert [COLUMNS[objects._FRAME], COLUMNS[objects._GROUP], COLUMNS[objects._SCORE]] == ["frame", "group", "score"]
    assert COLUMNS[objects._BOX] == ("x", "y", "width", "height")


def test_the_highest_score_counts_and_only_in_its_frame():
    found = np.array([[1, 0, 0, 0, 1, 1, 0.2], [1, 0, 0, 0, 0.5, 1, 0.9], [4, 3, 0, 0, 1, 1, 1]], np.float32)
    example = {"video": [encode(np.zeros((48, 80, 3), np.uint8))] * 5, "objects": found}
    heat = views_at_test(example, settings("rgb+objects", frames=5, resize=48, crop=48))["objects"][0]
    assert not heat[[0, 2, 3]].any()
    assert heat[1, :, :24, 0].min() == 229  # the crop's middle is the frame's
    assert set(np.unique(heat[1, :, 24:, 0])) == {51}
    assert heat[4, ..., 3].min() == 255
