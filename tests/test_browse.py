import re

import pytest

from haa_jax import browse
from haa_jax.data.dataset import DatasetError
from tfds_haa500.browsing.picks import BrowseError


def test_a_training_clip_is_shown_in_epochs_and_at_test(tiny_config):
    tiny_config.eval.windows = 2
    text = browse.browse(tiny_config, clips=4, epochs=2, most_views=1)
    assert "Showing 4 of 64 clips" in text
    headings = [name.partition(":")[0] for name in re.findall("<h3>(.*?)</h3>", text)]
    assert headings == ["epoch 1", "epoch 2", "test, window 1/2, crop 1/1", "1 of 2 test views"] * 4
    assert len(set(re.findall(r"<h2>(.*?)_\d\d\d</h2>", text))) == 4


def test_clips_of_other_splits_are_shown_at_test_only(tiny_config):
    text = browse.browse(tiny_config, split="test", classes=["CPR"])
    assert "Showing all 3 clips." in text
    assert re.findall("<h3>(.*?):", text) == ["test, window 1/1, crop 1/1"] * 3


def test_what_cannot_be_shown(tiny_config):
    with pytest.raises(BrowseError, match="no class 'cpr'"):
        browse.browse(tiny_config, classes=["cpr"])
    tiny_config.area = "musical_instruments"
    with pytest.raises(BrowseError, match="no clips of the classes CPR"):
        browse.browse(tiny_config, classes=["CPR"])
    tiny_config.data.stream = "flow"
    with pytest.raises(DatasetError, match="needs flow_x, flow_y"):
        browse.browse(tiny_config)
