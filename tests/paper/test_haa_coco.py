"""HAA-COCO's classes: the rule gives a list of real classes, each with one of the paper's 42 objects."""

from haa_jax.paper import haa_coco
from haa_jax.paper.tables import TABLES
from tfds_haa500 import taxonomy
from tfds_haa500.streams import objects


def test_every_class_is_one_of_the_500_and_has_one_object():
    assert set(haa_coco.NAMES) <= set(taxonomy.load(taxonomy.HAA500_CSV).names)
    assert len(set(haa_coco.NAMES)) == len(haa_coco.NAMES) == 105  # as its documentation and Table 10's note say
    assert "105 classes" in haa_coco.__doc__
    assert "ours are 105 classes" in TABLES["table10"].note


def test_the_objects_are_the_papers_42_in_the_groups_of_the_stream():
    names = {name for group in haa_coco.GROUPS.values() for name in group}
    assert set(haa_coco.CLASSES) <= names
    assert len(names) == 42
    assert {group: len(own) for group, own in haa_coco.GROUPS.items()} == {
        group: len(categories) for group, categories in objects.GROUPS.items()
    }
