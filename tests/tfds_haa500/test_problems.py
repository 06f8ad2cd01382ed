"""How a build reports what is wrong."""

from tfds_haa500 import problems


def test_few_problems_have_no_summary():
    text = str(problems.BuildError("here", [f"a/b/c_{k}.mp4: the file is empty" for k in range(20)]))
    assert len(text.splitlines()) == 21
