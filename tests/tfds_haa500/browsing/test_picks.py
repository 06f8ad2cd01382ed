import numpy as np
import pytest

from tfds_haa500.browsing import picks
from tfds_haa500.records import ClipIndex

LABELS = np.array([0] * 50 + [1] * 3 + [2])


def index(labels) -> ClipIndex:
    names = [str(i) for i in range(len(labels))]
    return ClipIndex(names, labels, names, labels, labels, labels % 2, labels)


def test_clips_are_spread_over_the_classes():
    chosen = picks.spread(LABELS, 7, seed=0)
    assert np.bincount(LABELS[chosen]).tolist() == [3, 3, 1]
    assert len(set(chosen.tolist())) == 7
    assert (np.diff(chosen) > 0).all()


def test_the_seed_chooses_others():
    first, again, other = (picks.spread(LABELS, 7, seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


def test_fewer_clips_than_asked_for_are_all_shown():
    assert picks.spread(LABELS, 1000, seed=3).tolist() == list(range(54))


def test_classes_and_areas_are_selected_by_name():
    clips = index(np.array([0, 1, 2, 1]))
    selected = lambda **which: picks.selected(clips, ["a", "b", "c"], ["even", "odd"], **which).tolist()  # noqa: E731
    assert selected() == [0, 1, 2, 3]
    assert selected(classes=["b", "c"]) == [1, 2, 3]
    assert selected(area="even") == [0, 2]
    assert selected(classes=["b"], area="even") == []
    with pytest.raises(picks.BrowseError, match="no area 'evn'; did you mean 'even'"):
        selected(area="evn")
    with pytest.raises(picks.BrowseError, match="no class 'z'"):
        selected(classes=["z"])


def test_the_page_says_how_many_of_how_many():
    assert picks.count_line(60, 10000, 0).startswith("Showing 60 of 10,000 clips")
    assert picks.count_line(12, 12, 0) == "Showing all 12 clips."
