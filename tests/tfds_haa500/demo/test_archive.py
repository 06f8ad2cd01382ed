"""The generated archive: the release's layout, fitting annotations, and pairs that only time tells apart."""

import collections
import csv
import dataclasses
import filecmp
import json
import re

import av
import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import app

import tfds_haa500
from tfds_haa500 import taxonomy
from tfds_haa500.demo import archive as demo
from tfds_haa500.demo import clip as demo_clip
from tfds_haa500.demo import files as demo_files
from tfds_haa500.demo import motion as demo_motion
from tfds_haa500.sources import cut
from tfds_haa500.streams import flow, objects, video

CLIPS = 2
CLASSES = list(zip(demo.TAXONOMY.names, demo.TAXONOMY.composites, strict=True))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")  # an empty folder is a place to write to
    demo.write_archive(out, seed=0, clips_per_class=CLIPS, workers=2, kinds=(*demo.BUILT, "youtube"))
    return out


def stems():
    return [(name, f"{name}/{name}_{index:03d}") for name, _ in CLASSES for index in range(CLIPS)]


def rows(archive) -> dict[str, list[str]]:
    """The fields of the annotations by <class>/<clip>."""
    texts = {name: (archive / "raw" / f"{name}.txt").read_text().splitlines() for name, _ in CLASSES}
    return {stem: texts[name][int(stem[-3:])].split(",") for name, stem in stems()}


def sources(archive) -> dict[str, str]:
    """The ids of the source videos by <class>/<clip>."""
    return {stem: row[0].removeprefix("https://www.youtube.com/watch?v=") for stem, row in rows(archive).items()}


def read_video(path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def read_boxes(path) -> list[list[float]]:
    with path.open(newline="") as file:
        return [[float(row[key]) for key in ("frame", "x", "y", "width", "height")] for row in csv.DictReader(file)]


def inside(box, width, height) -> bool:
    return min(box) >= 0 and box[0] + box[2] <= width + 0.02 and box[1] + box[3] <= height + 0.02


def test_class_table_is_the_motions():
    table = taxonomy.load(taxonomy.DEMO_CSV)
    pairs = collections.defaultdict(set)
    for name, composite in zip(table.names, table.composites, strict=True):
        pairs[composite].add(name)
    assert pairs == {key: set(motion.names) for key, motion in demo_motion.MOTIONS.items()}
    assert set(collections.Counter(table.areas).values()) == {4}
    assert set(table.areas) == set(taxonomy.load(taxonomy.HAA500_CSV).areas)
    assert set(table.sources) == {"generated"}
    assert not set(table.names) & set(taxonomy.load(taxonomy.HAA500_CSV).names)


def test_layout(archive):
    expected = {f"raw/{name}.txt" for name, _ in CLASSES}
    kinds = {"video": "mp4", "pose": "json", "boxes": "csv", "objects": "json"}
    expected |= {f"{kind}/{stem}.{suffix}" for kind, suffix in kinds.items() for _, stem in stems()}
    expected |= {f"youtube/{source}.mp4" for source in sources(archive).values()}
    assert {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()} == expected
    assert list(archive.parent.glob(".*partial*")) == []


def test_rows_and_videos_agree(archive):
    for name, _ in CLASSES:
        assert len((archive / "raw" / f"{name}.txt").read_text().splitlines()) == CLIPS
    for stem, (url, start, end, moving, figures) in rows(archive).items():
        with av.open(str(archive / "video" / f"{stem}.mp4")) as container:
            (stream,) = container.streams
            frames, rate = sum(1 for _ in container.decode(stream)), stream.average_rate
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert stream.width % 2 == stream.height % 2 == 0
        assert float(end) - float(start) == pytest.approx(frames / rate, abs=1e-3)
        assert re.fullmatch(r"https://www\.youtube\.com/watch\?v=[\w-]{11}", url, re.ASCII)
        assert moving in "01"
        assert figures in "12"
    assert len(set(sources(archive).values())) == len(stems())


def test_sources_hold_the_clips_where_the_rows_say(archive):
    for stem, (_, start, end, *_) in list(rows(archive).items())[::CLIPS]:
        path = archive / "youtube" / f"{sources(archive)[stem]}.mp4"
        clip, source = (read_video(file) for file in (archive / "video" / f"{stem}.mp4", path))
        with av.open(str(path)) as container:
            rate = float(container.streams.video[0].average_rate)
        first, last = round(float(start) * rate), round(float(end) * rate)
        np.testing.assert_array_equal(source[first:last], clip)
        for around in (source[:first], source[last:]):
            assert 0.65 * len(clip) < len(around) < 1.35 * len(clip)
            # The same scene, so most of the picture is the clip's, but none of its frames.
            assert not np.array_equal(around[0], around[len(around) // 2])
            distances = [np.abs(np.subtract(around[0], frame, dtype=np.int16)).mean() for frame in clip[::4]]
            assert 0.3 < min(distances) < 30
        by_cut = cut.encode_segment(path, float(start), float(end))
        assert by_cut.frames == video.encode_clip((archive / "video" / f"{stem}.mp4").read_bytes()).frames


@pytest.mark.parametrize(
    "composite",
    [name if name in ("squat", "kite") else pytest.param(name, marks=pytest.mark.slow) for name in demo_motion.MOTIONS],
)
def test_sources_are_drawn_alike_for_both_classes(composite):
    motion = demo_motion.MOTIONS[composite]
    clip = demo_clip.draw_clip(motion.names[0], composite, 3, 0)
    there, back = (dataclasses.replace(clip, name=name) for name in motion.names)
    (before, after), (before_back, after_back) = map(demo_clip.render_around, (there, back))
    np.testing.assert_array_equal(before_back, after[::-1])
    np.testing.assert_array_equal(after_back, before[::-1])
    assert there.start == len(before) / clip.fps
    assert back.start == len(after) / clip.fps
    # Nothing there goes the way of the movement, or back.
    assert max(np.abs(np.diff(np.asarray(part, np.int16), axis=0)).mean() for part in (before, after)) < 3


def test_flow_is_that_of_the_video(tmp_path):
    demo.write_archive(tmp_path / "a", clips_per_class=1, workers=1, classes=["kite_sink"], kinds=["video", "flow"])
    data = (tmp_path / "a" / "video" / "kite_sink" / "kite_sink_000.mp4").read_bytes()
    computation = flow.Computation("dis")
    video.encode_clip(data, on_frame=[computation])
    expected = {
        f"{axis}_{i:05d}.jpg": jpeg for axis, jpegs in computation.features().items() for i, jpeg in enumerate(jpegs, 1)
    }
    folder = tmp_path / "a" / "flow" / "kite_sink" / "kite_sink_000"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == expected


def test_kinds(tmp_path):
    demo.write_archive(tmp_path / "some", clips_per_class=1, workers=1, classes=["kite_sink"], kinds=["boxes"])
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["some/boxes/kite_sink/kite_sink_000.csv", "some/raw/kite_sink.txt"]
    with pytest.raises(ValueError, match="'faces' is not one of video, pose, boxes, objects, youtube, flow"):
        demo.write_archive(tmp_path / "none", kinds=["video", "faces"])
    assert not (tmp_path / "none").exists()


def test_same_seed_same_bytes(archive, tmp_path):
    for seed in (0, 1):
        demo.write_archive(tmp_path / str(seed), seed=seed, clips_per_class=1, workers=1)
    for kind, suffix in (("video", "mp4"), ("pose", "json"), ("boxes", "csv"), ("objects", "json")):
        for name, composite in CLASSES:
            file = f"{kind}/{name}/{name}_000.{suffix}"
            assert filecmp.cmp(archive / file, tmp_path / "0" / file, shallow=False), file
            if kind != "objects" or composite not in ("squat", "barbell", "drum", "cello"):  # these have none
                assert not filecmp.cmp(archive / file, tmp_path / "1" / file, shallow=False), file


def test_same_seed_same_sources(archive, tmp_path):
    demo.write_archive(tmp_path / "a", clips_per_class=1, workers=1, classes=["squat_up"], kinds=["youtube"])
    (source,) = (tmp_path / "a" / "youtube").iterdir()
    assert filecmp.cmp(archive / "youtube" / source.name, source, shallow=False)


def test_annotations_fit_the_video(archive):
    for _, stem in stems():
        video = read_video(archive / "video" / f"{stem}.mp4")
        frames, height, width = video.shape[:3]
        boxes = read_boxes(archive / "boxes" / f"{stem}.csv")
        assert [row[0] for row in boxes] == list(range(frames))
        assert all(inside(row[1:], width, height) for row in boxes)
        people = json.loads((archive / "pose" / f"{stem}.json").read_text())
        best = {}
        for entry in people:
            assert set(entry) == {"image_id", "category_id", "keypoints", "score", "box", "idx"}
            joints = np.reshape(entry["keypoints"], (17, 3))
            x, y, w, h = entry["box"]
            seen = joints[joints[:, 2] >= 0.5, :2]
            assert inside(entry["box"], width, height)
            assert ((seen >= (x - 0.02, y - 0.02)) & (seen <= (x + w + 0.02, y + h + 0.02))).all(), stem
            best.setdefault(entry["image_id"], entry)
            assert entry["score"] <= best[entry["image_id"]]["score"]
        assert best.keys() <= {f"{t}.jpg" for t in range(frames)}
        assert len(best) >= frames - 3
        for image_id, entry in best.items():
            assert entry["box"] == boxes[int(image_id.removesuffix(".jpg"))][1:]
        for entry in json.loads((archive / "objects" / f"{stem}.json").read_text()):
            assert set(entry) == {"image_id", "category_id", "bbox", "score"}
            assert entry["image_id"] in {f"{t}.jpg" for t in range(frames)}
            assert entry["category_id"] in objects.GROUP_OF
            assert inside(entry["bbox"], width, height)


def test_every_object_heatmap_group_occurs(archive):
    files = [json.loads((archive / "objects" / f"{stem}.json").read_text()) for _, stem in stems()]
    assert {entry["category_id"] for found in files for entry in found} == {3, 18, 34, 38, 51, 53}


@pytest.mark.parametrize("mirror", [1, -1])
def test_joints_lie_where_the_person_is_drawn(mirror):
    clip = demo_clip.draw_clip("squat_down", "squat", 0, 0)
    origin = np.array(clip.size) / (2, 1)
    camera = dataclasses.replace(clip.camera, mirror=mirror, origin=origin)
    clip = dataclasses.replace(clip, camera=camera, pan=np.array([8.0, 2.0]), bystander=None, undetected=frozenset())
    near_wrist = demo_motion.R_WRIST if mirror == 1 else demo_motion.L_WRIST
    for frame in demo_clip.render(clip):
        x, y, _ = np.reshape(frame.people[0]["keypoints"], (17, 3))[near_wrist]
        assert np.abs(frame.image[round(y), round(x)].astype(int) - clip.look.skin).max() < 12


@pytest.mark.parametrize("mirror", [1, -1])
def test_left_is_the_persons_own_left(mirror):
    clip = demo_clip.draw_clip("drum_up-stroke", "drum", 0, 0)
    clip = dataclasses.replace(clip, camera=dataclasses.replace(clip.camera, mirror=mirror), undetected=frozenset())
    for frame in demo_clip.render(clip):  # they face the camera: their left is to the right in the picture
        joints = np.reshape(frame.people[0]["keypoints"], (17, 3))
        assert joints[demo_motion.L_SHOULDER, 0] > joints[demo_motion.R_SHOULDER, 0]


@pytest.mark.parametrize("composite", demo_motion.MOTIONS)
def test_backward_class_is_the_forward_one_reversed(composite, tmp_path):
    forward, backward = demo_motion.MOTIONS[composite].names
    clip = demo_clip.draw_clip(forward, composite, 3, 0)
    there, back = (demo_clip.render(dataclasses.replace(clip, name=name)) for name in (forward, backward))
    assert [(f.people, f.box, f.objects) for f in there] == [(f.people, f.box, f.objects) for f in back[::-1]]
    assert there[0].people != there[-1].people
    for name, frames in (("there", there), ("back", back)):
        (tmp_path / f"{name}.mp4").write_bytes(demo_files.encode_video([frame.image for frame in frames], clip.fps))
    videos = [read_video(tmp_path / f"{name}.mp4") for name in ("there", "back")]
    # After coding, too: no frame may carry traces of the one before it.
    np.testing.assert_array_equal(videos[0], videos[1][::-1])


def test_parameters_are_drawn_alike_for_both_classes():
    clips = [demo_clip.draw_clip(name, composite, index, 0) for name, composite in CLASSES for index in range(20)]
    assert all(clip.frames % 2 == 1 for clip in clips)  # the middle frame stays the middle when reversed
    assert all((np.diff(demo_clip.progress(clip)) > 0).all() for clip in clips)  # every window shows the direction
    assert min(clip.frames for clip in clips) < 16 < 40 < max(clip.frames for clip in clips)
    moving, crowded = sum(clip.pan.any() for clip in clips), sum(clip.bystander is not None for clip in clips)
    assert 40 < moving < 120
    assert 20 < crowded < 80
    assert len({clip.ease for clip in clips}) > 300  # independent clips, also within a pair


@pytest.mark.parametrize(
    ("name", "composite", "joint", "rises"),
    [
        ("squat_down", "squat", demo_motion.NOSE, False),
        ("squat_up", "squat", demo_motion.NOSE, True),
        ("barbell_raise", "barbell", demo_motion.L_WRIST, True),
        ("drum_down-stroke", "drum", demo_motion.L_WRIST, False),
        ("kite_rise", "kite", demo_motion.L_WRIST, True),
        ("SUV_hood_open", "SUV_hood", demo_motion.L_WRIST, True),
    ],
)
def test_class_names_say_what_happens(name, composite, joint, rises):
    clip = dataclasses.replace(demo_clip.draw_clip(name, composite, 1, 0), undetected=frozenset(), pan=np.zeros(2))
    first, *_, last = demo_clip.render(clip)
    heights = [np.reshape(frame.people[0]["keypoints"], (17, 3))[joint, 1] for frame in (first, last)]
    assert (heights[1] < heights[0]) == rises  # y points down


def test_undetected_frames_have_no_people():
    clip = demo_clip.draw_clip("kite_sink", "kite", 0, 0)
    frames = demo_clip.render(dataclasses.replace(clip, undetected=frozenset({0, 2})))[::-1]
    assert [number for number, frame in enumerate(frames) if not frame.people] == [0, 2]


@pytest.mark.parametrize("folder", [True, False])
def test_refuses_what_is_there(tmp_path, folder):
    out = tmp_path / "out"
    mine = out / "mine.txt" if folder else out
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("keep")
    with pytest.raises(FileExistsError, match=str(out)):
        demo.write_archive(out, clips_per_class=1)
    assert mine.read_text() == "keep"
    assert list(tmp_path.iterdir()) == [out]


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_files, "raw_line", lambda clip: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        demo.write_archive(tmp_path / "out", clips_per_class=1, workers=2)
    assert list(tmp_path.iterdir()) == []


def test_built_demo_has_all_streams(tmp_path):
    names = ("squat_down", "squat_up")
    config = tfds_haa500.Haa500Config(name="squats", classes=names, streams=("flow", "pose"), generated=True)
    tfds_haa500.Builder(config=config, data_dir=str(tmp_path)).download_and_prepare()
    examples = tfds.load("haa500/squats", split="test", data_dir=str(tmp_path))
    ways = collections.defaultdict(list)
    for example in examples:
        frames, height, width = example["video"].shape[:3]
        assert example["flow_x"].shape == example["flow_y"].shape == (frames - 1, height, width, 1)
        assert example["pose"].shape == (frames, 2, 17, 3)
        ways[example["clip_id"].numpy().decode()[:-4]].append(_way_of_the_nose(example))
    assert sorted(ways) == sorted(names)
    for nose, picture in ways["squat_down"]:
        assert min(nose, picture) > 0  # y points down
    for nose, picture in ways["squat_up"]:
        assert max(nose, picture) < 0


def _way_of_the_nose(example) -> tuple[float, float]:
    """Pixels that the nose goes down over the clip, by the poses and by the flow at the nose."""
    poses, fields = example["pose"].numpy()[:, 0], flow.to_pixels(example["flow_y"].numpy()[..., 0])
    height, width = fields.shape[1:]
    seen = np.flatnonzero(poses[:, 0, 2])
    x, y = (poses[:, 0, :2] * (width, height)).round().astype(int).T
    by_flow = sum(fields[t, y[t], x[t]] for t in seen if t < len(fields))
    return (poses[seen[-1], 0, 1] - poses[seen[0], 0, 1]) * height, by_flow


def test_contact_sheet(archive, tmp_path):
    demo.write_sheet(archive, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_stray_argument_is_an_error():
    with pytest.raises(app.UsageError, match="unexpected argument 'stray'"):
        demo.main(["demo", "stray"])
