import jax.numpy as jnp
import numpy as np
import optax
import pytest

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
    with pytest.raises(objectives.ObjectiveError, match=r"area='sports'.*sports_athletics"):
        objectives.make_heads("atomic", TABLE, "sports")


@pytest.mark.parametrize("bad", [-1, 500, 99999])
def test_a_label_out_of_range_is_named_on_the_host(bad):
    (head,) = objectives.make_heads("atomic", TABLE)
    with pytest.raises(objectives.ObjectiveError, match=rf"1 clips have no class.*clip_b \({bad}\)"):
        objectives.check_labels(head, np.array([0, bad]), ["clip_a", "clip_b"])


def test_a_label_of_another_area_is_out_of_range():
    (head,) = objectives.make_heads("atomic", TABLE, "musical_instruments")
    with pytest.raises(objectives.ObjectiveError, match="CPR_000"):
        objectives.check_labels(head, np.array([TABLE.names.index("CPR")]), ["CPR_000"])


def test_the_joint_loss_is_the_sum_of_both_cross_entropies():
    logits = {"atomic": jnp.log(jnp.array([[0.5, 0.25, 0.25]])), "composite": jnp.log(jnp.array([[0.9, 0.1]]))}
    labels = {"atomic": jnp.array([1]), "composite": jnp.array([0])}
    expected = -np.log(0.25) - np.log(0.9)
    assert float(objectives.loss_fn(logits, labels)) == pytest.approx(expected, rel=1e-6)
    one = {"atomic": logits["atomic"]}
    assert float(objectives.loss_fn(one, labels)) == pytest.approx(-np.log(0.25), rel=1e-6)


def test_an_auxiliary_head_counts_half_and_is_not_evaluated():
    logits = {"atomic": jnp.log(jnp.array([[0.5, 0.5]])), "aux_atomic": jnp.log(jnp.array([[0.2, 0.8]]))}
    expected = -np.log(0.5) - 0.5 * np.log(0.2)
    assert float(objectives.loss_fn(logits, {"atomic": jnp.array([0])})) == pytest.approx(expected, rel=1e-6)
    assert objectives.evaluated_head(logits) == "atomic"


def test_which_head_is_evaluated():
    assert objectives.evaluated_head({"atomic": 0, "composite": 0}) == "composite"
    assert objectives.evaluated_head({"atomic": 0}) == "atomic"
    assert objectives.evaluated_head({"composite": 0}) == "composite"


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_cross_entropy_on_the_host_is_optaxs(scale):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(scale=scale, size=(7, 5)).astype(np.float32), rng.integers(0, 5, 7)
    expected = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), jnp.asarray(labels)).mean()
    assert objectives.cross_entropy(logits, labels) == pytest.approx(float(expected), rel=1e-6)
