"""How the paper's tables read, and where our figures come from."""

import itertools
import json
import re

import numpy as np
import pytest

from haa_jax.paper import commands, report
from haa_jax.paper.commands import PaperError
from haa_jax.paper.tables import PAPER, TABLES
from tests.paper.facts import facts, write_metrics


@pytest.mark.parametrize("name", PAPER)
def test_a_printed_table_has_the_papers_figures_in_its_rows_and_columns(name, tmp_path):
    parts = [re.split(r"  +", line) for line in report.text(name, tmp_path).splitlines()[2:]]
    columns, printed = parts[0][1:], {}
    for ours, theirs in itertools.pairwise(parts):
        if len(ours) > 1 and ours[1] == "ours":
            assert theirs[:2] == ["", "paper"]
            figures = [re.sub(r" \[\d+\]$", "", figure) for figure in theirs[2:]]
            row = {(name, ours[0], column): figure for column, figure in zip(columns, figures, strict=True)}
            assert not row.keys() & printed.keys()
            printed |= row
            assert all(re.fullmatch(r"missing( \[\d+\])?|-", figure) for figure in ours[2:])
    assert printed == {
        key: "-" if figure is None else f"{figure:.2f}"
        for key, figure in facts(int(name.removeprefix("table"))).items()
    }


def test_a_table_shows_ours_above_the_papers_and_what_is_missing(tmp_path):
    write_metrics(tmp_path / "i3d_rgb", 480, 1500)
    lines = report.text("table12", tmp_path).splitlines()
    assert lines[3].split() == ["Overall", "ours", "32.00", "+-", "1.20", "(480/1500)", "missing"]
    assert lines[4].split() == ["paper", "33.53", "22.80"]
    assert lines[5].split() == ["Sport", "ours", "32.00", "+-", "1.20", "(480/1500)", "missing"]
    lines = report.text("table8", tmp_path).splitlines()
    assert lines[9].split() == ["UCF101", "ours", "-", "missing", "missing"]
    assert lines[10].split() == ["paper", "-", "42.94", "32.37"]


def write_predictions(folder):
    """Three clips of each of three classes, of which 1, 2 and 3 are predicted correctly."""
    labels = np.repeat([0, 1, 2], 3)
    answers = np.array([0, 1, 2, 1, 1, 0, 2, 2, 2])
    arrays = {
        "clip_ids": np.array([f"clip_{i}" for i in range(9)]),
        "areas": np.repeat("all", 9),
        "atomic_logits": np.eye(3, dtype=np.float32)[answers],
        "atomic_labels": labels,
        "atomic_classes": np.array(["eat_burger", "play_ piccolo", "soccer_throw"]),
    }
    np.savez(folder / "predictions.npz", **arrays)


def test_figures_of_some_classes_are_counted_from_the_predictions(tmp_path):
    cell = next(cell for cell in TABLES["table10"].cells if cell.row == "HAA-COCO")
    write_metrics(tmp_path / cell.run, 6, 9)
    write_predictions(tmp_path / cell.run)
    with pytest.raises(PaperError, match=r"haa_coco.py: not among .*: 'add_new_car_tire', .* and 93 more"):
        report.figure(cell, tmp_path)
    names = tmp_path / cell.classes
    names.write_text("play_ piccolo\neat_burger\n\n")
    assert [report.figure(cell, tmp_path)[key] for key in ("correct", "count")] == [3, 6]
    names.write_text("play_piccolo\n")
    with pytest.raises(PaperError, match=r"haa_coco.txt: not among the classes in .*predictions.npz: 'play_piccolo'"):
        report.figure(cell, tmp_path)
    names.write_text("\n")
    with pytest.raises(PaperError, match=r"haa_coco.txt lists no class"):
        report.figure(cell, tmp_path)
    names.unlink()
    (tmp_path / cell.run / "predictions.npz").unlink()
    with pytest.raises(PaperError, match=r"predictions.npz is missing"):
        report.figure(cell, tmp_path)


def test_results_of_another_split_or_without_the_figure_are_refused(tmp_path):
    cell = TABLES["table12"].cells[0]
    write_metrics(tmp_path / "i3d_rgb", 1, 2, split="validation")
    with pytest.raises(PaperError, match="results on the validation split, not the test split"):
        report.figure(cell, tmp_path)
    (tmp_path / "i3d_rgb" / "metrics.json").write_text('{"split": "test"}')
    with pytest.raises(PaperError, match=r"i3d_rgb.metrics.json does not hold top1"):
        report.figure(cell, tmp_path)


def test_activitynet_is_tested_on_its_validation_split(tmp_path):
    """The labels of its test split are not public."""
    cells = [cell for cell in TABLES["table8"].cells if cell.column == "ActNet 100" and cell.run]
    assert len(cells) == 7
    for cell in cells:
        assert "--config.eval.split=validation" in commands.command(cell.run, tmp_path)
        write_metrics(tmp_path / cell.run, 1, 2, split="validation")
        assert report.figure(cell, tmp_path)["count"] == 2
    (tmp_path / cell.run / "metrics.json").write_text('{"split": "test"}')
    with pytest.raises(PaperError, match="results on the test split, not the validation split"):
        report.figure(cell, tmp_path)


def test_a_figure_that_is_no_count_is_shown_with_its_clips(tmp_path):
    """mIOU is a mean over clips."""
    cell = next(cell for cell in TABLES["table11"].cells if cell.column == "AVA")
    heads = {"atomic": {"mean_iou": {"value": 0.3357, "standard_error": 0.004, "count": 900}}}
    (tmp_path / cell.run).mkdir()
    results = {"split": "validation", "evaluated_head": "atomic", "heads": heads}
    (tmp_path / cell.run / "metrics.json").write_text(json.dumps(results))
    assert "33.57 +- 0.40 (900 clips)" in report.text("table11", tmp_path)


def test_the_table_of_kinetics_has_our_figures_without_the_papers(tmp_path):
    write_metrics(tmp_path / "i3d_rgb_kinetics_probe", 480, 1500)
    rows = [line for line in report.text("kinetics", tmp_path).splitlines()[3:] if line]
    assert rows[1].split() == ["paper", "33.53", "53.00"]
    assert rows[6].startswith("Kinetics-400, linear probe")
    assert rows[6].split()[3:7] == ["ours", "32.00", "+-", "1.20"]
    assert rows[7].split() == ["paper", "-", "-"]


def test_names_of_tables():
    assert report.table_names(["table8", "table3", "table6"]) == ["table3", "table6", "table8"]
    assert report.table_names(["all"]) == list(PAPER)
    with pytest.raises(PaperError, match="unknown table table13; the tables are table3"):
        report.table_names(["table13"])
    with pytest.raises(PaperError, match="name at least one table"):
        report.table_names([])
