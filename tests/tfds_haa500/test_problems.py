"""How a build reports what is wrong."""

from tfds_haa500 import problems


def test_few_problems_have_no_summary():
    text = str(problems.BuildError("here", [f"a/b/c_{k}.mp4: the file is empty" for k in range(20)]))
    assert len(text.splitlines()) == 21


def test_many_problems_are_summed_up_without_the_numbers_of_lines():
    found = [f"train.csv line {k}: 'x{k}' is not a label" for k in range(30)]
    assert "30 like: train.csv line 0: 'x0' is not a label" in str(problems.BuildError("here", found)).splitlines()[1]
