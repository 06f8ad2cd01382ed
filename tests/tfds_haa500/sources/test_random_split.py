"""Random splits: which videos are where, whatever the folder looks like."""

import collections
import random

import pytest

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.sources import clip_folder
from tfds_haa500.sources.random_split import RandomSplit, assign

HOW = RandomSplit((0.8, 0.1, 0.1))


def videos(**counts: int) -> dict[str, str]:
    return {f"{name}/clip{k:03d}": name for name, count in counts.items() for k in range(count)}


def counted(classes: dict[str, str], splits: dict[str, str]) -> dict[tuple[str, str], int]:
    return collections.Counter((classes[key], split) for key, split in splits.items())


def test_every_class_is_split_as_evenly_as_whole_clips_allow():
    for count in range(10, 60):
        classes = videos(run=count, jump=20)
        splits, problems = assign(classes, HOW)
        assert not problems
        assert set(splits) == set(classes)
        found = counted(classes, splits)
        for split, fraction in HOW.wanted.items():
            assert abs(found["run", split] - fraction * count) < 1
        assert [found["jump", split] for split in HOW.wanted] == [16, 2, 2]


def test_what_rounding_leaves_over_is_shared_between_the_splits():
    """Of 16 clips, 1.6 are for validation and 1.6 for test: half of the classes get 2 and 1, the others 1 and 2."""
    classes = videos(**{f"class{k:02d}": 16 for k in range(20)})
    assert collections.Counter(assign(classes, HOW)[0].values()) == {"train": 260, "validation": 30, "test": 30}


def test_a_small_class_is_in_every_split():
    found = counted(classes := videos(run=3, jump=4, sit=30), assign(classes, HOW)[0])
    assert [found["run", split] for split in HOW.wanted] == [1, 1, 1]
    assert [found["jump", split] for split in HOW.wanted] == [2, 1, 1]


def test_a_class_that_is_too_small_is_an_error_and_all_are_named():
    splits, problems = assign(videos(run=2, jump=30, sit=1), HOW)
    assert not splits
    assert problems == [
        "run: has 2 clips, fewer than the 3 splits (train, validation, test), each of which needs one",
        "sit: has 1 clip, fewer than the 3 splits (train, validation, test), each of which needs one",
    ]
    without_validation = RandomSplit((0.8, 0, 0.2))
    found = counted(classes := videos(run=2, jump=30), assign(classes, without_validation)[0])
    assert found == {("run", "train"): 1, ("run", "test"): 1, ("jump", "train"): 24, ("jump", "test"): 6}


def test_it_depends_on_names_and_seed_alone():
    classes = videos(run=40, jump=40)
    shuffled = random.Random(0).sample(list(classes.items()), len(classes))
    splits = assign(classes, HOW)[0]
    assert splits == assign(dict(shuffled), HOW)[0]
    others = [assign(classes, RandomSplit(HOW.fractions, seed))[0] for seed in range(1, 4)]
    assert all(other != splits for other in others)
    # The same on every machine and in every version of Python.
    tested = sorted(key for key, split in splits.items() if split == "test")
    assert tested == [*(f"jump/clip{k:03d}" for k in [13, 14, 21, 25]), *(f"run/clip{k:03d}" for k in [3, 21, 30, 31])]


def test_a_source_is_in_one_split_even_where_it_is_in_several_classes():
    classes = {
        f"{name}/v_{name}_g{source:02d}_c{k:02d}": name
        for name in ("run", "jump", "sit")
        for source in range(25)
        for k in range(1 + (source * len(name)) % 5)
    }
    how = RandomSplit((0.6, 0.2, 0.2), group=r"_g(\d+)_c")
    splits, problems = assign(classes, how)
    assert not problems
    split_of = collections.defaultdict(set)
    for key, split in splits.items():
        split_of[key.partition("_g")[2][:2]].add(split)
    assert len(split_of) == 25
    assert {len(found) for found in split_of.values()} == {1}
    found, total, largest = counted(classes, splits), collections.Counter(classes.values()), 5
    for name in total:
        for split, fraction in how.wanted.items():
            assert abs(found[name, split] - fraction * total[name]) <= largest


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_within_the_size_of_one_source(seed):
    rng = random.Random(seed)
    sizes = [rng.randint(1, 12) for _ in range(rng.randint(6, 30))]
    classes = {f"run/{source}-{k}": "run" for source, size in enumerate(sizes) for k in range(size)}
    how = RandomSplit((0.7, 0.1, 0.2), seed, r"(\d+)-")
    found = collections.Counter(assign(classes, how)[0].values())
    for split, fraction in how.wanted.items():
        assert abs(found[split] - fraction * len(classes)) <= max(sizes)


@pytest.mark.parametrize("seed", [34, 36, 62])
def test_sources_are_moved_until_every_class_is_in_every_split(seed):
    """Placing the sources one after another leaves a class out of a split here."""
    rng = random.Random(seed)
    classes = {
        f"{name}/{source}-{k}": name
        for source in range(rng.randint(5, 12))
        for name in "abc"
        if rng.random() < 0.5
        for k in range(rng.randint(1, 6))
    }
    splits, problems = assign(classes, RandomSplit((0.6, 0.2, 0.2), seed, r"(\d+)-"))
    assert not problems
    assert len(counted(classes, splits)) == 9


def test_names_without_a_source_and_classes_of_too_few_are_all_reported():
    classes = {"run/a_1": "run", "run/b_1": "run", "run/b_2": "run", "run/c": "run", "jump/a_3": "jump"}
    assert assign(classes, RandomSplit((0.8, 0, 0.2), group="(.+)_"))[1] == [
        "run/c: has no source: its name does not match '(.+)_'",
        "jump: has 1 source, fewer than the 2 splits (train, test), each of which needs one",
    ]


def test_sources_that_tie_classes_together_cannot_always_be_split():
    """Either source of "jump" is needed in test, and "run" then lacks one."""
    classes = {"run/a_1": "run", "run/b_1": "run", "run/b_2": "run", "jump/a_1": "jump", "jump/c_1": "jump"}
    classes |= {"sit/b_1": "sit", "sit/c_1": "sit"}  # a, b and c: each pair must be apart, in two splits
    (problem,) = assign(classes, RandomSplit((0.5, 0, 0.5), group="(.)_"))[1]
    assert "with this seed, since its sources are large or shared with other classes; try another seed" in problem


@pytest.mark.parametrize(
    ("fractions", "group", "message"),
    [
        ((0.8, 0.2), "", "split=0.8,0.2: must be three fractions"),
        ((0.8, 0.3, -0.1), "", "must be three fractions from 0 to 1"),
        ((float("nan"), 0.5, 0.5), "", "must be three fractions"),
        ((0.8, 0.1, 0.2), "", "must add up to 1, but add up to 1.1"),
        ((0, 0.5, 0.5), "", "train, the first, must be above 0"),
        ((0.8, 0.1, 0.1), "(", "not a regular expression"),
        ((0.8, 0.1, 0.1), "g.+", "needs parentheses"),
    ],
)
def test_splits_that_are_none(fractions, group, message):
    with pytest.raises(ValueError, match=message):
        RandomSplit(fractions, group=group)


def test_a_folder_of_classes(tmp_path):
    touch(tmp_path, *(f"{key}.mp4" for key in videos(run=5, jump=5)))
    clips = clip_folder.scan(tmp_path, random_split=HOW)
    found = collections.Counter((clip.class_name, clip.split) for clip in clips)
    assert set(found.values()) == {1, 3}
    assert {f"{clip.split}/{clip.file.path}" for clip in clips} == {f"{clip.clip_id}.mp4" for clip in clips}
    touch(tmp_path, *(f"pose/{key}.json" for key in videos(run=5, jump=5)))
    posed = clip_folder.scan(tmp_path, random_split=HOW, streams=["pose"])
    assert posed[0].files["pose"].path == f"pose/{posed[0].clip_id.removeprefix('train/')}.json"


def test_everything_that_is_wrong_with_a_folder_of_classes_is_listed_at_once(tmp_path):
    touch(tmp_path, *(f"{key}.mp4" for key in videos(run=2, jump=5)), "run/notes.txt", "stray.mp4", "flow/a.mp4")
    assert problems_of(tmp_path, random_split=HOW, streams=["pose"], table=("jmp", "run")).splitlines() == [
        "run/notes.txt: not a video (.mp4, .avi, .mkv, .webm, .gif, .mov, .m4v, .3gp, .flv, .wmv, .mpg, .mpeg, .ts, "
        ".m2ts)",
        "stray.mp4: a file, where only folders of classes may be",
        "flow: has videos, but is the name of a stream, and not of a class; rename the folder",
        "run: has 2 clips, fewer than the 3 splits (train, validation, test), each of which needs one",
        "jump: is not in the class table; did you mean 'jmp'?",
        "jmp: is in the class table, but has no clips",
        f"pose: no such folder in {tmp_path}",
    ]
    touch(tmp_path, "train/run/a.mp4", "val/run/a.mp4")
    assert problems_of(tmp_path, random_split=HOW) == (
        "train, val: split already, so the folder cannot be split at random"
    )
