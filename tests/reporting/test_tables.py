import numpy as np
import pytest
import sklearn.metrics

from haa_jax.reporting import groups, tables
from haa_jax.reporting.runs import Run
from tests.reporting import runs as made


def run_of(arrays: dict, name: str = "run") -> Run:
    return Run(name, None, arrays, {"split": "test", "evaluated_head": "atomic"}, None, {}, "")


def answers(arrays: dict):
    return run_of(arrays).heads["atomic"]


def test_classes_have_their_counts_and_what_they_are_mistaken_for():
    rows = tables.classes(answers(made.small({0: 1, 1: 1, 3: 0, 6: 2})))
    counts = [(row["correct"], row["clips"], row["predicted"]) for row in rows]
    assert counts == [(1, 3, 2), (2, 3, 4), (3, 3, 3), (3, 3, 3)]
    assert [(row["mistaken_for"], row["mistaken"]) for row in rows] == [(1, 2), (0, 1), (None, 0), (None, 0)]
    assert rows[0]["f1"] == pytest.approx(2 / 5)  # 2 k / (clips + predicted)


def test_a_class_without_clips_has_no_f1():
    arrays = made.small()
    arrays["atomic_labels"] = np.where(arrays["atomic_labels"] == 3, 2, arrays["atomic_labels"])
    last = tables.classes(answers(arrays))[3]
    assert (last["clips"], last["predicted"], last["f1"]) == (0, 3, None)


def test_pairs_count_both_directions_and_begin_with_the_most_confused():
    found = tables.pairs(answers(made.small({0: 1, 3: 0, 4: 0, 9: 2})))
    assert [(pair["first"], pair["second"], pair["first_as_second"], pair["second_as_first"]) for pair in found] == [
        (1, 0, 2, 1),
        (3, 2, 1, 0),
    ]
    assert sorted(found[0]["clips"]) == [0, 3, 4]
    assert tables.pairs(answers(made.small())) == []


def test_pairs_and_classes_add_up_to_the_errors_of_500_classes():
    of = answers(made.haa500())
    wrong = int((~of.correct).sum())
    assert 300 < wrong < 1200
    assert sum(len(pair["clips"]) for pair in tables.pairs(of)) == wrong
    rows = tables.classes(of)
    assert sum(row["correct"] for row in rows) == 1500 - wrong
    assert sum(row["predicted"] for row in rows) == 1500


def test_confusion_by_groups_is_that_of_their_names():
    arrays = made.haa500()
    of, table = answers(arrays), groups.packaged_table(run_of(arrays))
    names, positions = tables.numbered(table.areas)
    expected = sklearn.metrics.confusion_matrix(
        np.array(table.areas)[of.labels], np.array(table.areas)[of.predicted], labels=names
    )
    assert np.array_equal(tables.confusion(of, positions), expected)
    columns, rows = tables.confusion_table(of, table.areas)
    assert columns[1:] == names
    assert [row[1:] for row in rows] == expected.tolist()


def test_hardest_are_wrong_and_surest_correct():
    of = answers(made.haa500())
    found, own = tables.extremes(of), of.score_of(of.labels)
    assert not of.correct[found["hardest"]].any()
    assert of.correct[found["surest"]].all()
    assert own[found["hardest"]].max() <= np.sort(own[~of.correct])[tables.EXTREMES]
    assert own[found["surest"]].min() >= np.sort(own[of.correct])[-tables.EXTREMES - 1]
    assert (np.diff(own[found["hardest"]]) >= 0).all()
    assert (np.diff(own[found["surest"]]) <= 0).all()


def test_changes_between_runs():
    first, other = made.small({0: 1, 1: 1, 9: 2}), made.small({1: 1, 3: 0, 9: 1})
    found = tables.changes(answers(first), answers(other))
    assert (found["lost"], found["gained"], found["moved"]) == ([3], [0], [9])
    assert (found["both"], found["neither"]) == (8, 2)
    _, rows = tables.change_table(run_of(first, "a"), run_of(other, "b"), "atomic")
    assert rows[0] == ["clip_03", "right -> wrong", "sit", "sit", "jump"]
    assert [row[1] for row in rows] == ["right -> wrong", "wrong -> right", "wrong -> wrong"]


def test_mcnemar_is_the_exact_binomial_test():
    from scipy.stats import binomtest

    for lost, gained in ((0, 0), (3, 21), (21, 3), (5, 5), (0, 1), (40, 60)):
        expected = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
        assert tables.mcnemar(lost, gained) == pytest.approx(expected)
    assert tables.mcnemar(3000, 5000) < 1e-80


def test_composites_come_from_the_packaged_table_only_if_the_classes_are_its_own():
    arrays = made.haa500()
    found = groups.of_head(run_of(arrays), "atomic", groups.packaged_table(run_of(arrays)))
    assert found.composites[arrays["atomic_classes"].tolist().index("play_erhu")] == "bowed_strings"
    arrays["areas"] = arrays["areas"].copy()
    arrays["areas"][0] = "elsewhere"
    assert groups.packaged_table(run_of(arrays)) is None
    small = groups.of_head(run_of(made.small()), "atomic", groups.packaged_table(run_of(made.small())))
    assert (small.areas, small.composites) == (("inside", "inside", "outside", "outside"), ())


def test_composites_of_a_joint_run_are_its_own_labels():
    arrays = made.small()
    arrays |= {
        "composite_logits": np.zeros((12, 2), np.float32),
        "composite_labels": (arrays["atomic_labels"] // 2).astype(np.int32),
        "composite_classes": np.array(["low", "high"]),
    }
    run = run_of(arrays)
    found = groups.of_head(run, "atomic", None)
    assert found.composites == ("low", "low", "high", "high")
    assert groups.of_head(run, "composite", None) == groups.Groups(("inside", "outside"), ())


def test_classes_are_ordered_by_area_then_composite():
    assert groups.Groups(("b", "a", "a", "b"), ("y", "z", "x", "y")).order == [2, 1, 0, 3]
    assert groups.Groups(("b", "a", "b"), ()).order == [1, 0, 2]


def test_the_class_table_has_every_run():
    runs = [run_of(made.small({0: 1}), "a"), run_of(made.small(), "b")]
    columns, rows = tables.class_table(runs, "atomic", groups.of_head(runs[0], "atomic", None))
    by_name = [dict(zip(columns, row, strict=True)) for row in rows]
    assert (by_name[0]["a: correct"], by_name[0]["b: correct"], by_name[0]["clips"]) == (2, 3, 3)
    assert (by_name[0]["a: mistaken_for"], by_name[0]["b: mistaken_for"]) == ("sit", "")
