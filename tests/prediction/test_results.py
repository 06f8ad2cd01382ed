import csv
import json
import os

import numpy as np
import pytest

from haa_jax.prediction import feature_files, results
from haa_jax.prediction.partial import Partial

CLASSES = {"atomic": ("sit", "run", "jump"), "composite": ("still", "moving")}


def logits(*best):
    """Of clips: the class `best[i]` has 0.8 of the score, the others 0.1 each."""
    return np.log(np.array([[0.8 if i == each else 0.1 for i in range(3)] for each in best], np.float32))


@pytest.fixture
def record():
    two = {"atomic": logits(1, 2), "composite": np.zeros((2, 2), np.float32)}
    return results.record("a.mp4", [(0, 1), (1.0, 2.00049)], two, CLASSES, 2)


def test_records_have_the_highest_scores_first(record):
    first, second = record["clips"]
    assert (second["start"], second["end"]) == (1, 2)
    assert first["predictions"]["atomic"] == [
        {"label": "run", "score": pytest.approx(0.8)},
        {"label": "sit", "score": pytest.approx(0.1)},
    ]
    assert [each["label"] for each in second["predictions"]["composite"]] == ["still", "moving"]
    assert len(results.top(logits(0)[0], CLASSES["atomic"], 9)) == 3
    assert sum(each["score"] for each in results.top(np.float32([1000, 0, -1000]), "abc", 3)) == pytest.approx(1)


def clip(start, end, label, score):
    return {"start": start, "end": end, "predictions": {"atomic": [{"label": label, "score": score}]}}


def test_equal_labels_are_joined():
    clips = [clip(0, 2, "run", 0.5), clip(1, 3, "run", 0.7), clip(2, 4, "sit", 0.9), clip(6, 8, "run", 1.0)]
    joined = results.join({"video": "a.mp4", "clips": clips}, "atomic")
    assert joined["video"] == "a.mp4"
    # The second and the third share the time from 2 to 3; between the last two there is a gap.
    assert joined["clips"] == [
        clip(0, 2.5, "run", pytest.approx(0.6)),
        clip(2.5, 4, "sit", 0.9),
        clip(6, 8, "run", 1.0),
    ]


def test_the_table(record):
    table = results.Table(["a.mp4", "longer.mp4"], ["atomic", "composite"], timed=True)
    assert f"{table.header()}\n{table.text(record)}".splitlines() == [
        "video           start        end  head        score  label",
        "a.mp4            0.00       1.00  atomic     0.8000  run",
        "                                             0.1000  sit",
        "                                  composite  0.5000  still",
        "                                             0.5000  moving",
        "                 1.00       2.00  atomic     0.8000  jump",
        "                                             0.1000  sit",
        "                                  composite  0.5000  still",
        "                                             0.5000  moving",
    ]
    plain = results.Table(["a.mp4"], ["atomic"], timed=False)
    assert plain.header() == "video   score  label"
    assert plain.text(results.record("a.mp4", [(0, 1)], {"atomic": logits(0)}, CLASSES, 1)) == "a.mp4  0.8000  sit"


def test_files_of_results(record, tmp_path):
    results.write(str(tmp_path / "x.json"), [record])
    assert json.loads((tmp_path / "x.json").read_text()) == [record]
    results.write(str(tmp_path / "x.csv"), [record])
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert rows[0] == dict(zip(results.COLUMNS, ("a.mp4", "0", "1", "atomic", "1", "run", "0.8"), strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.json"]
    for wrong, reason in (("x.txt", r"must end in \.csv or \.json"), ("none/x.csv", "there is no folder none")):
        with pytest.raises(results.ResultsError, match=reason):
            results.check_format(wrong)


def test_a_partial_file_keeps_whole_lines_of_the_same_settings_and_videos(record, tmp_path):
    out, videos = str(tmp_path / "x.csv"), [str(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.mp4")]
    for video in videos:
        (tmp_path / video).write_bytes(b"12")
    partial = Partial(out, {"top_k": 2})
    for video in videos[:2]:
        partial.add(video, record | {"video": video})
    partial.close(delete=False)
    with partial.path.open("ab") as file:
        file.write(b'{"file": "cut off')
    os.utime(videos[1], ns=(0, 0))  # written again since

    again = Partial(out, {"top_k": 2})
    assert again.record(videos[0]) == record | {"video": videos[0]}
    assert [again.record(video) for video in videos[1:]] == [None, None]
    again.add(videos[2], record)
    again.close(delete=False)
    third = Partial(out, {"top_k": 2})
    assert third.record(videos[2]) == record
    with pytest.raises(results.ResultsError, match=r"x\.csv\.partial has results of another network or of other"):
        Partial(out, {"top_k": 3})
    third.close(delete=True)
    assert not third.path.exists()


def test_a_partial_file_whose_first_line_was_cut_off_is_begun_again(record, tmp_path):
    out, video = str(tmp_path / "x.csv"), tmp_path / "a.mp4"
    video.touch()
    (tmp_path / "x.csv.partial").write_text('{"sett')
    partial = Partial(out, {})
    partial.add(str(video), record)
    partial.close(delete=False)
    assert Partial(out, {}).record(str(video)) == record


def test_feature_files(tmp_path):
    names = {"in/a.mp4": "a", "in/sub/b.mp4": "sub/b"}
    feature_files.write(str(tmp_path), "sub/b", np.ones((2, 3), np.float32), [(0, 1), (1, 2)])
    assert feature_files.missing(str(tmp_path), names) == {"in/a.mp4": "a"}
    features, times = (np.load(tmp_path / "sub" / name) for name in ("b.npy", "b.times.npy"))
    assert (features.shape, features.dtype, times.tolist()) == ((2, 3), np.float32, [[0, 1], [1, 2]])
    feature_files.check_names("features", names)
    with pytest.raises(results.ResultsError, match=r"x/a\.mp4 and y/A\.mp4 would have the same file in --features"):
        feature_files.check_names("features", {"x/a.mp4": "a", "y/A.mp4": "A"})


def test_several_labels_are_those_above_the_threshold():
    two = {"atomic": np.float32([[2, -1, 0.5], [-1, -2, -3]])}
    record = results.record("a.mp4", [(0, 1), (1, 2)], two, CLASSES, 1, threshold=0.5)
    first, second = (clip["predictions"]["atomic"] for clip in record["clips"])
    assert [each["label"] for each in first] == ["sit", "jump"]
    assert first[0]["score"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert second == []
    assert [row[4:] for row in results.rows(record)][2] == ("", "", None)
    table = results.Table(["a.mp4"], ["atomic"], timed=True)
    assert table.text(record).splitlines()[2].split() == ["1.00", "2.00", "-"]


def test_clips_without_labels_are_in_files_too(tmp_path):
    nothing = results.record("a.mp4", [(0, 1)], {"atomic": np.float32([[-1, -1, -1]])}, CLASSES, 1, threshold=0.5)
    results.write(str(tmp_path / "x.csv"), [nothing])
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == "a.mp4,0,1,atomic,,,"


def test_equal_sets_are_joined():
    def sets(start, **scores):
        best = [{"label": label, "score": score} for label, score in scores.items()]
        return {"start": start, "end": start + 2, "predictions": {"atomic": best}}

    clips = [sets(0, run=0.9, sit=0.6), sets(2, sit=0.9, run=0.8), sets(4, run=0.9), sets(6), sets(8)]
    joined = results.join({"video": "a.mp4", "clips": clips}, "atomic", several=True)["clips"]
    assert [(clip["start"], clip["end"]) for clip in joined] == [(0, 4), (4, 6), (6, 10)]
    assert joined[0]["predictions"]["atomic"] == [
        {"label": "run", "score": pytest.approx(0.85)},
        {"label": "sit", "score": pytest.approx(0.75)},
    ]
    assert joined[2]["predictions"]["atomic"] == []
