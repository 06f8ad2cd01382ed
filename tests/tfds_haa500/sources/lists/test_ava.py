"""AVA v2.2's lists, and what is wrong with them."""

import pathlib

import pytest

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.problems import BuildError
from tfds_haa500.sources import clip_folder, split_lists

# Rows of the training lists: the first one of v2.1's (tools/data/ava/AVA_annotation_explained.md of
# github.com/open-mmlab/mmaction2, commit 4d6c934), which public programs quote as one of ava_train_v2.2.csv too; and
# rows of tests/data/ava_dataset/ava_sample.csv there.
TRAIN = """\
-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1
0f39OWEqJ24,0902,0.031,0.162,0.670,0.995,12,0
0f39OWEqJ24,0902,0.031,0.162,0.670,0.995,17,0
0f39OWEqJ24,0902,0.031,0.162,0.670,0.995,79,0
0f39OWEqJ24,0903,0.034,0.189,0.669,0.980,12,0
0f39OWEqJ24,0903,0.034,0.189,0.669,0.980,17,0
"""
# Rows of ava_val_v2.2.csv as a description of AVA 2.2 in a public repository quotes them: two people at one second.
VALIDATION = """\
1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,12,1
1j20qq1JyX4,0902,0.002,0.118,0.714,0.977,79,1
1j20qq1JyX4,0902,0.444,0.054,0.992,0.990,12,0
1j20qq1JyX4,0902,0.444,0.054,0.992,0.990,17,0
"""
# Lines of the files of the same names in ava/annotations/ of github.com/AjDesuuu/ava-dataset-utils (commit 56df609),
# which has ava_v2.2.zip unpacked; its two large lists were not to be had.
TRAIN_EXCLUDED = "0f39OWEqJ24,1110\n0f39OWEqJ24,1599\n3IOE-Q3UWdA,1114\n"
VALIDATION_EXCLUDED = "5BDj0ow5hnA,1038\n5BDj0ow5hnA,1058\n"
TEST = "--205wugM18\n-APF0-L14kw\n"
ACTIONS = """\
label {
  name: "stand"
  label_id: 12
  label_type: PERSON_MOVEMENT
}
label {
  name: "carry/hold (an object)"
  label_id: 17
  label_type: OBJECT_MANIPULATION
}
label {
  name: "talk to (e.g., self, a person, a group)"
  label_id: 79
  label_type: PERSON_INTERACTION
}
label {
  name: "watch (a person)"
  label_id: 80
  label_type: PERSON_INTERACTION
}
"""
STAND, HOLD, TALK = "stand", "carry/hold (an object)", "talk to (e.g., self, a person, a group)"


def write_lists(root: pathlib.Path, train=TRAIN, validation=VALIDATION, train_excluded=TRAIN_EXCLUDED, actions=ACTIONS):
    root.mkdir(exist_ok=True)
    (root / "ava_train_v2.2.csv").write_text(train)
    (root / "ava_val_v2.2.csv").write_text(validation)
    (root / "ava_train_excluded_timestamps_v2.2.csv").write_text(train_excluded)
    (root / "ava_val_excluded_timestamps_v2.2.csv").write_text(VALIDATION_EXCLUDED)
    (root / "ava_action_list_v2.2.pbtxt").write_text(actions)
    (root / "ava_test_v2.2.txt").write_text(TEST)
    return root


def test_a_clip_is_a_key_frame_with_the_actions_of_all_people(tmp_path):
    folder = touch(tmp_path / "videos", "-5KQ66BBWC4.mkv", "0f39OWEqJ24.mp4", "1j20qq1JyX4.webm", "--205wugM18.mp4")
    lists = write_lists(tmp_path / "lists")
    clips = clip_folder.scan(folder, lists, multi_label=True)
    assert {clip.clip_id: clip.labels for clip in clips} == {
        "train/-5KQ66BBWC4_0902": ("watch (a person)",),
        "train/0f39OWEqJ24_0902": (HOLD, STAND, TALK),
        "train/0f39OWEqJ24_0903": (HOLD, STAND),
        "validation/1j20qq1JyX4_0902": (HOLD, STAND, TALK),
    }
    assert all(clip.is_part and clip.class_name == clip.labels[0] for clip in clips)
    assert {(clip.file.path, clip.annotation.start, clip.annotation.end) for clip in clips} == {
        ("-5KQ66BBWC4.mkv", 901.5, 902.5),
        ("0f39OWEqJ24.mp4", 901.5, 902.5),
        ("0f39OWEqJ24.mp4", 902.5, 903.5),
        ("1j20qq1JyX4.webm", 901.5, 902.5),
    }
    assert clips[0].annotation.url.startswith("https://www.youtube.com/watch?v=")
    assert clip_folder.count_left_out(folder, lists) == {"videos without labels": 2}
    longer = clip_folder.scan(folder, lists, multi_label=True, clip_seconds=5.0)
    assert {clip.annotation.end - clip.annotation.start for clip in longer} == {5}
    with pytest.raises(BuildError, match="multi_label is not set"):
        clip_folder.scan(folder, lists)


def test_excluded_key_frames_are_left_out_and_counted(tmp_path):
    """The row at an excluded second is made up."""
    train = TRAIN + "0f39OWEqJ24,1110,0.031,0.162,0.670,0.995,12,0\n"
    lists = write_lists(tmp_path / "lists", train=train)
    entries, problems = split_lists.read(lists)
    assert not problems
    assert [entry.name for entry in entries if entry.split == "train"] == [
        *("-5KQ66BBWC4_0902", "0f39OWEqJ24_0902", "0f39OWEqJ24_0903")
    ]
    assert clip_folder.count_left_out(tmp_path, lists)["key frames that AVA excludes"] == 1


def test_faults_are_reported_at_once(tmp_path):
    train = (
        TRAIN + "0f39OWEqJ24,0904,0.034,0.189,0.669,0.980,99,0\nfoo,0904,0,0,1,1,12\n1j20qq1JyX4,0903,0,0,1,1,12,0\n"
    )
    lists = write_lists(tmp_path / "lists", train=train, train_excluded="0f39OWEqJ24;1110\n")
    folder = touch(tmp_path / "videos", "-5KQ66BBWC4.mkv", "0f39OWEqJ24.mp4", "x.mp4")
    assert problems_of(folder, lists, multi_label=True).splitlines() == [
        "ava_train_v2.2.csv line 7: action '99' is not in ava_action_list_v2.2.pbtxt",
        "ava_train_v2.2.csv line 8: 'foo,0904,0,0,1,1,12'"
        " is not <video>,<second>,<x1>,<y1>,<x2>,<y2>,<action>,<person>",
        "ava_train_excluded_timestamps_v2.2.csv line 1: '0f39OWEqJ24;1110' is not <video>,<second>",
        "1j20qq1JyX4: is in train and validation",
        "ava_train_v2.2.csv line 9: 1j20qq1JyX4: no such video",
        "x.mp4: not in the lists",
    ]
    assert "one split, without a number" in problems_of(folder, lists, 1)
    write_lists(lists, actions=ACTIONS.replace("label_id: 17\n", "label_id: 12\n"))
    assert "ava_action_list_v2.2.pbtxt: is not a list of label" in problems_of(folder, lists, multi_label=True)
    assert "clip_seconds=2: only AVA's lists have key frames" in problems_of(folder, clip_seconds=2.0)
