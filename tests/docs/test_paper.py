"""docs/paper.md: the paper's statements are tagged, counted, and what they name exists."""

import collections
import importlib.util
import pathlib
import re

from haa_jax.paper.runs import FUSIONS, RUNS

TEXT = (pathlib.Path(__file__).parents[2] / "docs" / "paper.md").read_text()
TAGS = ("code", "input", "deviation", "unknown")


def statements():
    """(section, statement, tag, here) of every row of the reading."""
    reading = TEXT.partition("### 3. HAA500")[2].partition("### Counts")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in reading.splitlines() if "|" in line]
    return [row for row in rows if row[0] != "section" and not set(row[0]) <= {"-"}]


def test_every_statement_has_a_tag_and_says_what_becomes_of_it():
    for row in statements():
        assert len(row) == 4, row
        assert row[2] in TAGS, row
        assert all(row), row


def test_the_counts_are_those_of_the_rows():
    counted = collections.Counter(row[2] for row in statements())
    printed = dict(re.findall(r"^\| (\w+) \| (\d+) \|$", TEXT.partition("### Counts")[2], re.M))
    assert {tag: int(number) for tag, number in printed.items()} == {**counted, "all": counted.total()}


def test_what_is_in_the_code_names_a_place_or_a_command():
    for section, statement, tag, here in statements():
        if tag == "code":
            assert "`" in here or "](" in here, (section, statement)
            assert re.search(r"\.py|\.csv|/|-m |=|`i3d_|feature", here), (section, statement)


def test_runs_and_modules_that_are_named_exist():
    named = [name for *_, here in statements() for name in re.findall(r"`((?:i3d|tsn|slowfast)_[\w+]+)`", here)]
    assert named
    assert set(named) <= {*RUNS, *FUSIONS}
    modules = re.findall(r"python -m ([\w.]+)", TEXT)
    assert modules
    assert all(importlib.util.find_spec(module) for module in modules)
