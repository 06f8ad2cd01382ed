import numpy as np
import pytest

from haa_jax.data import labels
from haa_jax.learning import objectives
from tfds_haa500 import taxonomy

TABLE = taxonomy.load(taxonomy.HAA500_CSV)


@pytest.mark.parametrize("bad", [-1, 500, 99999])
def test_a_label_out_of_range_is_named_on_the_host(bad):
    (head,) = objectives.make_heads("atomic", TABLE)
    with pytest.raises(labels.LabelError, match=rf"1 clips have no class.*clip_b \({bad}\)"):
        labels.classes_of(head, np.array([0, bad]), ["clip_a", "clip_b"])


def test_a_label_of_another_area_is_out_of_range():
    (head,) = objectives.make_heads("atomic", TABLE, "musical_instruments")
    with pytest.raises(labels.LabelError, match="CPR_000"):
        labels.classes_of(head, np.array([TABLE.names.index("CPR")]), ["CPR_000"])


def test_sets_are_multi_hot():
    (head,) = objectives.make_heads("multi_label", TABLE)
    found = labels.classes_of(head, [(3, 499), (0,), (1, 2, 4)], ["a", "b", "c"])
    assert (found.shape, found.dtype) == ((3, 500), np.int8)
    assert [np.flatnonzero(row).tolist() for row in found] == [[3, 499], [0], [1, 2, 4]]
    with pytest.raises(labels.LabelError, match=r"2 clips have no class.*clip_b \(500\), clip_b \(-1\)"):
        labels.classes_of(head, [(1,), (3, 500, -1)], ["clip_a", "clip_b"])
