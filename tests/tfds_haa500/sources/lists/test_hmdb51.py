"""HMDB51's official lists."""

from tests.tfds_haa500.sources.test_clip_folder import problems_of, touch
from tfds_haa500.sources import clip_folder


def test_hmdb51_lists(tmp_path):
    touch(tmp_path, "draw_sword/#1_(x)_u_nm.avi", "draw_sword/b.avi", "draw_sword/unused.avi", "eat/a.avi")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "draw_sword_test_split2.txt").write_text("#1_(x)_u_nm.avi 1 \nb.avi 2 \nunused.avi 0 \nabsent.avi 0\n")
    (lists / "eat_test_split2.txt").write_text("a.avi 1 \n")
    clips = clip_folder.scan(tmp_path, lists, 2)
    assert [clip.clip_id for clip in clips] == ["train/draw_sword/#1_(x)_u_nm", "train/eat/a", "test/draw_sword/b"]
    (lists / "eat_test_split2.txt").write_text("a.avi 3\n")
    assert "eat_test_split2.txt line 1: 'a.avi 3' is not <file> and 0 (unused)" in problems_of(tmp_path, lists, 2)
    (lists / "eat_test_split2.txt").unlink()
    assert problems_of(tmp_path, lists, 2) == "eat: a class that the lists do not have"
    (lists / "eat_test_split1.txt").write_text("a.avi 1\n")
    assert "eat_test_split2.txt: no such file" in problems_of(tmp_path, lists, 2)
