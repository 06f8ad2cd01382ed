"""Folders of videos as datasets."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_haa500
from haa_jax.data import dataset
from haa_jax.learning import objectives
from tests.conftest import SIZE, numbered_frame, write_video
from tests.tfds_haa500.sources.test_clip_folder import touch
from tests.tfds_haa500.sources.test_path_lists import write_lists
from tests.tfds_haa500.sources.test_split_lists import annotate
from tests.tfds_haa500.videos import REAL_CLIPS, write_encoded, write_gif
from tfds_haa500 import records, split_table
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig
from tfds_haa500.problems import BuildError
from tfds_haa500.runtime import parallel
from tfds_haa500.sources.random_split import RandomSplit
from tfds_haa500.taxonomy import TaxonomyError

# How many frames, and how many a second, each of the real clips has.
REAL = {
    "arm_wrestling_k400.mp4": (280, 28),
    "clean_and_jerk.mp4": (300, 29.97),
    "flipping_a_pancake.mkv": (310, 30),
    "mpeg4_320x240.avi": (164, 25),
    "ntu_1080p.avi": (72, 30),
    "v_CricketShot_g04_c01_rgb.gif": (79, 25),
}


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
    (root / ".DS_Store").write_text("ignored")
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


def test_a_class_table_has_its_areas_and_composites_in_the_records_and_the_split_is_recorded(tmp_path):
    for name in ("jump/a", "jump/b", "run/a", "run/b"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "folder" / f"{name}.mp4", 2)
    table = tmp_path / "table.csv"
    table.write_text("label,name,area,composite,area_source\n0,jump,legs,hop,own\n1,run,all,go,own\n")
    how = RandomSplit((0.5, 0, 0.5), 7, r"(.)")
    build(tmp_path / "data", folder=str(tmp_path / "folder"), random_split=how, class_table=str(table))
    builder = dataset.open_builder("clip_folder/mine", str(tmp_path / "data"))  # as others open it
    found = dataset.read_taxonomy(builder)
    assert (found.areas, found.composites) == (("legs", "all"), ("hop", "go"))
    assert builder.info.metadata["split"] == {"by": "random", "fractions": [0.5, 0, 0.5], "seed": 7, "group": "(.)"}
    heads = objectives.make_heads("joint", found, "legs")
    (clip,) = dataset.open_split(builder, "test", heads, "legs").index.clip_id
    source = clip.removeprefix("test/jump/")
    tested = dataset.open_split(builder, "test", ()).index.clip_id
    assert sorted(tested) == [f"test/jump/{source}", f"test/run/{source}"]
    assert split_table.describe(builder).splitlines() == [
        "class      train  test",
        "jump           1     1",
        "run            1     1",
        "2 classes      2     2",
        "split at random: 0.5,0,0.5, seed 7, group (.)",
    ]


def test_a_class_table_has_the_classes_of_the_folder(tmp_path):
    touch(tmp_path / "folder", "train/run/a.mp4", "train/jump/a.mp4")
    table = tmp_path / "table.csv"
    table.write_text("label,name,area,composite,area_source\n0,jump,all,jump,own\n1,runn,all,run,own\n")
    with pytest.raises(BuildError) as caught:
        build(tmp_path / "data", folder=str(tmp_path / "folder"), class_table=str(table))
    assert caught.value.problems == [
        "run: is not in the class table; did you mean 'runn'?",
        "runn: is in the class table, but has no clips",
    ]
    table.write_text("name,area\n")
    with pytest.raises(TaxonomyError, match=r"the first line must be 'label,name,area,composite,area_source'"):
        build(tmp_path / "data", folder=str(tmp_path / "folder"), class_table=str(table))


def test_without_a_config_it_says_how_to_make_one(tmp_path):
    with pytest.raises(ValueError, match="build_folder"):
        tfds.builder("clip_folder", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="each at most once"):
        ClipFolderConfig(name="mine", streams=("flow", "depth"))


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
    with pytest.raises(BuildError) as caught:
        build(tmp_path / "data", folder=str(root), streams=("pose",))
    text = "\n".join(caught.value.problems)
    assert "train/run/half.mp4: is truncated" in text
    assert "test/run/odd.avi: cannot be decoded" in text
    assert "pose/test/run/posed.json: has frames 5, but the clip's are 0 to 4" in text
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "data").exists()
    assert [(bar.n, bar.total) for bar in bars] == [(4, 4)]


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


def test_clips_of_several_classes(tmp_path):
    """They are stored, indexed and read as sets, and counted for each of their classes."""
    videos, lists = tmp_path / "videos", tmp_path / "lists"
    videos.mkdir()
    for k, name in enumerate("abcd"):
        write_video(videos / f"{name}.mp4", 5 + k)
    write_lists(lists, train="a.mp4 sit,run\nb.mp4 jump\n", test="c.mp4 run,jump,sit\nd.mp4 sit\n")
    built = build(tmp_path / "data", folder=str(videos), split_list=str(lists), multi_label=True)
    features = tfds.builder("clip_folder/mine", data_dir=str(tmp_path / "data")).info.features
    assert not {"label", "composite", "area"} & set(features)
    assert features["labels"].feature.names == ["jump", "run", "sit"]
    reader = records.open_reader(built, "train")
    assert {example["clip_id"]: list(example["labels"]) for example in reader} == {b"train/a": [1, 2], b"train/b": [0]}
    index = reader.index
    assert index.label is None
    assert dict(zip(index.clip_id, index.labels, strict=True)) == {"train/a": (1, 2), "train/b": (0,)}
    assert index.multi_hot(3).tolist() == [[i in ids for i in range(3)] for ids in index.labels]
    assert index.select(np.array([False, True])).labels == index.labels[1:]
    assert split_table.describe(built).splitlines()[1:5] == [
        "jump           1     1",
        "run            1     1",
        "sit            1     2",
        "3 classes      2     2",
    ]
    table = pathlib.Path(built.data_path) / records.INDEX_FILE
    table.write_text(table.read_text().replace(",1 2,", ",1,"))
    with pytest.raises(records.RecordError, match="do not belong together"):
        list(records.open_reader(built, "train"))
