"""ActivityNet's official lists, and what is wrong with them."""

import json

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.sources import clip_folder, split_lists

# Entries of activity_net.v1-2.min.json: subset, duration, label and segment of each annotation. The file itself was not
# to be had; its fields are in ActivityNet1.2-Annotations/*.npy of github.com/naraysa/3c-net (commit 8b1d4a9), as arrays
# over its 4,819 training and 2,383 validation videos, whose 7,151 and 3,582 annotations agree with the counts of
# http://activity-net.org/download.html. The layout is that of the same page and of
# Notebooks/ActivityNet-Release1.2-Classification.ipynb (commit 2e053ea of github.com/activitynet/ActivityNet), which
# reads "version" (VERSION 1.2), "taxonomy", "database", of a video its "subset", "duration" and "annotations", of these
# "label" and "segment".
V1_2 = {
    "--0edUL8zmA": ("training", 92.18, [("Dodgeball", [5.46484, 86.71838])]),
    "5n7NCViB5TU": (
        *("training", 121.44),
        [
            ("Discus throw", [24.25018, 38.08036]),
            ("Discus throw", [62.14109, 71.61382]),
            ("Discus throw", [97.00073, 106.284]),
        ],
    ),
    "iA2Q4t-o58w": (
        *("validation", 219.27),
        [("Cheerleading", [44.18868, 169.84344]), ("Tumbling", [69.40427, 161.84243])],
    ),
    "ZZVrH3Hv1fM": ("training", 58.98, [("Washing hands", [0, 0])]),
    "U-kPlTqXc_M": ("training", 12.12, [("Drinking beer", [0.01, 0.02])]),
    "QhiKgeJV3k0": (
        *("validation", 195.05),
        [("Playing guitarra", [4.10395, 4.10395]), ("Playing guitarra", [29.33565, 170.99795])],
    ),
    "qisMX7KNi7s": (
        *("training", 149.44),
        [("Hand washing clothes", [65.94322, 130.0991]), ("Hand washing clothes", [65.94322, 130.0991])],
    ),
    # Of v1.3, whose testing videos have no labels either.
    "-1EC1ZP6aC4": ("testing", 0.0, []),
}


def write_v1_2(path, names=tuple(V1_2)):
    database = {}
    for name in names:
        subset, duration, annotations = V1_2[name]
        database[name] = {
            "duration": duration,
            "subset": subset,
            "url": f"https://www.youtube.com/watch?v={name}",
            "annotations": [{"label": label, "segment": segment} for label, segment in annotations],
        }
    path.write_text(json.dumps({"version": "VERSION 1.2", "taxonomy": [], "database": database}))
    return path


def test_v1_2(tmp_path):
    entries, problems = split_lists.read(write_v1_2(tmp_path / "activity_net.v1-2.min.json"))
    assert not problems
    assert [(entry.split, entry.class_name, entry.file, entry.segment) for entry in entries if entry.split] == [
        ("train", "Dodgeball", "v_--0edUL8zmA", (5.46484, 86.71838)),
        ("train", "Discus throw", "v_5n7NCViB5TU", (24.25018, 38.08036)),
        ("train", "Discus throw", "v_5n7NCViB5TU", (62.14109, 71.61382)),
        ("train", "Discus throw", "v_5n7NCViB5TU", (97.00073, 106.284)),
        ("validation", "Playing guitarra", "v_QhiKgeJV3k0", (29.33565, 170.99795)),
        ("validation", "Cheerleading", "v_iA2Q4t-o58w", (44.18868, 169.84344)),
        ("validation", "Tumbling", "v_iA2Q4t-o58w", (69.40427, 161.84243)),
        ("train", "Hand washing clothes", "v_qisMX7KNi7s", (65.94322, 130.0991)),
    ]
    assert entries[0].url == "https://www.youtube.com/watch?v=--0edUL8zmA"


def test_what_v1_2_has_to_leave_out_is_counted(tmp_path):
    """The videos of which nothing is left may be there or not; a clip's number is that of its annotation."""
    names = [name for name in V1_2 if name not in ("iA2Q4t-o58w", "QhiKgeJV3k0")]  # their classes are not in train
    path = write_v1_2(tmp_path / "activity_net.v1-2.min.json", names)
    folder = tmp_path / "videos"
    touch(folder, *(f"v_{name}.mp4" for name in ("--0edUL8zmA", "5n7NCViB5TU", "qisMX7KNi7s", "ZZVrH3Hv1fM")))
    clips = clip_folder.scan(folder, path)
    assert {clip.split for clip in clips} == {"train"}
    assert [clip.clip_id for clip in clips] == [
        *(f"train/Discus throw/v_5n7NCViB5TU_{number}" for number in range(3)),
        "train/Dodgeball/v_--0edUL8zmA_0",
        "train/Hand washing clothes/v_qisMX7KNi7s_0",
    ]
    assert clip_folder.count_left_out(folder, path) == {
        "videos without labels": 1,
        "annotations shorter than 0.1 s": 2,
        "annotations that are there twice": 1,
    }


def annotate(*segments, subset="training") -> dict:
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in segments]
    return {"subset": subset, "annotations": annotations, "url": "https://example.org/v"}


def test_faults_of_activitynet_lists(tmp_path):
    touch(tmp_path, "v_a.mp4", "v_q.mp4", "v_d.txt")
    database = {
        "a": annotate(("Archery", 1, 2), ("Archery", 3, 2), ("", 0, 1), ("Archery", float("nan"), 1)),
        "b": annotate(("Archery", 0, 1)),
        "c": annotate(subset="training"),
        "d": annotate(("Archery", 0, 1), subset="train"),
        "e": annotate(("Archery", 0, 1)) | {"url": None},
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"database": database}))
    text = problems_of(tmp_path, path)
    for expected in (
        "list.json: a annotation 1: segment is [3, 2], must be [start, end]",
        "list.json: a annotation 2: label is ''",
        "list.json: a annotation 3: segment is [nan, 1]",
        "list.json: c: annotations are []",
        "list.json: d: subset is 'train', must be one of training, validation, testing",
        "list.json: e: url is None",
        "list.json: b annotation 0: v_b: no such video",
        "v_q.mp4: not in the lists",
        "v_d.txt: not a video",
    ):
        assert expected in text, expected
    assert "ActivityNet has one split" in problems_of(tmp_path, path, 1)
    for content, reason in (("{", "cannot be read as JSON"), ("[]", "no object 'database'")):
        path.write_text(content)
        assert reason in problems_of(tmp_path, path)


def test_a_listed_class_has_no_poses_where_clips_are_parts(tmp_path):
    touch(tmp_path, "v_a.mp4", "list.json")
    (tmp_path / "list.json").write_text(json.dumps({"database": {"a": annotate(("Archery", 1, 2))}}))
    assert "cannot have files of their own" in problems_of(tmp_path, tmp_path / "list.json", streams=["pose"])
