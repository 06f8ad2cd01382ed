"""The release in all places and conditions that it can be in on a disk."""

import re
import shutil

import pytest

from tests.conftest import CLASSES, REAL_CLASS
from tfds_haa500 import taxonomy
from tfds_haa500.problems import BuildError
from tfds_haa500.sources import archive, clips
from tfds_haa500.sources.files import File

TABLE = taxonomy.load(taxonomy.HAA500_CSV)


@pytest.fixture
def broken(tmp_path, archive_dir):
    """A copy of the archive to break."""
    return shutil.copytree(archive_dir, tmp_path / "haa500_v1_1")


def problems_of(root, classes=CLASSES) -> list[str]:
    with pytest.raises(BuildError) as error:
        archive.scan(root, TABLE, classes)
    return error.value.problems


def test_row_k_is_clip_k_and_the_split_is_by_number(archive_dir):
    found = archive.scan(archive_dir, TABLE, CLASSES)
    assert [clip.class_name for clip in found[::20]] == sorted(CLASSES)
    clip = found[23]
    assert clip.clip_id == "battle-rope_jumping-jack_003"
    assert (clip.annotation.url[-5:], clip.annotation.start, clip.annotation.end) == ("test3", 3.5, 3.58)
    assert (clip.annotation.camera_moving, clip.annotation.num_people) == (True, 1)
    splits = clips.by_split(found)
    assert {name: len(members) for name, members in splits.items()} == {"train": 64, "validation": 4, "test": 12}
    assert {clip.clip_id[-3:] for clip in splits["test"]} == {"017", "018", "019"}


@pytest.mark.parametrize("place", ["inside", "under", "zip", "zip with a top folder"])
def test_found_wherever_people_unpack_it(tmp_path, archive_dir, place):
    if place == "under":
        shutil.copytree(archive_dir, tmp_path / "haa500_v1_1")
    elif place == "inside":
        shutil.copytree(archive_dir, tmp_path, dirs_exist_ok=True)
    else:
        folder = archive_dir if place == "zip" else archive_dir.parent
        shutil.make_archive(tmp_path / "haa500_v1_1", "zip", folder)
    found = archive.scan(tmp_path, TABLE, CLASSES)
    assert len(found) == 80
    expected = (archive_dir / "video" / "CPR" / "CPR_007.mp4").read_bytes()
    assert found[7].file.read_bytes() == expected


def write_poses(folder, classes=CLASSES):
    for name in classes:
        (folder / "pose" / name).mkdir(parents=True)
        for k in range(20):
            (folder / "pose" / name / f"{name}_{k:03d}.json").write_text("[]")


@pytest.mark.parametrize("place", ["in the release", "next to it", "next to its zip"])
def test_poses_are_found_where_they_are(broken, place):
    folder = broken if place == "in the release" else broken.parent
    write_poses(folder)
    if place == "next to its zip":
        shutil.make_archive(broken, "zip", broken)
        shutil.rmtree(broken)
    found = archive.scan(broken.parent, TABLE, CLASSES, streams=["pose"])
    assert found[23].files["pose"] == File(
        str(folder), "pose/battle-rope_jumping-jack/battle-rope_jumping-jack_003.json"
    )
    assert found[23].files["pose"].read_bytes() == b"[]"
    assert [clip for clip in archive.scan(broken.parent, TABLE, CLASSES) if clip.files] == []


def test_faults_of_pose_folders_are_listed_with_all_others(broken):
    write_poses(broken, CLASSES[:3])
    (broken / "pose" / "CPR" / "CPR_004.json").unlink()
    (broken / "pose" / "CPR" / "CPR_020.json").write_text("[]")
    (broken / "pose" / "CPR" / "pushup_000.json").write_text("[]")
    (broken / "video" / "CPR" / "CPR_007.mp4").unlink()
    (broken / "pose" / ".DS_Store").write_bytes(b"x")
    with pytest.raises(BuildError) as error:
        archive.scan(broken, TABLE, CLASSES, streams=["pose"])
    assert error.value.problems == [
        "pose/play_erhu: no such folder",
        "video/CPR/CPR_007.mp4: no such file",
        "pose/CPR/CPR_004.json: no such file",
        "pose/CPR/CPR_020.json: not one of the 20 clips of the class",
        "pose/CPR/pushup_000.json: not one of the 20 clips of the class",
    ]
    (broken / "pose" / "pushups").mkdir()
    with pytest.raises(BuildError, match="pose/pushups: no such class .* did you mean 'pushup'"):
        archive.scan(broken, TABLE, streams=["pose"])


def test_no_poses_or_two_of_them(broken):
    with pytest.raises(BuildError, match="1 problem .*\n.*pose: no such folder"):
        archive.scan(broken, TABLE, CLASSES, streams=["pose"])
    write_poses(broken)
    write_poses(broken.parent)
    with pytest.raises(BuildError, match="1 problem .*\n.*pose: is in .* remove one of them"):
        archive.scan(broken.parent, TABLE, CLASSES, streams=["pose"])


def test_hidden_files_are_ignored(broken):
    for folder in ("raw", "video", "video/CPR"):
        (broken / folder / ".DS_Store").write_bytes(b"x")
    assert len(archive.scan(broken, TABLE, CLASSES)) == 80


def test_every_fault_is_listed_at_once(broken):
    (broken / "raw" / "play_erhu.txt").unlink()
    (broken / "video" / "CPR" / "CPR_004.mp4").unlink()
    (broken / "video" / "CPR" / "CPR_020.mp4").write_bytes(b"")
    shutil.rmtree(broken / "video" / "play_ otamatone")
    rows = (broken / "raw" / "battle-rope_jumping-jack.txt").read_text().splitlines()
    rows[2], rows[5] = "url,1,2,0", "url,5,5,0,1"
    (broken / "raw" / "battle-rope_jumping-jack.txt").write_text("\n".join(rows[:19]))
    text = "\n".join(problems_of(broken, (*CLASSES, "pushups")))
    for expected in (
        r"raw/play_erhu.txt: no such file",
        r"video/CPR/CPR_004.mp4: no such file",
        r"video/CPR/CPR_020.mp4: not one of the 20 clips",
        r"video/play_ otamatone: no such folder",
        r"raw/battle-rope_jumping-jack.txt: has 19 rows, expected 20",
        r"row 2: needs 5 comma-separated fields, has 4",
        r"row 5: end 5.0 is not after start 5.0",
        r"video/battle-rope_jumping-jack/battle-rope_jumping-jack_019.mp4: has no usable row 19",
        r"classes: 'pushups' is not in the class table; did you mean 'pushup'",
    ):
        assert re.search(expected, text), expected
    assert "video/play_erhu" not in text  # for want of raw/play_erhu.txt, which is reported


def test_a_misspelled_folder_is_a_fault_of_the_whole_release(broken):
    (broken / "video" / "CPR").rename(broken / "video" / "CPRR")
    text = "\n".join(problems_of(broken, classes=()))
    assert "video/CPRR: no such class in the class table; did you mean 'CPR'?" in text
    assert "raw: 496 of the files of the 500 classes are missing, all but CPR, battle-rope_jumping-jack, play_" in text
    assert "video: 497 of the folders of the 500 classes are missing, all but battle-rope_jumping-jack, play_" in text
    assert len(text.splitlines()) == 3


def test_a_release_that_is_not_there_is_a_few_lines(tmp_path, broken):
    for name in CLASSES:
        shutil.rmtree(broken / "video" / name)
        (broken / "raw" / f"{name}.txt").unlink()
    assert problems_of(broken, classes=()) == [
        "raw: none of the files of the 500 classes is there",
        "video: none of the folders of the 500 classes is there",
    ]
    for name in TABLE.names[:480]:
        (broken / "raw" / f"{name}.txt").write_text("u,1,2,0,1\n" * 20)
        (broken / "video" / name).mkdir()
    problems = problems_of(broken, classes=())
    assert problems[0].startswith("raw: 20 of the files of the 500 classes are missing: ")
    assert problems[0].endswith(", ".join(TABLE.names[480:]))
    assert problems[2] == f"video/{TABLE.names[0]}: has none of the 20 clips"
    assert len(problems) == 2 + 480


def test_a_file_where_the_folder_of_a_class_is(broken):
    shutil.rmtree(broken / "video" / "CPR")
    (broken / "video" / "CPR").write_bytes(b"x")
    assert problems_of(broken) == ["video/CPR: no such folder"]


def test_many_faults_are_summed_up_before_they_are_listed(broken):
    for k in range(20):
        for name in CLASSES[:2]:
            (broken / "video" / name / f"{name}_{k:03d} (1).mp4").write_bytes(b"x")
    (broken / "raw" / "CPR.txt").write_text("u,1,2,0\n" * 19 + "u,1,2,0,1\n")
    with pytest.raises(BuildError) as error:
        archive.scan(broken, TABLE, CLASSES)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("78 problems in ")
    assert lines[:4] == [
        "  40 like: video/CPR/CPR_000 (1).mp4: not one of the 20 clips of the class",
        "  19 like: raw/CPR.txt: row 0: needs 5 comma-separated fields, has 4: 'u,1,2,0'",
        "  19 like: video/CPR/CPR_000.mp4: has no usable row 0 in raw/CPR.txt",
        "  All of them:",
    ]
    assert lines[4:] == [f"  {problem}" for problem in error.value.problems]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("u,1,2,0,1,9", "has 6"),
        (",1,2,0,1", "url is empty"),
        ("u,x,2,0,1", "start is 'x'"),
        ("u,1,nan,0,1", "end is 'nan'"),
        ("u,1,inf,0,1", "end is 'inf'"),
        ("u,-1,2,0,1", "start is '-1'"),
        ("u,3,2,0,1", "not after start"),
        ("u,1,2,yes,1", "is_camera_moving is 'yes'"),
        ("u,1,2,0,two", "num_of_dominant_figure is 'two'"),
        ("u,1,2,0,-1", "num_of_dominant_figure is '-1'"),
    ],
)
def test_bad_rows(row, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        archive.parse_row(row)


def test_row_with_spaces_is_read():
    assert archive.parse_row(" u , 1.5 ,2, 0 , 3 ") == clips.Annotation("u", 1.5, 2.0, False, 3)


def test_nothing_there(tmp_path):
    assert "no raw/ and video/ here" in problems_of(tmp_path)[0]


def test_damaged_zip(tmp_path):
    (tmp_path / "haa500_v1_1.zip").write_bytes(b"PK not a zip")
    assert "not a readable zip file" in problems_of(tmp_path)[0]


def test_poses_as_alphaposes_runs_leave_them(archive_dir, tmp_path):
    for k in range(20):
        folder = tmp_path / "pose" / "CPR" / f"CPR_{k:03d}"
        folder.mkdir(parents=True)
        (folder / "alphapose-results.json").write_text(f"[{k}]")
    (tmp_path / "pose" / "CPR" / "CPR_004").rename(tmp_path / "pose" / "CPR" / "moved")
    (tmp_path / "pose" / "CPR" / "CPR_004.json").write_text("[4]")
    (tmp_path / "pose" / "CPR" / "CPR_006.json").write_text("[6]")
    (tmp_path / "pose" / "CPR" / "CPR_007" / "alphapose-results.json").unlink()
    shutil.copytree(archive_dir, tmp_path / "haa500_v1_1")
    with pytest.raises(BuildError) as error:
        archive.scan(tmp_path, TABLE, ["CPR"], streams=["pose"])
    assert error.value.problems == [
        "pose/CPR/CPR_007.json: no such file",
        "pose/CPR/CPR_006: not one of the 20 clips of the class",
        "pose/CPR/CPR_007: not one of the 20 clips of the class",
        "pose/CPR/moved: not one of the 20 clips of the class",
    ]
    shutil.rmtree(tmp_path / "pose" / "CPR" / "moved")
    (tmp_path / "pose" / "CPR" / "CPR_006.json").unlink()
    (tmp_path / "pose" / "CPR" / "CPR_007" / "alphapose-results.json").write_text("[7]")
    found = archive.scan(tmp_path, TABLE, ["CPR"], streams=["pose"])
    assert [clip.files["pose"].read_bytes() for clip in found] == [b"[%d]" % k for k in range(20)]


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real class is not on this machine")
def test_a_real_class():
    found = archive.scan(REAL_CLASS, TABLE, ("pushup",))
    assert [clip.clip_id for clip in found] == [f"pushup_{k:03d}" for k in range(20)]
    assert found[1].annotation == clips.Annotation(
        "https://www.youtube.com/watch?v=AhdtowFDKT0", 182.71, 185.11, False, 1
    )


def test_more_rows_than_clips_are_a_problem_without_videos_too(broken):
    with (broken / "raw/CPR.txt").open("a") as file:
        file.write("https://youtu.be/x,1,2,0,1\n")
    with pytest.raises(BuildError) as error:
        archive.scan_annotations(broken, TABLE, CLASSES)
    assert error.value.problems == ["raw/CPR.txt: has 21 rows, expected 20"]
