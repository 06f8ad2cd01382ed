"""Whatever a file holds, readers give it or say what is wrong with it: thousands of files with random damage.

Each case changes valid bytes in a few random ways and reads them. Allowed are a result and the documented errors; any
other exception fails, and so does anything written beside the file. `make test` runs a few of each kind, `make
test-all` COUNT of each.
"""

import io
import json
import pathlib
import tempfile
import warnings
import zipfile

import numpy as np
import pytest

from configs import i3d, slowfast, tsn
from haa_jax import fuse
from haa_jax.evaluate import EvaluationError
from haa_jax.weights.readers import WeightsError, read_tensors
from tests.conftest import write_video
from tests.weights import test_readers as weights_files
from tfds_haa500 import archive, boxes, flow, objects, pose, records, split_lists, taxonomy, video
from tfds_haa500.side_files import SideFileError

COUNT, QUICK = 500, 15
SIZE = (64, 48)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes: bytes flipped, cut out, repeated, put in, numbers made extreme."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(data) + 1)), int(rng.choice([1, 2, 4, 8, 64, 1000]))
        kind = rng.integers(7)
        if kind == 0:
            for place in rng.integers(0, max(1, len(data)), 3) if data else ():
                data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.bytes(length)
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at : at + length] = bytes([int(rng.choice([0, 255, 127, 128]))]) * length
        else:
            data[at : at + 1] = rng.choice(TOKENS).encode()
    return bytes(data)


TOKENS = [
    "-1",
    "1e999",
    "NaN",
    "null",
    "[",
    "}",
    '"',
    "\n",
    ",",
    "\x00",
    "../",
    "/",
    "999999999999999999999",
    "é",
    "{}",
]


def entries(kind: str) -> bytes:
    """A valid JSON file of poses or detections."""
    if kind == "pose":
        own = {"keypoints": [20.0, 30.5, 0.5] * 17, "score": 2.5}
    else:
        own = {"category_id": 37, "bbox": [1.0, 2, 30, 20], "score": 0.5}
    return json.dumps([{"image_id": f"{t}.jpg", **own} for t in range(4)]).encode()


def rows_of_boxes() -> bytes:
    return ("frame,x,y,width,height\n" + "".join(f"{t},1,2,30.5,20\n" for t in range(4))).encode()


def picture() -> bytes:
    return video.encode_jpeg(np.full(SIZE[::-1], 120, np.uint8))


def read_flow(data: bytes) -> None:
    names = [f"flow_{axis}_{i:05d}.jpg" for axis in "xy" for i in (1, 2)]
    flow.read_images(names, lambda name: data, 2, SIZE, video.encode_jpeg)


def annotations() -> bytes:
    return b"".join(b"https://www.youtube.com/watch?v=a%d,%d.5,%d.25,%d,1\n" % (k, k, k + 2, k % 2) for k in range(20))


def read_annotations(data: bytes) -> None:
    for line in data.decode("utf-8", "replace").splitlines():
        archive.parse_row(line)


def read_words(data: bytes) -> None:
    for module in (i3d, slowfast, tsn):
        module.get_config(data.decode("utf-8", "replace"))


def predictions() -> bytes:
    out = io.BytesIO()
    arrays = {"clip_ids": np.array(["a_0", "b_1"]), "areas": np.array(["x", "y"])}
    arrays |= {"atomic_logits": np.eye(2, dtype=np.float32), "atomic_labels": np.arange(2)}
    np.savez(out, **arrays, atomic_classes=np.array(["a", "b"]))
    return out.getvalue()


def in_file(read, name: str):
    """A reader of a path as one of bytes, and a check that it leaves nothing else behind."""

    def of_bytes(data: bytes, folder: pathlib.Path) -> None:
        path = folder / name
        path.write_bytes(data)
        try:
            read(path)
        finally:
            assert [found.name for found in folder.iterdir()] == [name]

    return of_bytes


def plain(read):
    return lambda data, folder: read(data)


def read_list(path: pathlib.Path) -> None:
    _, problems = split_lists.read(path)
    assert all(isinstance(problem, str) for problem in problems)


def activity_net() -> bytes:
    annotation = {"subset": "training", "annotations": [{"label": "jump", "segment": [1.5, 3]}], "url": "u"}
    return json.dumps(
        {"version": "1", "database": {"id1": annotation, "id2": {**annotation, "subset": "validation"}}}
    ).encode()


def shard() -> bytes:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "shard.tfrecord")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for i in range(3):
                writer.write(bytes(range(50 * i)))
        return path.read_bytes()


def read_shard(path: pathlib.Path) -> None:
    for offset, record in records.iter_records(path):
        assert records.read_record(path, offset) == record


def clip_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_video(pathlib.Path(folder, "a.mp4"), 6)
        return pathlib.Path(folder, "a.mp4").read_bytes()


def weights(layout: str):
    return lambda: weights_files.WRITERS[layout](weights_files.small())


VIDEO_ERRORS = (video.VideoError,)
# Kind of file -> (makes a valid one, reads bytes in a folder, the documented errors).
KINDS = {
    "pose": (lambda: entries("pose"), plain(lambda d: pose.parse(d, 4, SIZE)), SideFileError),
    "objects": (lambda: entries("objects"), plain(lambda d: objects.parse(d, 4, SIZE)), SideFileError),
    "boxes": (rows_of_boxes, plain(lambda d: boxes.parse(d, 4, SIZE)), SideFileError),
    "flow picture": (picture, plain(read_flow), flow.FlowError),
    "annotations": (annotations, plain(read_annotations), ValueError),
    "class table": (
        lambda: taxonomy.DEMO_CSV.read_bytes(),
        in_file(lambda p: taxonomy.load(p), "t.csv"),
        taxonomy.TaxonomyError,
    ),
    "video": (clip_file, plain(lambda d: video.encode_clip(d)), VIDEO_ERRORS),
    "ActivityNet list": (activity_net, in_file(read_list, "list.json"), ()),
    "shard": (shard, in_file(read_shard, "shard.tfrecord"), records.RecordError),
    "config words": (lambda: b"flow,joint,area=sports_athletics,demo", plain(read_words), ValueError),
    "predictions": (predictions, in_file(fuse.read_predictions, "p.npz"), EvaluationError),
    **{
        f"weights, {layout}": (weights(layout), in_file(read_tensors, "w"), WeightsError)
        for layout in weights_files.WRITERS
    },
}


def fuzz(kind: str, count: int, folder: pathlib.Path) -> dict[str, int]:
    make, read, allowed = KINDS[kind]
    valid, outcomes, messages = make(), {"read": 0, "refused": 0}, set()
    read(valid, folder)
    for seed in range(count):
        data = damaged(valid, np.random.default_rng([seed, len(kind)]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(data, folder)
            outcomes["read"] += 1
        except allowed as error:
            outcomes["refused"] += 1
            messages.add(str(error))
        except Exception as error:
            error.add_note(f"{kind}, seed {seed}")
            raise
    assert all(messages)
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_damaged_files(kind, tmp_path):
    fuzz(kind, QUICK, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind, tmp_path):
    outcomes = fuzz(kind, COUNT, tmp_path)
    print(f"{kind}: {outcomes}")
    assert outcomes["refused"] > 0 or kind == "ActivityNet list"


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> bytes:
    """The bytes of a zip file that holds one whole class."""
    folder = tmp_path_factory.mktemp("release")
    clip = clip_file()
    with zipfile.ZipFile(folder / "r.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("raw/CPR.txt", annotations())
        for k in range(20):
            packed.writestr(f"video/CPR/CPR_{k:03d}.mp4", clip)
    return (folder / "r.zip").read_bytes()


def read_release(manual_dir: pathlib.Path) -> None:
    """Scans, and reads every clip as the builder does."""
    from tfds_haa500.haa500_dataset_builder import Failure, make_example

    table = taxonomy.load(taxonomy.HAA500_CSV)
    for clip in archive.scan(manual_dir, table, ["CPR"]):
        example = make_example(table, "", clip)
        assert isinstance(example, Failure) or len(example["video"]) > 0


def fuzz_release(release: bytes, count: int, tmp_path: pathlib.Path) -> None:
    for seed in range(count):
        manual = tmp_path / str(seed)
        manual.mkdir()
        rng = np.random.default_rng([seed, 7])
        tail = len(release) - 3000  # the directory of the zip file, where most of its meaning is
        data = release[:tail] + damaged(release[tail:], rng) if seed % 2 else damaged(release, rng)
        (manual / f"{archive.RELEASE}.zip").write_bytes(data)
        try:
            read_release(manual)
        except archive.ArchiveError:
            pass
        except Exception as error:
            error.add_note(f"release, seed {seed}")
            raise
        assert [found.name for found in manual.iterdir()] == [f"{archive.RELEASE}.zip"]
    assert sorted(int(found.name) for found in tmp_path.iterdir()) == list(range(count))


def test_a_few_damaged_releases(release, tmp_path):
    fuzz_release(release, 6, tmp_path)


@pytest.mark.slow
def test_many_damaged_releases(release, tmp_path):
    fuzz_release(release, 300, tmp_path)


@pytest.mark.parametrize("name", ["../outside.mp4", "/outside.mp4", "video/CPR/../../outside.mp4", "C:\\\\outside.mp4"])
def test_members_that_would_leave_their_folder_are_never_written(release, name, tmp_path):
    manual = tmp_path / "in" / "manual"
    manual.mkdir(parents=True)
    (manual / f"{archive.RELEASE}.zip").write_bytes(release)
    with zipfile.ZipFile(manual / f"{archive.RELEASE}.zip", "a") as packed:
        packed.writestr(name, b"outside")
        link = zipfile.ZipInfo("video/CPR/CPR_999.mp4")
        link.external_attr = 0o120777 << 16  # a symbolic link
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(archive.ArchiveError, match="CPR_999.mp4: not one of the 20"):
        read_release(manual)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "manual", f"{archive.RELEASE}.zip"]
