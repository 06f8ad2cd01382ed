import numpy as np
import pytest

from haa_jax.data.labels import LabelError
from haa_jax.learning import objectives
from tfds_haa500 import taxonomy

TABLE = taxonomy.load(taxonomy.HAA500_CSV)


def test_heads_of_each_objective():
    sizes = {
        objective: {head.name: len(head.classes) for head in objectives.make_heads(objective, TABLE)}
        for objective in objectives.OBJECTIVES
    }
    composites = len(TABLE.composite_names)
    assert sizes == {
        "atomic": {"atomic": 500},
        "composite": {"composite": composites},
        "joint": {"atomic": 500, "composite": composites},
        "multi_label": {"atomic": 500},
    }


@pytest.mark.parametrize(("area", "classes"), [("musical_instruments", 51), ("sports_athletics", 212)])
def test_an_area_has_only_its_classes(area, classes):
    atomic, composite = objectives.make_heads("joint", TABLE, area)
    assert len(atomic.classes) == classes
    assert {TABLE.areas[TABLE.names.index(name)] for name in atomic.classes} == {area}
    inside = {c for c, a in zip(TABLE.composites, TABLE.areas, strict=True) if a == area}
    assert set(composite.classes) == inside
    for head, names in ((atomic, TABLE.names), (composite, TABLE.composite_names)):
        kept = np.flatnonzero(head.class_of_id >= 0)
        assert [names[i] for i in kept] == list(head.classes)
        assert list(head.class_of_id[kept]) == list(range(len(head.classes)))


def test_unknown_area():
    with pytest.raises(LabelError, match=r"area='sports'.*sports_athletics"):
        objectives.make_heads("atomic", TABLE, "sports")


def test_every_objective_evaluates_one_of_its_heads():
    assert {name: objective.evaluated for name, objective in objectives.OBJECTIVES.items()} == {
        "atomic": "atomic",
        "composite": "composite",
        "joint": "composite",
        "multi_label": "atomic",
    }
    for name, objective in objectives.OBJECTIVES.items():
        assert objective.evaluated in [head.name for head in objectives.make_heads(name, TABLE)]


def test_any_column_of_the_class_table_can_be_a_target(monkeypatch):
    target = objectives.Target("area", feature="area", names="area_names", of_class="areas")
    monkeypatch.setitem(objectives.OBJECTIVES, "area", objectives.Objective((target,), evaluated="area"))
    (head,) = objectives.make_heads("area", TABLE)
    assert (head.name, head.feature, head.classes) == ("area", "area", tuple(TABLE.area_names))
    assert head.class_of_id.tolist() == [0, 1, 2, 3]
    (only,) = objectives.make_heads("area", TABLE, TABLE.area_names[2])
    assert (only.classes, only.class_of_id.tolist()) == ((TABLE.area_names[2],), [-1, -1, 0, -1])
