"""Lists of every kind are found by the names of their files."""

from tests.tfds_haa500.sources.lists.test_ucf101 import write_ucf101
from tfds_haa500.sources import split_lists


def test_lists_are_read_alone_too(tmp_path):
    lists = write_ucf101(tmp_path / "lists", "Archery/v_A.avi 1\n", "HandstandPushups/v_B.avi\n")
    entries, problems = split_lists.read(lists, 1)
    assert not problems
    assert [(entry.split, entry.class_name, entry.file) for entry in entries] == [
        ("train", "Archery", "Archery/v_A"),
        ("test", "HandstandPushups", "HandstandPushups/v_B"),
    ]
