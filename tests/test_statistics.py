"""Tables 3 and 5 of generated clips whose facts are known."""

import numpy as np

from haa_jax import statistics


def test_the_datasets_own_figures(data_dir):
    facts, classes = statistics.read("haa500/tiny", data_dir)
    assert classes == 500
    assert sorted(facts.frames) == sorted([5 + k for k in range(20)] * 4)
    np.testing.assert_allclose(facts.seconds, facts.frames / 10)
    text = statistics.describe("haa500/tiny", data_dir, ["table3", "table5"])
    rows = {line[:22].strip(): line[22:].split() for line in text.splitlines()}
    assert rows["clips"] == ["80", "10,000"]
    assert rows["frames"] == ["1,160", "591,000"]
    assert rows["mean frames a clip"] == ["14.5", "59.1"]
    assert rows["shortest, longest"] == ["0.50", "s,", "2.40", "s"]
    assert rows["more than one person"] == ["0.00", "%", "16.91", "%"]
    assert rows["moving camera"] == ["50.00", "%", "23.73", "%"]
    assert "no poses in this dataset" in text


def test_joints_are_counted_by_frame_and_missing_people_have_none():
    facts = statistics.Facts(
        frames=np.array([10, 30]),
        seconds=np.array([1.0, 3.0]),
        people=np.array([0, 0]),
        camera_moving=np.array([False, False]),
        joints=np.array([0.9, 0.5]),
    )
    assert "60.00 %" in statistics.table_5(facts)
    assert statistics.table_3(facts, 2).count("not annotated") == 2


def test_only_the_most_prominent_person_counts():
    pose = np.zeros((4, 2, 17, 3), np.float32)
    pose[:2, 0, :, 2], pose[:, 1, :, 2] = 0.6, 0.9
    example = {"video": [b""] * 4, "fps": 10.0, "num_people": 2, "camera_moving": True, "pose": pose}
    assert statistics._facts(example) == (4, 0.4, 2, True, 0.5)
