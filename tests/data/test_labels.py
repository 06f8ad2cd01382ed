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
