"""Lists of `path label`, and what is wrong with them."""

import pathlib

import pytest

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.problems import BuildError
from tfds_haa500.sources import clip_folder


def write_lists(root: pathlib.Path, **lists: str) -> pathlib.Path:
    """`train="..."` as train.csv; `classes` as classes.txt."""
    root.mkdir(exist_ok=True)
    for name, text in lists.items():
        (root / f"{name}.{'txt' if name == 'classes' else 'csv'}").write_text(text)
    return root


def found(root, lists) -> list[tuple[str, str, str]]:
    return [(clip.clip_id, clip.class_name, clip.file.path) for clip in clip_folder.scan(root, lists)]


def test_ways_of_writing_a_line(tmp_path):
    """Spaces, tabs and commas; relative and absolute paths; ids and names, both with spaces."""
    folder = touch(tmp_path / "videos", "deep/er/a b.mp4", "c,d.AVI", "e.mp4", "f.mp4", "g.mp4", "unused.mp4")
    outside = touch(tmp_path, "elsewhere/h.mp4") / "elsewhere" / "h.mp4"
    lists = write_lists(
        tmp_path / "lists",
        train=f'\ufeffdeep/er/a b.mp4 1\r\n"c,d.AVI",2\r\n\r\n./x/../e.mp4\tclean and jerk\n{folder}/f.mp4 , "1"\n',
        val=f"g.mp4 2\n{outside} 1\n",
        classes="sit\nclean and jerk\nrun, fast\n",
    )
    assert found(folder, lists) == [
        ("train/deep/er/a b", "clean and jerk", "deep/er/a b.mp4"),
        ("train/e", "clean and jerk", "e.mp4"),
        ("train/f", "clean and jerk", "f.mp4"),
        ("train/c,d", "run, fast", "c,d.AVI"),
        (f"validation{outside.with_suffix('')}", "clean and jerk", str(outside)),
        ("validation/g", "run, fast", "g.mp4"),
    ]
    assert clip_folder.scan(folder, lists)[4].file.local == outside
    assert clip_folder.count_left_out(folder, lists) == 1
    assert "pose: clips outside of the folder cannot have files" in problems_of(folder, lists, streams=["pose"])


def test_labels_without_class_names(tmp_path):
    """Ids become names in whose order they are ids again."""
    touch(tmp_path, *(f"{k}.mp4" for k in range(12)))
    lists = write_lists(tmp_path / "lists", train="".join(f"{k}.mp4 {k}\n" for k in range(12)))
    assert [name for _, name, _ in found(tmp_path, lists)] == [f"{k:02d}" for k in range(12)]
    write_lists(lists, train="0.mp4 run fast\n1.mp4,3 point shot\n")
    assert [name for _, name, _ in found(tmp_path, lists)] == ["3 point shot", "run fast"]


def test_poses_of_listed_videos(tmp_path):
    touch(tmp_path, "videos/a.mp4", "pose/videos/a.json")
    lists = write_lists(tmp_path / "lists", train="videos/a.mp4 run\n")
    (clip,) = clip_folder.scan(tmp_path, lists, streams=["pose"])
    assert clip.files["pose"].path == "pose/videos/a.json"


def test_every_malformed_line_is_reported_with_its_number(tmp_path):
    folder = touch(tmp_path / "videos", "run/a.mp4", "run/b.mp4", "run/c.mp4", "sit/d.mp4", "run/e.txt")
    lists = write_lists(
        tmp_path / "lists",
        train="path,label\nrun/a.mp4\nrun/a.mp4 9 0\nrun/b.mp4 0\nrun/b.mp4 1\nrun/e.txt 0\n../x.mp4 0\nsit/d.mp4 1\n",
        val="run/c.mp4 2\nrun/C.mp4 rum\nrun/b.avi -1\ngone/a.mp4 0\ngone/b.mp4 0\n\nsit/d.mp4 1\n",
        classes="run\nsit\n",
    )
    text = problems_of(folder, lists, 3)
    for expected in (
        "train.csv line 1: 'path,label' is not the path of a video and a label",
        "train.csv line 2: 'run/a.mp4' is not the path",
        "train.csv line 3: 'run/a.mp4 9 0' has more than a path and a label",
        "train.csv line 5: run/b.mp4 is in train.csv line 4 already",
        "train.csv line 6: 'run/e.txt 0' is not the path of a video",
        "train.csv line 7: '../x.mp4' is outside of the folder; give its absolute path",
        "val.csv line 1: label '2' must be a name in classes.txt or an id from 0 to 1",
        "val.csv line 2: label 'rum' must be a name in classes.txt or an id from 0 to 1; did you mean 'run'?",
        "val.csv line 2: run/C.mp4: no such video; did you mean 'a.mp4'?",
        "val.csv line 3: label '-1' must be",
        "val.csv line 3: run/b.avi is in train.csv line 4 already as run/b.mp4, which differs only in its suffix",
        "val.csv line 3: run/b.avi: no such video",
        "gone: no such folder, and the lists have 2 videos in it, as val.csv line 4",
        "val.csv line 7: sit/d.mp4 is in train.csv line 8 already",
        "split number: lists of `path label` have one split",
    ):
        assert expected in text, expected
    assert len(text.splitlines()) == 15


def test_lists_and_names_that_cannot_be_used(tmp_path):
    folder = touch(tmp_path / "videos", "a.mp4", "b.mp4", "c.mp4")
    lists = write_lists(tmp_path / "lists", train="a.mp4 0\nb.mp4 run\nc.mp4 -1\n", val="", validation="b.mp4 0\n")
    text = problems_of(folder, lists)
    assert "validation.csv: val.csv is there too" in text
    assert "val.csv: is empty" in text
    assert "train.csv line 1: label '0' must be a name, as others are; for ids, classes.txt is missing" in text
    write_lists(lists, train="a.mp4 0\nb.mp4 -1\n")
    assert "train.csv line 2: label '-1' must be an id from 0" in problems_of(folder, lists)
    write_lists(lists, classes="run\n\nsit\n")
    assert "classes.txt line 2: is blank" in problems_of(folder, lists)
    write_lists(lists, classes="run\nrun\n")
    assert "classes.txt line 2: 'run' is in line 1 already" in problems_of(folder, lists)
    assert "has none of trainlist01.txt" in problems_of(folder, folder)


def test_several_labels(tmp_path):
    """Names and ids, separated by commas, ids also by spaces; names with commas in quotes."""
    touch(tmp_path, *(f"{name}.mp4" for name in "abcdef"))
    classes = "sit\nclean and jerk\nrun, fast\n"
    train = 'a.mp4 sit,clean and jerk\nb.mp4,"run, fast", sit\nc.mp4 2 0\nd.mp4,2,1\ne.mp4 "0,1,2"\nf.mp4 sit\n'
    lists = write_lists(tmp_path / "lists", train=train, classes=classes)
    clips = clip_folder.scan(tmp_path, lists, multi_label=True)
    assert {clip.file.path[0]: clip.labels for clip in clips} == {
        "a": ("clean and jerk", "sit"),
        "b": ("run, fast", "sit"),
        "c": ("run, fast", "sit"),
        "d": ("clean and jerk", "run, fast"),
        "e": ("clean and jerk", "run, fast", "sit"),
        "f": ("sit",),
    }
    assert all(clip.class_name == clip.labels[0] for clip in clips)
    assert clip_folder.class_names(clips) == ["clean and jerk", "run, fast", "sit"]
    assert clip_folder.count_left_out(tmp_path, lists) == 0
    text = problems_of(tmp_path, lists)
    assert "train.csv line 3: 'c.mp4 2 0' has more than a path and a label; several labels take --multi_label" in text


def test_several_labels_that_cannot_be_used(tmp_path):
    touch(tmp_path, *(f"{name}.mp4" for name in "abcde"))
    train = "a.mp4 run,,sit\nb.mp4 run,rum,si\nc.mp4 0,run\nd.mp4 1 1\ne.mp4 1 1.5\n"
    lists = write_lists(tmp_path / "lists", train=train, val="b.mp4 0\n", classes="run\nsit\n")
    with pytest.raises(BuildError) as error:
        clip_folder.scan(tmp_path, lists, multi_label=True)
    assert error.value.problems == [
        "train.csv line 1: 'run,,sit' has a comma with no label before or after it",
        "train.csv line 2: label 'rum' must be a name in classes.txt or an id from 0 to 1; did you mean 'run'?",
        "train.csv line 2: label 'si' must be a name in classes.txt or an id from 0 to 1; did you mean 'sit'?",
        "train.csv line 3: label 'run' is there more than once",
        "train.csv line 4: label 'sit' is there more than once",
        "train.csv line 5: label '1 1.5' must be a name in classes.txt or an id from 0 to 1",
        "val.csv line 1: b.mp4 is in train.csv line 2 already",
    ]


def test_classes_of_folders_are_not_several_labels(tmp_path):
    touch(tmp_path, "train/run/a.mp4")
    with pytest.raises(BuildError, match="multi_label: these clips have one class each"):
        clip_folder.scan(tmp_path, multi_label=True)
