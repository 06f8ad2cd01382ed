"""FineGym's lists of Gym288, and what is wrong with them.

The lines and the JSON entry are official: resources/dataset/ and index.html of the branch gh-pages (commit 4175b57) of
github.com/SDOlivia/FineGym, which is https://sdolivia.github.io/FineGym/.
"""

import json
import pathlib

import pytest

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.sources import clip_folder, split_lists

# Lines 1 and 62 to 65 of gym288_train_element_v1.1.txt, and lines 1 to 3 of gym288_val_element.txt.
TRAIN = """\
2pBxfMAIaXY_E_001794_001801_A_0000_0006 26
A0xAXXysHUo_E_002763_002874_A_0009_0010 178
AZ4wWG6Rcak_E_004073_004175_A_0053_0054 136
AZ4wWG6Rcak_E_004073_004175_A_0054_0055 172
AZ4wWG6Rcak_E_004073_004175_A_0061_0062 136
"""
VALIDATION = """\
0LtLS9wROrk_E_002407_002435_A_0003_0005 240
0LtLS9wROrk_E_002407_002435_A_0006_0008 266
0LtLS9wROrk_E_002407_002435_A_0012_0013 271
"""
# Lines of gym288_categories.txt: those of the labels above, some with spaces at the end, and a pair of equal names.
CATEGORIES = """\
Clabel:  26; set:  1; Glabel:  41; (VT) tsukahara tucked
Clabel: 136; set: 31; Glabel: 213; (BB) split jump     
Clabel: 158; set: 31; Glabel: 249; (BB) stretched jump/hop with 1 turn
Clabel: 172; set: 32; Glabel: 272; (BB) 1 turn on one leg, free leg optional below horizontal
Clabel: 178; set: 32; Glabel: 280; (BB) 1 turn in tuck stand on one leg, free leg optional
Clabel: 181; set: 33; Glabel: 290; (BB) salto backward tucked
Clabel: 217; set: 35; Glabel: 359; (BB) salto backward tucked
Clabel: 240; set: 41; Glabel: 413; (UB) giant circle backward with 0.5 turn to handstand
Clabel: 266; set: 42; Glabel: 462; (UB) (swing backward or front support) salto forward straddled to hang on high bar
Clabel: 271; set: 43; Glabel: 471; (UB) transition flight from high bar to low bar
"""  # noqa: W291
# The example entry of the page, whole where it is whole there.
EXAMPLE = {
    "0LtLS9wROrk": {
        "E_002407_002435": {
            "event": 4,
            "segments": {"A_0003_0005": {"stages": 1, "timestamps": [[3.45, 5.64]]}},
            "timestamps": [[2407.32, 2435.28]],
        },
        "E_002681_002688": {
            "event": 1,
            "segments": {"A_0000_0006": {"stages": 3, "timestamps": [[0.04, 3.2], [3.2, 4.49], [4.49, 6.57]]}},
            "timestamps": [[2681.88, 2688.48]],
        },
    }
}


def write_lists(root: pathlib.Path, train=TRAIN, validation=VALIDATION, categories=CATEGORIES, info=None):
    root.mkdir(exist_ok=True)
    (root / "gym288_train_element_v1.1.txt").write_text(train)
    (root / "gym288_val_element.txt").write_text(validation)
    (root / "gym288_categories.txt").write_text(categories)
    if info is not None:
        (root / "finegym_annotation_info_v1.1.json").write_text(json.dumps(info))
    return root


def touch_elements(folder: pathlib.Path, *lists: str) -> pathlib.Path:
    return touch(folder, *(f"{line.split()[0]}.mp4" for lines in lists for line in lines.splitlines()))


def test_official_lines(tmp_path):
    """Equal names of classes are told apart by their sets; "/" and spaces at the end are in names too."""
    more = "0LtLS9wROrk_E_002451_002529_A_0019_0021 181\n0LtLS9wROrk_E_002451_002529_A_0022_0023 217\n"
    lists = write_lists(tmp_path / "lists", validation=VALIDATION + more)
    entries, problems = split_lists.read(lists, root=touch_elements(tmp_path / "subactions", TRAIN))
    assert not problems
    assert [(entry.split, entry.class_name) for entry in entries] == [
        ("train", "(VT) tsukahara tucked"),
        ("train", "(BB) 1 turn in tuck stand on one leg, free leg optional"),
        ("train", "(BB) split jump"),
        ("train", "(BB) 1 turn on one leg, free leg optional below horizontal"),
        ("train", "(BB) split jump"),
        ("validation", "(UB) giant circle backward with 0.5 turn to handstand"),
        ("validation", "(UB) (swing backward or front support) salto forward straddled to hang on high bar"),
        ("validation", "(UB) transition flight from high bar to low bar"),
        ("validation", "(BB) salto backward tucked, set 33"),
        ("validation", "(BB) salto backward tucked, set 35"),
    ]
    assert "one split, without a number" in problems_of(tmp_path / "subactions", lists, 1)


def test_elements_that_are_cut_already(tmp_path):
    """Their names are those of the lists. Others that the annotations have are left out."""
    validation = "0LtLS9wROrk_E_002407_002435_A_0006_0008 136\n"
    lists = write_lists(tmp_path / "lists", validation=validation, info=EXAMPLE)
    folder = touch_elements(tmp_path / "subactions", TRAIN, validation)
    touch(folder, "0LtLS9wROrk_E_002681_002688_A_0000_0006.mp4")
    clips = clip_folder.scan(folder, lists)
    assert [clip.clip_id for clip in clips] == [
        "train/(BB) 1 turn in tuck stand on one leg, free leg optional/A0xAXXysHUo_E_002763_002874_A_0009_0010",
        "train/(BB) 1 turn on one leg, free leg optional below horizontal/AZ4wWG6Rcak_E_004073_004175_A_0054_0055",
        "train/(BB) split jump/AZ4wWG6Rcak_E_004073_004175_A_0053_0054",
        "train/(BB) split jump/AZ4wWG6Rcak_E_004073_004175_A_0061_0062",
        "train/(VT) tsukahara tucked/2pBxfMAIaXY_E_001794_001801_A_0000_0006",
        "validation/(BB) split jump/0LtLS9wROrk_E_002407_002435_A_0006_0008",
    ]
    assert not any(clip.is_part for clip in clips)
    assert clips[-1].annotation.url == "https://www.youtube.com/watch?v=0LtLS9wROrk"
    assert clip_folder.count_left_out(folder, lists) == {"videos that the lists do not use": 2}
    touch(folder, *(f"pose/{clip.file.path.removesuffix('.mp4')}.json" for clip in clips))
    assert clip_folder.scan(folder, lists, streams=["pose"])[-1].files["pose"].path == (
        "pose/0LtLS9wROrk_E_002407_002435_A_0006_0008.json"
    )
    (lists / "finegym_annotation_info_v1.1.json").unlink()
    assert problems_of(folder, lists) == "0LtLS9wROrk_E_002681_002688_A_0000_0006.mp4: not in the lists"


def test_whole_videos(tmp_path):
    """Times of elements count from the event's start; the stages of a vault are one clip."""
    train = "0LtLS9wROrk_E_002407_002435_A_0003_0005 240\n0LtLS9wROrk_E_002681_002688_A_0000_0006 26\n"
    others = {"0MtilFKz4cA": {"E_000400_000407": {"event": 1, "segments": None, "timestamps": [[400.1, 407.0]]}}}
    validation = {
        "E_000000_000009": {"segments": {"A_0001_0002": {"timestamps": [[1.5, 2.75]]}}, "timestamps": [[0, 9]]}
    }
    info = EXAMPLE | others | {"2pBxfMAIaXY": validation}
    lists = write_lists(tmp_path / "lists", train, "2pBxfMAIaXY_E_000000_000009_A_0001_0002 26\n", info=info)
    folder = touch(tmp_path / "videos", "0LtLS9wROrk.mkv", "0MtilFKz4cA.mp4", "2pBxfMAIaXY.mp4")
    giant, vault, second = clip_folder.scan(folder, lists)
    assert giant.clip_id == (
        "train/(UB) giant circle backward with 0.5 turn to handstand/0LtLS9wROrk_E_002407_002435_A_0003_0005"
    )
    assert giant.is_part
    assert giant.file.path == vault.file.path == "0LtLS9wROrk.mkv"
    assert (giant.annotation.start, giant.annotation.end) == pytest.approx((2410.77, 2412.96))
    assert (vault.annotation.start, vault.annotation.end) == pytest.approx((2681.92, 2688.45))
    assert (second.split, second.annotation.start, second.annotation.end) == ("validation", 1.5, 2.75)
    assert clip_folder.count_left_out(folder, lists) == {"videos that the lists do not use": 1}


def test_faults_are_reported_at_once(tmp_path):
    """The official example has no element A_0006_0008 of this event; nobody has all the videos."""
    train = TRAIN.replace(" 178", " 999").replace("A_0061_0062", "A_61_62") + TRAIN.splitlines()[0]
    short = {"E_001794_001801": {"segments": {"A_0000_0006": {"timestamps": [[3, 3]]}}, "timestamps": [[1794, 1801]]}}
    info = EXAMPLE | {"2pBxfMAIaXY": short, "AZ4wWG6Rcak": {"E_004073_004175": [], "E_0": None}, "a": 1}
    lists = write_lists(tmp_path / "lists", train, categories=f"{CATEGORIES}Clabel: x\n", info=info)
    folder = touch(tmp_path / "videos", "0LtLS9wROrk.mp4", "0LtLS9wROr.mp4")
    text = problems_of(folder, lists)
    for expected in (
        "gym288_categories.txt line 11: 'Clabel: x' is not Clabel: <a new number>",
        "gym288_train_element_v1.1.txt line 2: label '999' is not in gym288_categories.txt",
        "gym288_train_element_v1.1.txt line 3: AZ4wWG6Rcak_E_004073_004175_A_0053_0054 has no times in finegym",
        "gym288_train_element_v1.1.txt line 5: 'AZ4wWG6Rcak_E_004073_004175_A_61_62 136' is not <video>_E_<start>",
        "gym288_val_element.txt line 2: 0LtLS9wROrk_E_002407_002435_A_0006_0008 has no times in finegym",
        "0LtLS9wROr.mp4: not in the lists",
    ):
        assert expected in text, expected
    assert clip_folder.count_left_out(folder, lists)["annotations shorter than 0.1 s"] == 2
    touch_elements(folder, TRAIN)
    assert "line 6: 2pBxfMAIaXY_E_001794_001801_A_0000_0006 is in gym288_train_element_v1.1.txt line 1 already" in (
        problems_of(folder, lists)
    )
    (lists / "gym288_train_element_v1.0.txt").write_text(TRAIN)
    assert "are versions of the same list; keep one of them" in problems_of(folder, lists)


def test_whole_videos_need_their_annotations(tmp_path):
    lists = write_lists(tmp_path / "lists", validation=TRAIN.splitlines()[0])
    folder = touch(tmp_path / "videos", "2pBxfMAIaXY.mp4")
    assert "finegym_annotation_info_v1.1.json: no such file in" in problems_of(folder, lists)
    for content, reason in (("[]", "is not an object of videos"), ("{", "cannot be read as JSON")):
        (lists / "finegym_annotation_info_v1.1.json").write_text(content)
        assert reason in problems_of(folder, lists)
