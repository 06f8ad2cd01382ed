import collections
import pathlib
import re

import pytest

from tfds_haa500 import taxonomy

PAPER = pathlib.Path(__file__).resolve().parents[3] / "shared" / "paper"


def test_the_table_of_500_is_the_release_and_the_papers_area_totals():
    table = taxonomy.load(taxonomy.HAA500_CSV)
    assert len(table.names) == 500
    assert list(table.names) == sorted(set(table.names))
    assert table.names[:3] == ("ALS_IceBucket_Challenge", "CPR", "abseiling")
    assert (table.names[235], table.names[260], table.names[499]) == ("jump rope", "play_ otamatone", "yoga_updog")
    totals = {area: table.areas.count(area) for area in table.area_names}
    assert totals == {"daily_actions": 155, "games_hobbies": 82, "musical_instruments": 51, "sports_athletics": 212}


def test_every_row_says_where_its_area_and_composite_are_from():
    table = taxonomy.load(taxonomy.HAA500_CSV)
    one = r"(inferred|paper (\d(\.\d)*|figure 1))"
    said = dict(zip(table.names, table.sources, strict=True))
    chosen = said.pop("play_ otamatone")
    assert chosen == "inferred; our choice: one of 52 names of instruments is not among the 51 of the paper"
    assert all(re.fullmatch(rf"{one}(; composite: {one})?", source) for source in said.values())
    instruments = [name for name in table.names if re.match("play_|playing_.*_drum", name)]
    others = {"play_diabolo", "play_hulahoop", "play_kendama", "play_yoyo"}  # toys
    assert len(set(instruments) - others) == 52
    counts = collections.Counter(said.values())
    assert counts["inferred"] == 499 - sum("paper" in source for source in said.values())
    assert counts["paper 4.1"] == 31


def test_what_the_paper_names_is_in_its_text():
    """Users of the project do not have the text."""
    files = sorted(PAPER.glob("*.txt"))
    if not files:
        pytest.skip(f"{PAPER} has no text of the paper")
    text = files[0].read_text().replace("*", "")
    for words in (
        *("Playing Soccer has Soccer-Dribble", "traditional composite action annotations (e.g., Soccer, Baseball)"),
        *("form a composite action, e.g., Whistling", "daily atomic action (Eating a Burger)"),
        *("such as Play Piano and Play Cello", "Basketball, Balance Beam (Gymnastics), and Figure Skating"),
        "super-classes, Snowboarding and Skiing",
    ):
        assert words in text, words


def test_no_composite_spans_two_areas():
    table = taxonomy.load(taxonomy.HAA500_CSV)
    pairs = set(zip(table.composites, table.areas, strict=True))
    assert len(pairs) == len(table.composite_names)


def test_text_round_trip():
    table = taxonomy.load(taxonomy.DEMO_CSV)
    assert taxonomy.parse(table.to_csv()) == table


def test_a_class_more():
    table = taxonomy.load(taxonomy.HAA500_CSV)
    longer = table.with_class("pushup_on_fists", area="sports_athletics", composite="pushup")
    assert taxonomy.parse(longer.to_csv()) == longer
    at = longer.names.index("pushup_on_fists")
    assert (longer.names[at - 1], longer.composites[at], longer.sources[at]) == ("pushup", "pushup", "own")
    assert longer.names[:at] + longer.names[at + 1 :] == table.names
    assert longer.areas[:at] + longer.areas[at + 1 :] == table.areas
    alone = table.with_class("wave", area="daily_actions")
    assert alone.composites[alone.names.index("wave")] == "wave"
    with pytest.raises(taxonomy.TaxonomyError, match="'pushup' is in the class table already"):
        table.with_class("pushup", area="sports_athletics")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name,area\n", "first line must be"),
        ("label,name,area,composite,area_source\n", "no classes"),
        ("label,name,area,composite,area_source\n0,a,x,y,\n", "line 2: needs 5 non-empty fields"),
        ("label,name,area,composite,area_source\n1,a,x,y,z\n", "line 2: label '1', expected 0"),
        ("label,name,area,composite,area_source\n0,b,x,y,z\n1,a,x,y,z\n", r"sorted\(\) order"),
        ("label,name,area,composite,area_source\n0,a,x,y,z\n1,a,x,y,z\n", "unique"),
    ],
)
def test_faults_are_named(text, fault):
    with pytest.raises(taxonomy.TaxonomyError, match=fault):
        taxonomy.parse(text)


def test_all_faults_are_listed_at_once():
    with pytest.raises(taxonomy.TaxonomyError) as error:
        taxonomy.parse("label,name,area,composite,area_source\n0,a,x,y,\n7,b,x,y,z\n")
    assert "line 2" in str(error.value)
    assert "line 3" in str(error.value)


def test_missing_file():
    with pytest.raises(taxonomy.TaxonomyError, match=r"not found: nowhere\.csv"):
        taxonomy.load("nowhere.csv")
