"""The paper's tables as data: the figures are the paper's and no others, and remarks say where they are odd."""

import csv
import importlib
import pathlib
import re

import pytest

from haa_jax.paper import commands, report
from haa_jax.paper.printed import AREAS, COLUMNS
from haa_jax.paper.runs import FOLDERS, RUNS
from haa_jax.paper.tables import PAPER, TABLES
from tests.paper.facts import CLIPS, FACTS, facts

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "paper" / "tables.csv"


def test_every_figure_is_the_papers_and_every_one_of_the_papers_is_there():
    ours = [((name, cell.row, cell.column), cell.paper) for name, table in PAPER.items() for cell in table.cells]
    assert len(dict(ours)) == len(ours)
    assert dict(ours) == facts(6, 7, 8, 9, 10, 11, 12)


def test_the_figures_are_those_of_the_shared_copy():
    """A transcription that users of the project do not have."""
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not here")

    def rows(path):
        with path.open(newline="") as file:
            lines = [list(row.values()) for row in csv.DictReader(file)]
        return {(table, row, column): float(figure) if figure else None for table, row, column, figure in lines}

    assert rows(FACTS) == rows(SHARED)


def test_every_cell_but_a_dash_has_a_run():
    for table in PAPER.values():
        for cell in table.cells:
            assert bool(cell.run) == (cell.paper is not None), cell


def test_the_table_of_kinetics_starts_from_its_network_and_prints_the_papers_row_from_scratch():
    cells = TABLES["kinetics"].cells
    assert {cell.row: RUNS[cell.run].fields.get("init_from") for cell in cells} == {
        "From scratch": None,
        "Kinetics-400, all layers": "kinetics-400",
        "Kinetics-400, last three layers": "kinetics-400",
        "Kinetics-400, linear probe": "kinetics-400",
    }
    trained = {cell.row: commands.config(cell.run).optimizer.trainable for cell in cells}
    assert list(trained.values()) == [(), (), ("Mixed_5b", "Mixed_5c", "Logits"), ("Logits",)]
    assert [cell.paper for cell in cells] == [33.53, 53.0] + [None] * 6


def test_avas_column_is_miou_with_16_frames_under_strides():
    cells = {cell.row: cell for cell in TABLES["table11"].cells if cell.column == "AVA"}
    assert {cell.metric for cell in cells.values()} == {"mean_iou"}
    seen = {row: commands.config(cell.run).data for row, cell in cells.items()}
    assert {row: (data.frames, data.stride) for row, data in seen.items()} == {
        **{str(n): (n, 1) for n in (1, 2, 4, 8, 16, 32)},
        **{f"stride {n}": (16, n) for n in (2, 4, 8)},
    }
    others = [cell for cell in TABLES["table11"].cells if cell.column != "AVA" and "stride" in cell.row]
    assert {commands.config(cell.run).data.frames for cell in others} == {32}
    assert {cell.metric for cell in others} == {"top1"}


def test_what_has_no_test_split_is_tested_on_validation_and_its_tables_say_so():
    for name, table in PAPER.items():
        for cell in table.cells:
            config = commands.config(cell.run) if cell.run in RUNS else None
            if config and config.eval.split == "validation":
                dataset = config.data.dataset.removeprefix("clip_folder/")
                printed = next(row for row, folder in FOLDERS.items() if folder == dataset)
                assert f"{printed} has official lists without a test split" in table.note, name
    tested = {commands.config(name).data.dataset for name, run in RUNS.items() if "eval.split" in run.fields}
    assert tested == {"clip_folder/activitynet100", "clip_folder/gym288", "clip_folder/ava"}


def test_where_the_paper_contradicts_itself_both_tables_say_so(tmp_path):
    """If two tables print different figures for the same run, each has a remark with the other figure."""
    cells = [(name, cell) for name, table in PAPER.items() for cell in table.cells if cell.run]
    of_run = {}
    for name, cell in cells:
        of_run.setdefault((cell.run, cell.metric, cell.area, cell.classes), []).append((name, cell))
    contradicted = 0
    for same in of_run.values():
        for name, cell in same:
            for other_name, other in same:
                if other.paper != cell.paper:
                    contradicted += 1
                    assert f"{other.paper:.2f}" in cell.remark, cell
                    assert other_name.removeprefix("table") in cell.remark
                    number = re.search(rf"\[(\d+)\] {re.escape(cell.remark)}", report.text(name, tmp_path))[1]
                    assert f"{cell.paper:.2f} [{number}]" in report.text(name, tmp_path)
    assert contradicted == 2 * 3 + 2 * 2  # Inst. of I3D RGB (two) and Flow; UCF101 from scratch in three tables


def test_haa500s_figures_are_k_of_n():
    """As 34.26 % of HAA-COCO and one misprint are not."""
    odd = []
    for table in PAPER.values():
        for cell in table.cells:
            if cell.run and not any(folder in cell.run for folder in FOLDERS.values()):
                areas = [area for area in CLIPS if area and (area == cell.area or f"_{area}_" in cell.run)]
                count = 147 * 3 if cell.classes else CLIPS[areas[0] if areas else ""]
                if f"{100 * round(cell.paper * count / 100) / count:.2f}" != f"{cell.paper:.2f}":
                    odd.append(cell)
    assert [cell.paper for cell in odd] == [77.79, 34.26, 34.26]
    assert all(cell.remark for cell in odd)


@pytest.mark.parametrize("table", ["table7", "table12"])
def test_the_areas_of_a_column_add_up_to_the_whole(table):
    """So they are parts of one network's test clips, which is how the runs are laid out."""
    for column in COLUMNS[table]:
        cells = [cell for cell in TABLES[table].cells if cell.column == column and cell.row in AREAS]
        whole, *areas = [round(cell.paper * CLIPS[cell.area] / 100) for cell in cells]
        assert len({cell.run for cell in cells}) == 1
        assert len(areas) == 4
        assert sum(areas) == whole


@pytest.mark.parametrize("name", ["i3d", "slowfast", "tsn", "tpn", "stgcn"])
def test_the_papers_figures_in_a_configs_docstring_are_its_networks(name):
    """All rows of the network stand there, each as k of the 1500 test clips too."""
    text = " ".join(importlib.import_module(f"haa_jax.configs.{name}").__doc__.split())
    wanted = {
        figure
        for (_, row, column), figure in facts(6).items()
        if column == "500 atomic top-1" and row.lower().replace("st-gcn", "stgcn").startswith(f"{name} ")
    }
    found = re.findall(r"(\d+\.\d+) %(?:, which is | \(|, )(\d+)(?: of |/)1500", text)
    assert {float(figure) for figure, _ in found} == wanted
    assert len(found) == len(re.findall(r"\d+\.\d+ %", text))
    assert all(f"{100 * int(k) / 1500:.2f}" == figure for figure, k in found)
