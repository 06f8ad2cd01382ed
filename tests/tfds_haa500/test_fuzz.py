"""Whatever a file holds, readers give it or say what is wrong with it: thousands of files with random damage.

Hypothesis changes valid bytes in a few ways, and they are read. Allowed are a result and the documented errors; any
other exception fails, and so does anything written next to the file. `make test` runs a few of each kind, `make
test-all` COUNT of each.
"""

import collections
import dataclasses
import functools
import io
import itertools
import json
import pathlib
import shutil
import tempfile
import warnings
import zipfile

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haa_jax.configs import i3d, slowfast, tsn
from haa_jax.predictions import EvaluationError
from haa_jax.predictions import read as read_predictions
from haa_jax.weights import importer
from haa_jax.weights.__main__ import abstract_variables
from haa_jax.weights.readers import WeightsError, read_tensors
from tests.conftest import write_video
from tests.tfds_haa500.sources.lists import test_ava, test_gym288
from tests.weights import test_readers as weights_files
from tests.weights import test_verdict as verdicts
from tfds_haa500 import problems, records, taxonomy
from tfds_haa500.packaging import make_example
from tfds_haa500.problems import BuildError, ClipError
from tfds_haa500.sources import archive, clips, split_lists
from tfds_haa500.streams import boxes, flow_images, objects, pose, video

COUNT, QUICK = 500, 15
SIZE = (64, 48)


@dataclasses.dataclass(frozen=True)
class Edit:
    """One change to some bytes, at a place that is taken modulo their number."""

    kind: str
    at: int
    length: int
    noise: bytes
    token: str


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
KINDS_OF_EDIT = ("flip", "cut out", "repeat", "insert", "truncate", "overwrite", "token")
EDITS = st.lists(
    st.builds(
        Edit,
        kind=st.sampled_from(KINDS_OF_EDIT),
        at=st.integers(0, 2**32 - 1),
        length=st.sampled_from([1, 2, 4, 8, 64, 1000]),
        noise=st.binary(min_size=1, max_size=64),
        token=st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, edits: list[Edit]) -> bytes:
    data = bytearray(data)
    for edit in edits:
        at = edit.at % (len(data) + 1)
        end = at + edit.length
        match edit.kind:
            case "flip":
                data[at : at + 1] = bytes(byte ^ (1 << edit.length % 8) for byte in data[at : at + 1])
            case "cut out":
                del data[at:end]
            case "repeat":
                data[at:at] = data[at:end]
            case "insert":
                data[at:at] = edit.noise
            case "truncate":
                del data[at:]
            case "overwrite":
                data[at:end] = edit.noise[:1] * edit.length
            case "token":
                data[at : at + 1] = edit.token.encode()
    return bytes(data)


def examples(count: int):
    """The same ones in every run, and no more than is asked for; a failure is made as small as it can be."""
    checks = list(HealthCheck)
    return settings(max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=checks)


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
    flow_images.read_images(names, lambda name: data, 2, SIZE, video.encode_jpeg)


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
    """A reader of a path as one of bytes, and a check that it writes nothing else."""

    def of_bytes(data: bytes, folder: pathlib.Path) -> None:
        path = folder / name
        path.write_bytes(data)
        try:
            read(path)
        finally:
            assert [found.name for found in folder.iterdir()] == [name]

    return of_bytes


def in_lists(write_lists, name: str):
    """A reader of official lists, of which one file is damaged, and a check that it writes nothing."""

    def of_bytes(data: bytes, folder: pathlib.Path) -> None:
        lists = write_lists(folder / "lists")
        (lists / name).write_bytes(data)
        before = sorted(lists.iterdir())
        read_list(lists)
        assert sorted(lists.iterdir()) == before

    return of_bytes


with_info = functools.partial(test_gym288.write_lists, info=test_gym288.EXAMPLE)


def plain(read):
    return lambda data, folder: read(data)


def read_list(path: pathlib.Path) -> None:
    _, found = split_lists.read(path)
    assert all(isinstance(problem, str) for problem in found)


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


@functools.cache
def narrow_stgcn():
    """(config.model, shapes of the variables)."""
    config = verdicts.narrow()
    return config.model, abstract_variables(config)


def stgcn_numbers() -> bytes:
    return b"".join(tensor.tobytes() for tensor in verdicts.published(narrow_stgcn()[1]).values())


def load_stgcn(data: bytes, folder: pathlib.Path) -> None:
    """Loads a file of the right names and shapes with these numbers; what is accepted can be computed with."""
    tensors, at = {}, 0
    for name, tensor in verdicts.published(narrow_stgcn()[1]).items():
        numbers = data[at : at + tensor.nbytes].ljust(tensor.nbytes, b"\0")
        tensors[name], at = np.frombuffer(numbers, tensor.dtype).reshape(tensor.shape), at + tensor.nbytes
    np.savez(folder / "w.npz", **tensors)
    loaded, _ = importer.load(folder / "w.npz", *narrow_stgcn())
    arrays = [array for array in jax.tree.leaves(loaded) if isinstance(array, np.ndarray)]
    assert len(arrays) == verdicts.TAKEN
    assert all(np.isfinite(array).all() for array in arrays)
    assert all((path[-1] != "var" or array.min() >= 0) for path, array in flatten_dict(loaded["batch_stats"]).items())


def weights(layout: str):
    return lambda: weights_files.WRITERS[layout](weights_files.small())


# Kind of file -> (makes a valid one, reads bytes in a folder, the documented errors).
KINDS = {
    "pose": (lambda: entries("pose"), plain(lambda d: pose.parse(d, 4, SIZE)), ClipError),
    "objects": (lambda: entries("objects"), plain(lambda d: objects.parse(d, 4, SIZE)), ClipError),
    "boxes": (rows_of_boxes, plain(lambda d: boxes.parse(d, 4, SIZE)), ClipError),
    "flow picture": (picture, plain(read_flow), ClipError),
    "annotations": (annotations, plain(read_annotations), ValueError),
    "class table": (
        lambda: taxonomy.DEMO_CSV.read_bytes(),
        in_file(lambda p: taxonomy.load(p), "t.csv"),
        taxonomy.TaxonomyError,
    ),
    "video": (clip_file, plain(lambda d: video.encode_clip(d)), ClipError),
    "ActivityNet list": (activity_net, in_file(read_list, "list.json"), ()),
    "AVA list": (test_ava.TRAIN.encode, in_lists(test_ava.write_lists, "ava_train_v2.2.csv"), ()),
    "AVA actions": (test_ava.ACTIONS.encode, in_lists(test_ava.write_lists, "ava_action_list_v2.2.pbtxt"), ()),
    "Gym288 list": (test_gym288.TRAIN.encode, in_lists(with_info, "gym288_train_element_v1.1.txt"), ()),
    "Gym288 annotations": (
        lambda: json.dumps(test_gym288.EXAMPLE).encode(),
        in_lists(with_info, "finegym_annotation_info_v1.1.json"),
        (),
    ),
    "shard": (shard, in_file(read_shard, "shard.tfrecord"), records.RecordError),
    "config words": (lambda: b"flow,joint,area=sports_athletics,demo", plain(read_words), ValueError),
    "predictions": (predictions, in_file(read_predictions, "p.npz"), EvaluationError),
    **{
        f"weights, {layout}": (weights(layout), in_file(read_tensors, "w"), WeightsError)
        for layout in weights_files.WRITERS
    },
    "weights, numbers": (stgcn_numbers, load_stgcn, WeightsError),
}


def fuzz(kind: str, count: int, folder: pathlib.Path) -> collections.Counter:
    """Reads `count` damaged files; how many were read and refused."""
    make, read, allowed = KINDS[kind]
    valid, outcomes = make(), collections.Counter()
    read(valid, folder)

    @examples(count)
    @given(edits=EDITS)
    def reads_or_refuses(edits):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(damaged(valid, edits), folder)
            outcomes["read"] += 1
        except allowed as error:
            outcomes["refused" if str(error) else "refused without a word"] += 1

    reads_or_refuses()
    assert "refused without a word" not in outcomes
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_damaged_files(kind, tmp_path):
    assert fuzz(kind, QUICK, tmp_path).total() >= QUICK


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind, tmp_path):
    outcomes = fuzz(kind, COUNT, tmp_path)
    print(f"{kind}: {dict(outcomes)}")
    assert outcomes.total() >= COUNT
    lists = KINDS[kind][2] == ()  # what is wrong with them is returned
    assert outcomes["refused"] > COUNT // 50 or lists


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
    table = taxonomy.load(taxonomy.HAA500_CSV)
    for clip in archive.scan(manual_dir, table, ["CPR"]):
        example = make_example(table, clips.encode, {}, clip)
        assert isinstance(example, problems.Failure) or len(example["video"]) > 0


def fuzz_release(release: bytes, count: int, tmp_path: pathlib.Path) -> collections.Counter:
    numbers, outcomes = itertools.count(), collections.Counter()

    @examples(count)
    @given(edits=EDITS, directory=st.booleans())
    def reads_or_refuses(edits, directory):
        manual = tmp_path / str(next(numbers))
        manual.mkdir()
        tail = len(release) - 3000 if directory else 0  # where the zip file's directory is, and most of its meaning
        (manual / f"{archive.RELEASE}.zip").write_bytes(release[:tail] + damaged(release[tail:], edits))
        try:
            read_release(manual)
            outcomes["read"] += 1
        except BuildError as error:
            outcomes["refused" if str(error) else "refused without a word"] += 1
        assert [found.name for found in manual.iterdir()] == [f"{archive.RELEASE}.zip"]
        shutil.rmtree(manual)
        assert not list(tmp_path.iterdir())

    reads_or_refuses()
    assert "refused without a word" not in outcomes
    return outcomes


def test_a_few_damaged_releases(release, tmp_path):
    assert fuzz_release(release, 6, tmp_path).total() >= 6


@pytest.mark.slow
def test_many_damaged_releases(release, tmp_path):
    outcomes = fuzz_release(release, 300, tmp_path)
    print(f"release: {dict(outcomes)}")
    assert outcomes["refused"] > 30


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
    with pytest.raises(BuildError, match="CPR_999.mp4: not one of the 20"):
        read_release(manual)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "manual", f"{archive.RELEASE}.zip"]
