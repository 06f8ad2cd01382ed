"""UCF101's official lists, and what is wrong with them."""

import pathlib

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.sources import clip_folder


def write_ucf101(root: pathlib.Path, train: str, test: str, classes: str = "1 Archery\n2 HandstandPushups\n"):
    root.mkdir(exist_ok=True)
    (root / "classInd.txt").write_text(classes)
    (root / "trainlist01.txt").write_text(train)
    (root / "testlist01.txt").write_text(test)
    return root


def test_ucf101_lists(tmp_path):
    """The lists may be in the folder itself; a file's name may have spaces, and capitals that its class has not."""
    touch(tmp_path, "Archery/v_A g01.avi", "Archery/v_A_g02.avi", "HandstandPushups/v_HandStandPushups_g01.mp4")
    lists = write_ucf101(
        tmp_path / "ucfTrainTestlist",
        "Archery/v_A g01.avi 1\r\nHandstandPushups/v_HandStandPushups_g01.avi 2\r\n",
        "Archery/v_A_g02.avi\n",
    )
    clips = clip_folder.scan(tmp_path, lists, 1)
    assert [(clip.clip_id, clip.file.path) for clip in clips] == [
        ("train/Archery/v_A g01", "Archery/v_A g01.avi"),
        ("train/HandstandPushups/v_HandStandPushups_g01", "HandstandPushups/v_HandStandPushups_g01.mp4"),
        ("test/Archery/v_A_g02", "Archery/v_A_g02.avi"),
    ]
    touch(tmp_path, *(f"pose/{pathlib.Path(clip.file.path).with_suffix('.json')}" for clip in clips))
    posed = clip_folder.scan(tmp_path, lists, 1, streams=["pose"])
    assert posed[0].files["pose"].path == "pose/Archery/v_A g01.json"


def test_ucf101_names_are_compared_exactly(tmp_path):
    """The folder HandStandPushups of some copies is not the class HandstandPushups of the lists."""
    touch(tmp_path / "clips", "Archery/v_A_g01.avi", "Archery/v_A_g3.avi", "HandStandPushups/v_H_g01.avi")
    lists = write_ucf101(
        tmp_path / "lists",
        "Archery/v_A_g01.avi 1\nArchery/v_A_g03.avi 1\nHandstandPushups/v_H_g01.avi 2\nHandstandPushups/x.avi 1\n?\n",
        "Archery/v_A_g01.avi\nArchary/v_A_g04.avi\n",
    )
    text = problems_of(tmp_path / "clips", lists, 1)
    for expected in (
        "HandstandPushups: no such folder, and the lists have 1 clips of it; did you mean 'HandStandPushups'?",
        "HandStandPushups: a class that the lists do not have; did you mean 'HandstandPushups'?",
        "trainlist01.txt line 2: Archery/v_A_g03: no such video; did you mean 'Archery/v_A_g3'?",
        "Archery/v_A_g3.avi: not in the lists; did you mean 'Archery/v_A_g03'?",
        "trainlist01.txt line 4: label 1 of 'HandstandPushups' is 'Archery' in classInd.txt",
        "trainlist01.txt line 5: '?' is not <class>/<file>",
        "testlist01.txt line 1: Archery/v_A_g01 is in trainlist01.txt line 1 already",
        "testlist01.txt line 2: class 'Archary' is not in classInd.txt; did you mean 'Archery'?",
    ):
        assert expected in text, expected
    assert len(text.splitlines()) == 8
    assert "give the number of one" in problems_of(tmp_path / "clips", lists)
    assert "trainlist02.txt: no such file" in problems_of(tmp_path / "clips", lists, 2)
    assert "has none of trainlist01.txt" in problems_of(tmp_path / "clips", tmp_path / "clips", 1)


def test_no_nearest_names_are_searched_for_thousands_of_wrong_ones(tmp_path, monkeypatch):
    """It would take minutes."""
    searched = []
    monkeypatch.setattr(clip_folder, "nearest", lambda name, known: searched.append(name) or "")
    files = {f"Archery/v_Archery_g{k:05d}" for k in range(700)}
    folder = touch(tmp_path / "clips", *(f"{file}_other.avi" for file in files))
    lists = write_ucf101(tmp_path / "lists", "".join(f"{file}.avi 1\n" for file in files), "Archery/b.avi\n")
    assert len(problems_of(folder, lists, 1).splitlines()) == 1401
    assert len(searched) < 5
