"""An interrupted build computes nothing twice that takes long, and takes no damaged file for what it was."""

import numpy as np
import pytest

from tests.conftest import CLASSES, numbered_frame, write_archive, write_video
from tfds_haa500 import Builder, Haa500Config
from tfds_haa500.problems import BuildError, ClipError
from tfds_haa500.runtime import kept
from tfds_haa500.streams import flow

FRAMES = [np.repeat(numbered_frame(t).astype(np.uint8)[..., None], 3, axis=-1) for t in range(8)]


@pytest.fixture
def computed(monkeypatch) -> list:
    """An entry for each pair of frames whose flow was computed."""
    pairs, make = [], flow.estimator

    def counted(method):
        estimate = make(method)
        return lambda first, second: pairs.append(method) or estimate(first, second)

    monkeypatch.setattr(flow, "estimator", counted)
    monkeypatch.setattr(kept, "PAIRS", 3)
    return pairs


def flow_of(frames, computation) -> dict[str, list[bytes]]:
    for frame in frames:
        computation(frame)
    return computation.features()


def keeping(folder):
    return kept.Kept(lambda: flow.Computation("tvl1"), "tvl1", folder)


def test_what_was_kept_is_what_would_be_computed(tmp_path, computed):
    straight = flow_of(FRAMES, flow.Computation("tvl1"))
    assert flow_of(FRAMES, keeping(tmp_path / "kept")) == straight
    assert len(computed) == 7 + 7
    assert flow_of(FRAMES, keeping(tmp_path / "kept")) == straight
    assert len(computed) == 14
    assert flow_of(FRAMES[:5], keeping(tmp_path / "kept")) == {name: of[:4] for name, of in straight.items()}
    assert len(computed) == 15  # three of the four pairs were in one file


@pytest.mark.parametrize("keep", [0, 0.5, None])
def test_a_damaged_file_is_computed_again(tmp_path, computed, keep):
    straight = flow_of(FRAMES, keeping(tmp_path))
    file = sorted(tmp_path.iterdir())[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 4] ^= 1
    file.write_bytes(data if keep is None else data[: int(keep * len(data))])
    before = len(computed)
    assert flow_of(FRAMES, keeping(tmp_path)) == straight
    assert before < len(computed) <= before + 3
    before = len(computed)
    assert flow_of(FRAMES, keeping(tmp_path)) == straight
    assert len(computed) == before


def test_one_frame_has_no_flow(tmp_path):
    with pytest.raises(ClipError, match="one frame"):
        flow_of(FRAMES[:1], keeping(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_build_goes_on_where_it_failed_and_keeps_nothing_once_it_is_done(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "haa500_v1_1", CLASSES[:1])
    bad = archive / "video" / CLASSES[0] / f"{CLASSES[0]}_015.mp4"
    bad.write_bytes(b"no video")
    config = Haa500Config(name="flow_of_one", classes=CLASSES[:1], streams=("flow",), flow_method="tvl1")

    def build() -> Builder:
        builder = Builder(config=config, data_dir=str(tmp_path / "data"))
        builder.download_and_prepare(download_config=_from(tmp_path))
        return builder

    folder = tmp_path / "data" / "haa500" / "flow_of_one"
    with pytest.raises(BuildError, match=bad.name):
        build()
    files = {path.name: path.stat().st_mtime_ns for path in (folder / kept.FOLDER).iterdir()}
    assert len(files) >= 15  # of the clips before the bad one
    write_video(bad, 20)
    reused = []
    monkeypatch.setattr("tfds_haa500.packaging.shutil.rmtree", lambda path, **_: reused.extend(path.iterdir()))
    builder = build()
    assert {path.name: path.stat().st_mtime_ns for path in reused if path.name in files} == files
    monkeypatch.undo()
    assert sum(info.num_examples for info in builder.info.splits.values()) == 20


def _from(folder):
    import tensorflow_datasets as tfds

    return tfds.download.DownloadConfig(manual_dir=str(folder))
