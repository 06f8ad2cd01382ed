import csv
import json
import pathlib
import re
import subprocess
import sys

import pytest

from haa_jax import report
from haa_jax.data.dataset import DatasetError
from haa_jax.reporting import page
from haa_jax.reporting.runs import ReportError
from tests.reporting import runs as made

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes seconds."""
    monkeypatch.setattr(report, "write_pictures", lambda *_: [])


def data_of(path) -> dict:
    text = pathlib.Path(path).read_text()
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])


def test_one_run(tmp_path, capsys):
    folder = made.write_run(tmp_path / "i3d", made.small({0: 1, 9: 2}))
    path = report.report([str(folder)])
    assert path == folder / "report" / "report.html"
    data = data_of(path)
    answers = data["runs"][0]["heads"]["atomic"]
    assert answers["figures"]["top1"]["correct"] == 10
    assert sorted(pair["clips"] for pair in answers["pairs"]) == [[0], [9]]
    assert answers["hardest"] == sorted(answers["hardest"], key=lambda clip: answers["label_score"][clip])
    assert data["heads"]["atomic"]["classes"] == ["jump", "sit", "<b>fly & run</b>", "</script>"]
    assert data["changes"] == {"atomic": []}
    assert data["thumbnails"] == {}
    out = capsys.readouterr().out
    for what in ("No thumbnails: the dataset is not known", "No training curves of i3d", "No map of i3d"):
        assert any(what in line for lines in data["notes"].values() for line in lines)
        assert what in out
    written = [*path.parent.glob("tables/*.csv"), *path.parent.glob("pictures/*.png")]
    assert sorted(data["files"]) == sorted(str(file.relative_to(folder / "report")) for file in written)
    assert {file.read_bytes()[:4] for file in written if file.suffix == ".png"} == {b"\x89PNG"}


def test_the_page_needs_no_other_file_and_no_name_becomes_html(tmp_path, no_pictures):
    path = report.report([made.write_run(tmp_path / "<i>run", made.small())])
    text = path.read_text()
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert "<b>fly" not in text
    assert text.count("</script>") == 2
    assert "<title>Report: &lt;i&gt;run</title>" in text
    assert "innerHTML" not in text


def test_a_class_may_be_named_like_a_placeholder():
    assert json.dumps("@@STYLE@@") in page.render({"title": "@@DATA@@", "x": "@@STYLE@@"})


def read_csv(path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_several_runs_are_compared_with_the_first(tmp_path, no_pictures):
    first, other = (made.write_run(tmp_path / n, made.small(w)) for n, w in (("a", {0: 1, 9: 2}), ("b", {1: 2})))
    with pytest.raises(ReportError, match="--out is needed"):
        report.report([first, other])
    data = data_of(report.report([first, other], tmp_path / "out"))
    (change,) = data["changes"]["atomic"]
    assert (change["lost"], change["gained"], change["p"]) == ([1], [0, 9], 1.0)
    rows = read_csv(tmp_path / "out" / "tables" / "atomic_changes_b.csv")
    assert rows[1] == ["clip_01", "right -> wrong", "jump", "jump", "<b>fly & run</b>"]
    assert read_csv(tmp_path / "out" / "tables" / "predictions_a.csv") == read_csv(first / "predictions.csv")
    figures = {(row[0], row[2]): row[5:] for row in read_csv(tmp_path / "out" / "tables" / "accuracies.csv")}
    assert figures["a", "top1"] == ["10", "12"]
    assert figures["b", "area: inside"] == ["5", "6"]
    assert read_csv(tmp_path / "out" / "tables" / "atomic_b_confusion_area.csv")[1:] == [
        ["inside", "5", "1"],
        ["outside", "0", "6"],
    ]


def test_thumbnails_and_composites_come_from_the_dataset(tmp_path, no_pictures, data_dir):
    arrays = made.small({0: 1})
    arrays["clip_ids"][:3] = ["CPR_017", "CPR_018", "CPR_019"]
    folder = made.write_run(tmp_path / "run", arrays)
    data = data_of(report.report([folder], "", data_dir, "haa500/tiny"))
    assert data["thumbnails"].keys() == {"0", "1", "2"}
    assert data["thumbnails"]["0"]["uri"].startswith("data:image/jpeg;base64,")
    assert "No thumbnails of 9 clips: " in data["notes"]["thumbnails"][0]
    with pytest.raises(DatasetError):
        report.report([folder], tmp_path / "new", str(tmp_path), "haa500/tiny")
    assert not (tmp_path / "new").exists()


def test_the_map_of_embed_is_shown(tmp_path, no_pictures, monkeypatch):
    folder = made.write_run(tmp_path / "run", made.small())
    (folder / "tsne_test.png").write_bytes(b"\x89PNG picture")
    data = data_of(report.report([folder]))
    assert data["runs"][0]["map"] == "data:image/png;base64,iVBORyBwaWN0dXJl"
    assert "maps" not in data["notes"]
    monkeypatch.setattr(report, "MOST_MAP_BYTES", 5)
    data = data_of(report.report([folder]))
    assert data["runs"][0]["map"] is None
    assert "there is no room for" in data["notes"]["maps"][0]


def test_500_classes_stay_small(tmp_path, no_pictures):
    runs = [made.write_run(tmp_path / name, made.haa500(seed)) for seed, name in enumerate("ab")]
    path = report.report(runs, tmp_path / "out")
    assert path.stat().length < 700_000  # without thumbnails, whose size is bounded by themselves
    data = data_of(path)
    assert len(data["heads"]["atomic"]["composites"]) == 291
    assert len(data["runs"][0]["heads"]["atomic"]["top"]) == 1500
    assert len(read_csv(tmp_path / "out" / "tables" / "atomic_a_confusion_class.csv")) == 501


def test_every_shown_clip_of_the_page_is_first_in_line_for_a_thumbnail(tmp_path):
    from haa_jax.reporting import runs as opened
    from haa_jax.reporting import tables, thumbnails

    run = opened.open_runs([made.write_run(tmp_path, made.haa500())])
    first = list(dict.fromkeys(page.shown_clips(run)))
    assert sorted(first) == list(range(1500))
    found = tables.extremes(run[0].heads["atomic"])
    worst = tables.pairs(run[0].heads["atomic"])[:10]
    wanted = {*found["hardest"], *found["surest"], *(clip for pair in worst for clip in pair["clips"])}
    assert wanted <= set(first[: thumbnails.MOST_CLIPS])


def test_the_module_is_a_command(tmp_path):
    command = [sys.executable, "-m", "haa_jax.report"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path} has no predictions.npz; evaluating a run writes them")
    assert done.stderr.count("\n") == 1


def test_runs_of_several_classes(tmp_path, capsys):
    folders = [made.write_run(tmp_path / name, made.several(seed)) for seed, name in enumerate("ab")]
    path = report.report(folders, tmp_path / "out")
    data, arrays = data_of(path), made.several(0)
    assert "No map" not in capsys.readouterr().out
    answers = data["runs"][0]["heads"]["atomic"]
    assert answers["figures"] == json.loads((folders[0] / "metrics.json").read_text())["heads"]["atomic"]
    assert data["heads"]["atomic"]["labels"][5] == [1]
    assert data["heads"]["atomic"]["labels"][6] == [1, 2]
    ious = [answers["iou"][clip] for clip in answers["by_iou"]]
    assert ious == sorted(ious)
    assert [of["clips"] for of in answers["classes"]] == arrays["atomic_labels"].sum(0).tolist()
    assert answers["classes"][4]["average_precision"] is None
    for clip, predicted in enumerate(answers["predicted"]):
        assert predicted == [i for i, logit in enumerate(arrays["atomic_logits"][clip]) if logit > 0]
        assert sorted(answers["top"][clip]) == list(range(5))
    rows = read_csv(tmp_path / "out" / "tables" / "atomic_classes.csv")
    assert rows[0][:4] == ["class", "clips", "a: predicted", "a: correct"]
    assert [row[2:5] for row in read_csv(tmp_path / "out" / "tables" / "accuracies.csv")[1:3]] == [
        [name, f"{answers['figures'][name]['value']:.6f}", read_csv(tmp_path / "out/tables/accuracies.csv")[i][4]]
        for i, name in enumerate(("mean_iou", "mean_average_precision"), start=1)
    ]
    assert not list((tmp_path / "out" / "pictures").glob("*confusion*"))
    assert "Clips by IOU" in path.read_text()
    assert "Clips by IOU" not in report.report([made.write_run(tmp_path / "c", made.small())]).read_text()
