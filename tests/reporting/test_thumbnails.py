import base64

import cv2
import numpy as np
import pytest

from haa_jax.data.dataset import DatasetError
from haa_jax.reporting import thumbnails
from haa_jax.reporting.runs import Run
from tfds_haa500.records import RecordError


def jpeg(level: int, size=(60, 80)) -> bytes:
    return cv2.imencode(".jpg", np.full((*size, 3), level, np.uint8))[1].tobytes()


def decoded(thumbnail: dict) -> np.ndarray:
    data = base64.b64decode(thumbnail["uri"].removeprefix("data:image/jpeg;base64,"))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_a_strip_has_frames_from_the_first_to_the_last():
    found = thumbnails.strip([jpeg(10 * t) for t in range(21)])
    assert (found["frames"], found["width"], found["height"]) == (6, 128, 96)
    image = decoded(found)
    assert image.shape == (96, 6 * 128, 3)
    levels = image.reshape(96, 6, 128, 3)[20:-20, :, 20:-20].mean((0, 2, 3))
    assert np.allclose(levels, [0, 40, 80, 120, 160, 200], atol=3)


def test_colors_stay_red_and_blue():
    red = np.zeros((60, 80, 3), np.uint8)
    red[..., 2] = 250
    image = decoded(thumbnails.strip([cv2.imencode(".jpg", red)[1].tobytes()]))
    assert image[..., 2].mean() > 200 > 50 > image[..., 0].mean()


@pytest.mark.parametrize(("size", "width"), [((100, 300), 176), ((200, 100), 48), ((2, 300), 176)])
def test_wide_and_tall_frames(size, width):
    found = thumbnails.strip([jpeg(1, size), jpeg(2, size)])
    assert (found["width"], found["frames"]) == (width, 2)
    assert decoded(found).shape == (96, 2 * width, 3)


class Reader(list):
    def __getitem__(self, i):
        if i == 2:
            raise RecordError("shard damaged")
        return {"video": [jpeg(i)] * 3}


def test_missing_and_damaged_clips_are_named_and_the_number_is_bounded(monkeypatch):
    ids = np.array([f"clip_{i}" for i in range(10)])
    source = thumbnails.Source("haa500/x/1.0.0", None, Reader(), {f"clip_{i}": i for i in range(9)})
    found, problems = thumbnails.strips(source, ids, [4, 2, 4, 9, 0])
    assert list(found) == [4, 0]
    assert problems == ["clip_2: shard damaged", "clip_9 is not in haa500/x/1.0.0"]
    monkeypatch.setattr(thumbnails, "MOST_CLIPS", 3)
    assert list(thumbnails.strips(source, ids, range(3, 9))[0]) == [3, 4, 5]
    monkeypatch.setattr(thumbnails, "MOST_BYTES", 2 * len(found[4]["uri"]))
    assert list(thumbnails.strips(source, ids, [4, 4, 4, 3, 5])[0]) == [4, 3]


def run_of(meta: dict, note: str = "") -> Run:
    return Run("run", None, {}, {"split": "test", "evaluated_head": "atomic"}, None, meta, note)


def test_the_dataset_is_the_one_of_the_config_unless_it_is_named(data_dir, tmp_path):
    config = {"data": {"dataset": "haa500/tiny", "data_dir": data_dir}, "eval": {"dataset": ""}}
    source = thumbnails.open_source(run_of({"config": config}))
    assert source.name.startswith("haa500/tiny/")
    assert len(source.position) == 12
    found, problems = thumbnails.strips(source, np.array(["CPR_017"]), [0])
    assert (len(found), problems) == (1, [])
    config["data"]["data_dir"] = str(tmp_path / "moved")
    reason = thumbnails.open_source(run_of({"config": config}))
    assert reason.endswith("If the dataset is elsewhere: --data_dir=DIR")
    assert "build" in reason
    assert thumbnails.open_source(run_of({"config": config}), data_dir=data_dir).name == source.name
    assert thumbnails.open_source(run_of({}, "none"), "haa500/tiny", data_dir).name == source.name
    assert "not known, since there is no checkpoint" in thumbnails.open_source(run_of({}, "there is no checkpoint"))
    with pytest.raises(DatasetError):
        thumbnails.open_source(run_of({"config": config}), data_dir=str(tmp_path / "wrong"))
