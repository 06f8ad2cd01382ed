"""Tables 3 and 5 of generated clips with known facts, next to the paper's figures."""

import dataclasses
import re

import numpy as np

from haa_jax.paper import statistics
from tests.paper.facts import facts


def test_the_datasets_own_figures(data_dir):
    found, classes = statistics.read("haa500/tiny", data_dir)
    assert classes == 500
    assert sorted(found.frames) == sorted([5 + k for k in range(20)] * 4)
    np.testing.assert_allclose(found.seconds, found.frames / 10)
    text = statistics.describe(["haa500/tiny"], data_dir, ["table3", "table5"])
    here = {line[:22].strip(): line[22:49].strip() for line in text.splitlines()}
    assert here["clips"] == "80"
    assert here["frames"] == "1,160"
    assert here["duration"] == "116 s"
    assert [here[row] for row in ("1 person", "2 people", ">2 people")] == ["80", "0", "0"]
    assert here["still camera"] == "40"
    assert here["mean frames a clip"] == "14.5"
    assert here["shortest, longest"] == "0.50 s, 2.40 s"
    assert here["more than one person"] == "0.00 %"
    assert here["HAA500"] == "no poses in this dataset"
    assert here["UCF101"] == "missing"


def people(*counts):
    clips = len(counts)
    return statistics.Facts(
        frames=np.full(clips, 10),
        seconds=np.ones(clips),
        people=np.array(counts),
        camera_moving=np.arange(clips) == 0,
        joints=np.full(clips, np.nan),
    )


def test_the_papers_figures_are_its_own_and_all_are_there():
    printed, derived = statistics.table_3(people(1, 2), 2).split("Not in the paper's table")
    assert paper_column(printed) == by_heading(3)
    assert paper_column(statistics.table_5({"haa500/pose": people(1)})) == by_heading(5)
    assert "derived" in derived.splitlines()[0]


def by_heading(number):
    """Column of a table of the paper -> its figure; every column has one."""
    return {column.removesuffix(" s"): figure for (_, _, column), figure in facts(number).items()}


def paper_column(text):
    """Row -> the paper's figure as a number: "591K" is 591,000."""
    rows = [(line[:22].strip(), line[49:].strip()) for line in text.splitlines()[3:]]
    return {row: float(re.sub(r"[,%s ]", "", figure).replace("K", "000")) for row, figure in rows}


def test_derived_figures_are_what_their_arithmetic_gives():
    derived = statistics.table_3(people(1, 2), 2).split("Not in the paper's table")[1].splitlines()
    sums = [line[49:].strip().split(" = ") for line in derived if " = " in line]
    assert len(sums) == 3
    for figure, arithmetic in sums:
        value = eval(arithmetic.replace(",", "").replace("K", "000"))
        assert figure == (f"{100 * value:.2f} %" if "%" in figure else f"{value:.1f}")
        numbers = {float(each.replace("K", "000").replace(",", "")) for each in re.findall(r"[\d,]+K?", arithmetic)}
        assert numbers <= set(facts(3).values())


def test_people_and_cameras_are_counted():
    lines = [line.split() for line in statistics.table_3(people(1, 1, 2, 4, 3), 2).splitlines()]
    counted = {" ".join(line[:2]): line[2] for line in lines if len(line) == 4}
    assert [counted[row] for row in ("1 person", "2 people", ">2 people")] == ["2", "1", "2"]
    assert [counted[row] for row in ("moving camera", "still camera")] == ["1", "4"]


def test_joints_are_counted_by_frame_and_missing_people_have_none():
    found = statistics.Facts(
        frames=np.array([10, 30]),
        seconds=np.array([1.0, 3.0]),
        people=np.array([0, 0]),
        camera_moving=np.array([False, False]),
        joints=np.array([0.9, 0.5]),
    )
    assert "60.00 %" in statistics.table_5({"haa500/pose": found})
    assert statistics.table_3(found, 2).count("not annotated") == 7


def test_joints_are_in_the_row_of_the_same_dataset():
    found = dataclasses.replace(people(1), joints=np.array([0.25]))
    rows = {"clip_folder/ucf101": "UCF101", "haa500/demo": "HAA500", "clip_folder/gym288": "FineGym"}
    for name, row in (rows | {"clip_folder/mine": None}).items():
        lines = [line.split() for line in statistics.table_5({name: found}).splitlines()[3:]]
        assert [line[0] for line in lines if "25.00" in line] == [row or name]
        assert len(lines) == (5 if row else 6)


def test_joints_of_several_datasets_are_one_table():
    shares = {"haa500/pose": 0.5, "haa500/demo": 0.125, "clip_folder/kinetics400": 0.25, "clip_folder/mine": np.nan}
    facts = {name: dataclasses.replace(people(1), joints=np.array([share])) for name, share in shares.items()}
    lines = statistics.table_5(facts).splitlines()[3:]
    here = {line[:22].strip(): line[22:49].strip() for line in lines}
    assert [here[row] for row in ("HAA500", "haa500/demo", "Kinetics 400")] == ["50.00 %", "12.50 %", "25.00 %"]
    assert here["clip_folder/mine"] == "no poses in this dataset"
    assert here["UCF101"] == "missing"


def test_only_the_most_prominent_person_counts():
    pose = np.zeros((4, 2, 17, 3), np.float32)
    pose[:2, 0, :, 2], pose[:, 1, :, 2] = 0.6, 0.9
    example = {"video": [b""] * 4, "fps": 10.0, "num_people": 2, "camera_moving": True, "pose": pose}
    assert statistics._facts(example) == (4, 0.4, 2, True, 0.5)
