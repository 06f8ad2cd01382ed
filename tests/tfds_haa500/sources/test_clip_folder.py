import fractions
import json
import pathlib
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_haa500
from haa_jax.data import dataset
from haa_jax.learning import objectives
from tests.conftest import REAL_CLASS, SIZE, numbered_frame, write_video
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig
from tfds_haa500.runtime import parallel
from tfds_haa500.sources import clip_folder, cut, split_lists
from tfds_haa500.streams import flow, video

REAL_CLIPS = REAL_CLASS.parent / "clips"
# How many frames, and how many a second, each of the real clips has.
REAL = {
    "arm_wrestling_k400.mp4": (280, 28),
    "clean_and_jerk.mp4": (300, 29.97),
    "flipping_a_pancake.mkv": (310, 30),
    "mpeg4_320x240.avi": (164, 25),
    "ntu_1080p.avi": (72, 30),
    "v_CricketShot_g04_c01_rgb.gif": (79, 25),
}


def write_encoded(path: pathlib.Path, codec: str, num_frames: int, rate: int = 10, **options) -> None:
    """As `write_video`, by another encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={name: str(value) for name, value in options.items()})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 1_000_000
        for t in range(num_frames):
            container.mux(stream.encode(gray_frame(t)))
        container.mux(stream.encode())


def gray_frame(t: int) -> av.VideoFrame:
    image = np.broadcast_to(numbered_frame(t)[..., None], (*SIZE, 3)).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")


def write_gif(path: pathlib.Path, delays: list[int]) -> None:
    """A palette GIF whose frame t is shown for `delays[t]` hundredths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "bgr8"
        for t in range(len(delays)):
            container.mux(stream.encode(gray_frame(t).reformat(format="bgr8")))
        container.mux(stream.encode())
    # The encoder has delays of its own: each stands in the block before its frame.
    first, *blocks = path.read_bytes().split(b"\x21\xf9\x04")
    assert len(blocks) == len(delays)
    blocks = [block[:1] + delay.to_bytes(2, "little") + block[3:] for block, delay in zip(blocks, delays, strict=True)]
    path.write_bytes(b"\x21\xf9\x04".join([first, *blocks]))


def brightness(jpegs) -> np.ndarray:
    """The mean level of each frame, which rises by about 4 a frame in the clips of these tests."""
    return np.array([cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean() for jpeg in jpegs])


def one_person(num_frames: int) -> str:
    joints = [32.0, 24.0, 0.9] * 17  # the middle of the frame
    return json.dumps([{"image_id": f"{t}.jpg", "keypoints": joints, "score": 2.5} for t in range(num_frames)])


# Path without "<folder>/" -> frames.
CLIPS = {
    "train/run fast/a.mp4": 6,
    "train/run fast/b.AVI": 7,
    "train/Jump/a.mkv": 8,
    "train/Jump/c.webm": 9,
    "val/Jump/a.gif": 5,
    "val/run fast/d.m4v": 4,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Read only: two classes in two splits, with poses."""
    root = tmp_path_factory.mktemp("folder")
    codecs = {".AVI": "mpeg4", ".webm": "libvpx"}
    for name, num_frames in CLIPS.items():
        path, poses = root / name, root / "pose" / pathlib.Path(name).with_suffix(".json")
        for parent in (path.parent, poses.parent):
            parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".gif":
            write_gif(path, [10] * num_frames)
        elif path.suffix in codecs:
            write_encoded(path, codecs[path.suffix], num_frames)
        else:
            write_video(path, num_frames)
        poses.write_text(one_person(num_frames))
    (root / ".DS_Store").write_text("passed over")
    return root


def build(data_dir, **config):
    builder = Builder(config=ClipFolderConfig(name="mine", **config), data_dir=str(data_dir))
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory) -> str:
    data_dir = tmp_path_factory.mktemp("data")
    build(data_dir, folder=str(folder), streams=("flow", "pose"))
    return str(data_dir)


def test_every_container_comes_out_as_the_same_features(built):
    builder = tfds.builder("clip_folder/mine", data_dir=built)
    haa500 = tfds_haa500.Builder(config=tfds_haa500.Haa500Config(name="any", streams=("flow", "pose")))
    assert set(builder.info.features) == set(haa500.info.features)
    assert builder.info.features["label"].names == ["Jump", "run fast"]
    examples = {}
    for split in builder.info.splits:
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            examples[example["clip_id"].decode()] = example
    assert set(examples) == {str(pathlib.Path(n).with_suffix("")).replace("val/", "validation/") for n in CLIPS}
    for name, num_frames in CLIPS.items():
        example = examples[str(pathlib.Path(name).with_suffix("")).replace("val/", "validation/")]
        assert example["video"].shape == (num_frames, *SIZE, 3), name
        levels = example["video"].mean((1, 2, 3))
        expected = [numbered_frame(t).mean() for t in range(num_frames)]
        assert np.abs(levels - expected).max() < 17, name  # a GIF of 8 bits a pixel is coarse
        assert example["flow_x"].shape == (num_frames - 1, *SIZE, 1)
        assert np.allclose(example["pose"][:, 0], [0.5, 0.5, 0.9])
        assert not example["pose"][:, 1].any()
        assert example["fps"] == 10
        assert (example["start"], example["end"]) == pytest.approx((0, num_frames / 10))
        assert example["label"] == example["composite"] == ("run fast" in name)
        assert (example["area"], example["camera_moving"], example["num_people"]) == (0, False, 0)


def test_training_opens_it(built):
    builder = dataset.open_builder("clip_folder/mine", built)
    table = dataset.read_taxonomy(builder)
    assert (table.names, table.composites, table.area_names) == (("Jump", "run fast"), ("Jump", "run fast"), ["all"])
    split = dataset.open_split(builder, "train", objectives.make_heads("joint", table), area="all")
    assert len(split) == 4
    row = split.index.clip_id.index("train/Jump/c")
    assert (split.labels["atomic"][row], split.index.num_frames[row]) == (0, 9)
    assert len(split.reader[row]["video"]) == 9


def test_without_a_config_it_says_how_to_make_one(tmp_path):
    with pytest.raises(ValueError, match="build_folder"):
        tfds.builder("clip_folder", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="each at most once"):
        ClipFolderConfig(name="mine", streams=("flow", "boxes"))


def faults(*args, **kwargs) -> str:
    with pytest.raises(clip_folder.FolderError) as caught:
        clip_folder.scan(*args, **kwargs)
    return "\n".join(caught.value.problems)


def touch(root: pathlib.Path, *names: str) -> pathlib.Path:
    """Files that look like videos to one who does not open them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_all_that_is_wrong_with_a_folder_is_said_at_once(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "train/run/a.avi", "train/run/notes.txt", "train/run/more/b.mp4")
    touch(tmp_path, "train/stray.mp4", "valid/run/a.mp4", "test/runn/a.mp4", "test/run/a.mp4", "readme.md")
    (tmp_path / "train" / "empty").mkdir()
    text = faults(tmp_path)
    for expected in (
        "train/run/a.avi and train/run/a.mp4: have one name",
        "train/run/notes.txt: not a video (.mp4, .avi,",
        "train/run/more: a folder where the videos are",
        "train/stray.mp4: a file where the folders of the classes are",
        "valid: not a split (train, validation, test); did you mean 'val'?",
        "readme.md: not a split",
        "train/empty: no videos",
        "runn: is in test, but has no clips in train; did you mean 'run'?",
    ):
        assert expected in text, expected
    assert len(text.splitlines()) == 8


def test_folders_without_splits(tmp_path):
    assert "no such folder" in faults(tmp_path / "nowhere")
    assert "no folder train, validation (or val) or test here" in faults(tmp_path)
    touch(tmp_path, "run/a.mp4")
    assert "folders of classes need a split list" in faults(tmp_path)
    touch(tmp_path, "trian/run/a.mp4")
    assert "but 'trian'; did you mean 'train'?" in faults(tmp_path)
    touch(tmp_path, "val/run/a.mp4", "validation/run/b.mp4")
    assert "val and validation: both are there" in faults(tmp_path)


def test_a_test_split_alone_is_enough(tmp_path):
    clips = clip_folder.scan(touch(tmp_path, "test/run/a.b.MP4", "test/Run/a.mov"))
    assert [clip.clip_id for clip in clips] == ["test/Run/a", "test/run/a.b"]
    assert clip_folder.class_names(clips) == ["Run", "run"]


def test_poses_that_do_not_pair_with_clips(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "train/run/b.mp4")
    assert "pose: no such folder" in faults(tmp_path, poses=True)
    touch(tmp_path, "pose/train/run/a.json", "pose/train/run/c.json", "pose/run/a.json")
    assert faults(tmp_path, poses=True).splitlines() == [
        "pose/train/run/b.json: no such file",
        "pose/run/a.json: is of no clip",
        "pose/train/run/c.json: is of no clip",
    ]
    assert len(clip_folder.scan(tmp_path)) == 2  # not wanted, not looked at


def test_bad_files_are_all_named_and_nothing_is_left(folder, tmp_path, monkeypatch):
    bars, progress_bar = [], parallel.progress_bar
    monkeypatch.setattr(parallel, "progress_bar", lambda *args: bars.append(progress_bar(*args)) or bars[-1])
    root = tmp_path / "folder"
    for split, name in (("train", "good.mp4"), ("train", "half.mp4"), ("test", "odd.avi"), ("test", "posed.mp4")):
        path = root / split / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, 5, container_options={"movflags": "faststart"} if name == "half.mp4" else {})
        poses = root / "pose" / split / "run" / f"{path.stem}.json"
        poses.parent.mkdir(parents=True, exist_ok=True)
        poses.write_text(one_person(5))
    half = root / "train" / "run" / "half.mp4"
    half.write_bytes(half.read_bytes()[:-200])
    (root / "test" / "run" / "odd.avi").write_text("this is no video" * 50)
    (root / "pose" / "test" / "run" / "posed.json").write_text(one_person(6))
    with pytest.raises(clip_folder.FolderError) as caught:
        build(tmp_path / "data", folder=str(root), streams=("pose",))
    text = "\n".join(caught.value.problems)
    assert "train/run/half.mp4: is truncated" in text
    assert "test/run/odd.avi: cannot be decoded" in text
    assert "pose/test/run/posed.json: has frames 5, but the clip's are 0 to 4" in text
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "data").exists()
    assert [(bar.n, bar.total) for bar in bars] == [(4, 4)]


def write_ucf101(root: pathlib.Path, train: str, test: str, classes: str = "1 Archery\n2 HandstandPushups\n"):
    root.mkdir(exist_ok=True)
    (root / "classInd.txt").write_text(classes)
    (root / "trainlist01.txt").write_text(train)
    (root / "testlist01.txt").write_text(test)
    return root


def test_ucf101_lists(tmp_path):
    """The lists may lie in the folder itself; a file's name may have spaces, and capitals that its class has not."""
    touch(tmp_path, "Archery/v_A g01.avi", "Archery/v_A_g02.avi", "HandstandPushups/v_HandStandPushups_g01.mp4")
    lists = write_ucf101(
        tmp_path / "ucfTrainTestlist",
        "Archery/v_A g01.avi 1\r\nHandstandPushups/v_HandStandPushups_g01.avi 2\r\n",
        "Archery/v_A_g02.avi\n",
    )
    clips = clip_folder.scan(tmp_path, lists, 1)
    assert [(clip.clip_id, clip.path) for clip in clips] == [
        ("train/Archery/v_A g01", "Archery/v_A g01.avi"),
        ("train/HandstandPushups/v_HandStandPushups_g01", "HandstandPushups/v_HandStandPushups_g01.mp4"),
        ("test/Archery/v_A_g02", "Archery/v_A_g02.avi"),
    ]
    touch(tmp_path, *(f"pose/{pathlib.Path(clip.path).with_suffix('.json')}" for clip in clips))
    posed = clip_folder.scan(tmp_path, lists, 1, poses=True)
    assert posed[0].pose == "pose/Archery/v_A g01.json"


def test_ucf101_names_are_compared_exactly(tmp_path):
    """The folder HandStandPushups of some copies is not the class HandstandPushups of the lists."""
    touch(tmp_path / "clips", "Archery/v_A_g01.avi", "Archery/v_A_g3.avi", "HandStandPushups/v_H_g01.avi")
    lists = write_ucf101(
        tmp_path / "lists",
        "Archery/v_A_g01.avi 1\nArchery/v_A_g03.avi 1\nHandstandPushups/v_H_g01.avi 2\nHandstandPushups/x.avi 1\n?\n",
        "Archery/v_A_g01.avi\nArchary/v_A_g04.avi\n",
    )
    text = faults(tmp_path / "clips", lists, 1)
    for expected in (
        "HandstandPushups: no such folder, and the lists have 1 clips of it; did you mean 'HandStandPushups'?",
        "HandStandPushups: a class that the lists do not have; did you mean 'HandstandPushups'?",
        "trainlist01.txt line 2: Archery/v_A_g03: no such video; did you mean 'Archery/v_A_g3'?",
        "Archery/v_A_g3.avi: not in the lists; did you mean 'Archery/v_A_g03'?",
        "trainlist01.txt line 4: label 1 of 'HandstandPushups' is 'Archery' in classInd.txt",
        "trainlist01.txt line 5: '?' is not <class>/<file>",
        "testlist01.txt line 1: Archery/v_A_g01 stands in trainlist01.txt line 1 already",
        "testlist01.txt line 2: class 'Archary' is not in classInd.txt; did you mean 'Archery'?",
    ):
        assert expected in text, expected
    assert len(text.splitlines()) == 8
    assert "the number of one is needed" in faults(tmp_path / "clips", lists)
    assert "trainlist02.txt: no such file" in faults(tmp_path / "clips", lists, 2)
    assert "has neither trainlist01.txt" in faults(tmp_path / "clips", tmp_path / "clips", 1)


def test_thousands_of_wrong_names_take_no_time(tmp_path):
    """With a nearest name for each, this takes minutes."""
    files = {f"Archery/v_Archery_g{k:05d}" for k in range(700)}
    folder = touch(tmp_path / "clips", *(f"{file}_other.avi" for file in files))
    lists = write_ucf101(tmp_path / "lists", "".join(f"{file}.avi 1\n" for file in files), "Archery/b.avi\n")
    started = time.monotonic()
    assert len(faults(folder, lists, 1).splitlines()) == 1401
    assert time.monotonic() - started < 5


def test_hmdb51_lists(tmp_path):
    touch(tmp_path, "draw_sword/#1_(x)_u_nm.avi", "draw_sword/b.avi", "draw_sword/unused.avi", "eat/a.avi")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "draw_sword_test_split2.txt").write_text("#1_(x)_u_nm.avi 1 \nb.avi 2 \nunused.avi 0 \nabsent.avi 0\n")
    (lists / "eat_test_split2.txt").write_text("a.avi 1 \n")
    clips = clip_folder.scan(tmp_path, lists, 2)
    assert [clip.clip_id for clip in clips] == ["train/draw_sword/#1_(x)_u_nm", "train/eat/a", "test/draw_sword/b"]
    (lists / "eat_test_split2.txt").write_text("a.avi 3\n")
    assert "eat_test_split2.txt line 1: 'a.avi 3' is not <file> and 0 (unused)" in faults(tmp_path, lists, 2)
    (lists / "eat_test_split2.txt").unlink()
    assert faults(tmp_path, lists, 2) == "eat: a class that the lists do not have"
    (lists / "eat_test_split1.txt").write_text("a.avi 1\n")
    assert "eat_test_split2.txt: no such file" in faults(tmp_path, lists, 2)


def annotate(*segments, subset="training") -> dict:
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in segments]
    return {"subset": subset, "annotations": annotations, "url": "https://example.org/v"}


def test_activitynet_annotations_are_cut_from_their_videos(tmp_path):
    root = tmp_path / "videos"
    root.mkdir()
    write_video(root / "v_-x1.mp4", 40)
    write_encoded(root / "v_b.mkv", "mpeg4", 30, g=12)
    database = {
        "-x1": annotate(("Doing karate", 0.5, 1.2), ("Archery", 2, 4.5)),
        "b": annotate(("Archery", 1.0, 1.3), subset="validation"),
        "c": {"subset": "testing", "annotations": []},
    }
    (tmp_path / "list.json").write_text(json.dumps({"database": database}))
    builder = build(tmp_path / "data", folder=str(root), split_list=str(tmp_path / "list.json"))
    examples = {}
    for split in ("train", "validation"):
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            examples[example["clip_id"].decode()] = example
    assert set(examples) == {
        "train/Doing karate/v_-x1_0",
        "train/Archery/v_-x1_1",
        "validation/Archery/v_b_0",
    }
    for example, times in zip(
        (
            examples["train/Doing karate/v_-x1_0"],
            examples["train/Archery/v_-x1_1"],
            examples["validation/Archery/v_b_0"],
        ),
        (range(5, 12), range(20, 40), range(10, 13)),
        strict=True,
    ):
        levels = example["video"].mean((1, 2, 3))
        assert levels == pytest.approx([numbered_frame(t).mean() for t in times], abs=2)
        assert example["youtube_url"] == b"https://example.org/v"
    assert examples["train/Doing karate/v_-x1_0"]["end"] == np.float32(1.2)


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
    text = faults(tmp_path, path)
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
    assert "ActivityNet has one split" in faults(tmp_path, path, 1)
    for content, reason in (("{", "cannot be read as JSON"), ("[]", "no object 'database'")):
        path.write_text(content)
        assert reason in faults(tmp_path, path)


def test_a_listed_class_has_no_poses_where_clips_are_parts(tmp_path):
    touch(tmp_path, "v_a.mp4", "list.json")
    (tmp_path / "list.json").write_text(json.dumps({"database": {"a": annotate(("Archery", 1, 2))}}))
    assert "cannot have poses" in faults(tmp_path, tmp_path / "list.json", poses=True)


# Suffix -> what is usually in such a file, as far as PyAV's wheels have an encoder of it.
CODECS = {
    ".mp4": ("libx264", "mpeg4"),
    ".mkv": ("libx264", "mpeg4"),
    ".webm": ("libvpx", "libvpx-vp9"),
    ".mov": ("libx264", "mpeg4"),
    ".m4v": ("mpeg4",),
    ".avi": ("mpeg4", "msmpeg4"),
    ".3gp": ("mpeg4", "libx264"),
    ".flv": ("flv", "libx264"),
    ".wmv": ("wmv1", "wmv2", "msmpeg4"),
    ".mpg": ("mpeg1video", "mpeg2video"),
    ".mpeg": ("mpeg1video", "mpeg2video"),
    ".ts": ("mpeg2video", "libx264"),
    ".m2ts": ("mpeg2video", "libx264"),
}


def test_every_suffix_but_gif_has_its_codecs():
    assert set(CODECS) == set(clip_folder.SUFFIXES) - {".gif"}


@pytest.mark.parametrize(("suffix", "codec"), [(suffix, codec) for suffix in CODECS for codec in CODECS[suffix]])
def test_all_frames_of_every_container(tmp_path, suffix, codec):
    """MPEG-1 and -2 know 25 frames a second, and not 10."""
    path = tmp_path / f"clip{suffix}"
    write_encoded(path, codec, 40, rate=25)
    clip = video.encode_clip(path.read_bytes())
    expected = np.array([numbered_frame(t).mean() for t in range(40)])
    assert (clip.fps, clip.size) == (25, SIZE[::-1])
    assert brightness(clip.frames) == pytest.approx(expected, abs=2.5)
    for first, end in ((0, 10), (0, 40), (11, 20), (30, 40)):
        part = cut.encode_segment(path, first / 25, end / 25)
        assert brightness(part.frames) == pytest.approx(expected[first:end], abs=2.5)


WITHOUT_LENGTH = (".wmv", ".mpg", ".mpeg", ".ts", ".m2ts")


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize(("suffix", "codec"), [(s, CODECS[s][-1]) for s in CODECS if s not in WITHOUT_LENGTH])
def test_files_cut_short(tmp_path, suffix, codec, share):
    path = tmp_path / f"clip{suffix}"
    write_encoded(path, codec, 60, rate=25)
    data = path.read_bytes()
    with pytest.raises(video.VideoError, match="truncated|damaged|cannot be decoded|no video stream"):
        video.encode_clip(data[: int(len(data) * share)])


@pytest.mark.parametrize("frame", [3, 5])
def test_a_gif_cut_behind_a_frame(tmp_path, frame):
    write_gif(tmp_path / "clip.gif", [10] * 6)
    data = (tmp_path / "clip.gif").read_bytes()
    assert len(video.encode_clip(data + bytes(3)).frames) == 6
    starts = [place for place in range(len(data)) if data.startswith(b"\x21\xf9\x04", place)]
    with pytest.raises(video.VideoError, match="truncated: its end is missing"):
        video.encode_clip(data[: starts[frame]])


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".ts"])
@pytest.mark.parametrize("options", [{"g": 1}, {"g": 12, "bf": 2}, {"g": 600}])
def test_a_part_holds_exactly_its_frames(tmp_path, options, suffix):
    """Wherever keyframes are, and whether frames lean on later ones or not."""
    path = tmp_path / f"clip{suffix}"
    write_encoded(path, "libx264" if suffix == ".ts" else "mpeg4", 40, **options)
    whole = brightness(video.encode_clip(path.read_bytes()).frames)
    for start, end in ((0, 1), (1.1, 2.4), (2.35, 2.45), (3.9, 4.0), (0, 5)):
        clip = cut.encode_segment(path, start, end, "dis" if end - start > 0.2 else "")
        wanted = [t for t in range(40) if start <= t / 10 < end]
        assert np.array_equal(brightness(clip.frames), whole[wanted])
        assert len(clip.flow_x) in (0, len(wanted) - 1)
        assert (clip.fps, clip.size) == (10, SIZE[::-1])


def test_a_file_that_is_sought_too_far_is_read_from_the_front(tmp_path, monkeypatch):
    write_encoded(tmp_path / "clip.mp4", "mpeg4", 40, g=5)
    monkeypatch.setattr(cut, "_LEAD", -0.7)  # seeks to a keyframe behind the start
    clip = cut.encode_segment(tmp_path / "clip.mp4", 1.2, 2)
    whole = video.encode_clip((tmp_path / "clip.mp4").read_bytes())
    assert clip.frames == whole.frames[12:20]


def test_parts_that_are_not_there(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, 40)
    for start, end, reason in (
        (2, 5.2, "ends at 4.00 s, before the end of the part from 2 to 5.2 s"),
        (4.5, 4.9, "has no frames from 4.5 to 4.9 s"),
        (1.11, 1.15, "has no frames"),
    ):
        with pytest.raises(video.VideoError, match=reason):
            cut.encode_segment(path, start, end)
    with pytest.raises(video.VideoError, match="has one frame from 1 to 1.1 s, and flow needs two"):
        cut.encode_segment(path, 1, 1.1, "dis")
    with pytest.raises(flow.FlowError, match="flow_method='no'"):
        cut.encode_segment(path, 1, 2, "no")
    path.write_bytes(b"not a video" * 99)
    with pytest.raises(video.VideoError, match="cannot be decoded"):
        cut.encode_segment(path, 1, 2)


def test_gif_with_delays_of_its_own(tmp_path):
    write_gif(tmp_path / "clip.gif", [10, 10, 50, 2, 2, 10])
    clip = video.encode_clip((tmp_path / "clip.gif").read_bytes())
    assert len(clip.frames) == 6
    assert np.all(np.diff(brightness(clip.frames)) > 0)
    assert clip.fps == pytest.approx(6 / 0.84)


def pack_b_frames(packets: list[bytes], mark: bytes) -> list[bytes]:
    """Puts each B-frame into the packet of the frame before it, and an empty frame into its own, as old encoders did.

    Like DivX and XviD for AVI, whose packets must come in display order. The decoder must be told by `mark`.
    """
    packed = [packets[0].replace(b"\x00\x00\x01\xb6", mark + b"\x00\x00\x01\xb6", 1)]
    for anchor, b_frame in zip(packets[1::2], packets[2::2], strict=True):
        packed += [anchor + b_frame, b"\x00\x00\x01\xb6\x50\x7f\xff"]  # a P-frame that is not coded
    return packed


def test_packed_bitstreams_of_old_avi_files_are_whole(tmp_path):
    packets, extradata = [], b""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *SIZE, "yuv420p"
    encoder.time_base, encoder.framerate = fractions.Fraction(1, 10), 10
    encoder.options = {"bf": "1", "b_strategy": "0", "g": "100", "sc_threshold": "1000000000"}
    encoder.bit_rate = 1_000_000
    for t in range(21):
        frame = gray_frame(t)
        frame.pts, frame.time_base = t, fractions.Fraction(1, 10)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    extradata = encoder.extradata or b""
    packed = pack_b_frames(packets, b"\x00\x00\x01\xb2DivX503b1393p")
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.extradata = extradata + b"\x00\x00\x01\xb2DivX503b1393p"
        for number, data in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = fractions.Fraction(1, 10), number == 0
            container.mux(packet)
    clip = video.encode_clip(path.read_bytes())
    assert len(clip.frames) == 21
    assert brightness(clip.frames) == pytest.approx([numbered_frame(t).mean() for t in range(21)], abs=2)


@pytest.mark.skipif(not REAL_CLIPS.exists(), reason="the real clips are not on this machine")
def test_real_clips(tmp_path):
    for name in REAL:
        path = tmp_path / "folder" / "train" / pathlib.Path(name).suffix[1:] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(REAL_CLIPS / name)
    builder = build(tmp_path / "data", folder=str(tmp_path / "folder"))
    split = dataset.open_split(builder, "train", ())
    found = {clip.rpartition("/")[2]: split.reader[i] for i, clip in enumerate(split.index.clip_id)}
    facts = {
        name: (len(found[pathlib.Path(name).stem]["video"]), found[pathlib.Path(name).stem]["fps"]) for name in REAL
    }
    assert {name: frames for name, (frames, _) in facts.items()} == {name: frames for name, (frames, _) in REAL.items()}
    assert [facts[name][1] for name in REAL] == pytest.approx([fps for _, fps in REAL.values()], abs=0.01)


@pytest.mark.skipif(not REAL_CLIPS.exists(), reason="the real clips are not on this machine")
@pytest.mark.parametrize("name", ["arm_wrestling_k400.mp4", "flipping_a_pancake.mkv", "mpeg4_320x240.avi"])
def test_parts_of_real_clips(name):
    """A part's frames are the whole clip's, also between keyframes."""
    whole = video.encode_clip((REAL_CLIPS / name).read_bytes())
    part = cut.encode_segment(REAL_CLIPS / name, 4.0, 5.0)
    first = round(4 * whole.fps)
    assert part.frames == whole.frames[first : first + round(whole.fps)]


def test_the_command(tmp_path):
    touch(tmp_path / "folder", "train/run/a.txt")

    def call(*args):
        command = [sys.executable, "-m", "tfds_haa500.build_folder", f"--data_dir={tmp_path / 'data'}", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    failed = call(f"--dir={tmp_path / 'folder'}", "--name=mine")
    assert failed.returncode == 1
    assert "train/run/a.txt: not a video" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "data").exists()


def test_lists_are_read_alone_too(tmp_path):
    lists = write_ucf101(tmp_path / "lists", "Archery/v_A.avi 1\n", "HandstandPushups/v_B.avi\n")
    entries, problems = split_lists.read(lists, 1)
    assert not problems
    assert [(entry.split, entry.class_name, entry.file) for entry in entries] == [
        ("train", "Archery", "Archery/v_A"),
        ("test", "HandstandPushups", "HandstandPushups/v_B"),
    ]
