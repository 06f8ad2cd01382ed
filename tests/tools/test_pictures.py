"""README's pictures, on made-up clips and predictions: what is drawn is what was given. Nothing trains."""

import numpy as np
import pytest
from PIL import Image

from tools import pictures

CLASSES = ["squat_down", "squat_up", "wave"]
SHARES = {"i3d_one_frame": (0.5, 0.3, 0.2), "i3d": (0.9, 0.02, 0.08)}


def clip(name: str, frames: int = 21, size=(12, 16)) -> dict:
    """Frame i is of level 10 * i; a box and a person in the middle, an object of group 2 in frame 10."""
    levels = 10 * np.arange(frames, dtype=np.uint8)
    return {
        "clip_id": name.encode(),
        "fps": 25.0,
        "video": np.broadcast_to(levels[:, None, None, None], (frames, *size, 3)),
        "flow_x": np.full((frames - 1, *size, 1), 255, np.uint8),
        "flow_y": np.full((frames - 1, *size, 1), 128, np.uint8),
        "pose": np.full((frames, 2, 17, 3), 0.6, np.float32),
        "person_box": np.full((frames, 4), 0.25, np.float32),
        "objects": np.array([[10, 2, 0.1, 0.1, 0.5, 0.5, 0.9], [11, 0, 0.1, 0.1, 0.5, 0.5, 0.9]], np.float32),
    }


def predictions() -> dict[str, dict]:
    """Logits of 0, but for the first clip of the pair."""
    ids = np.array(["wave_017", *pictures.PAIR])
    made = {}
    for name, shares in SHARES.items():
        logits = np.stack([np.zeros(3), np.log(shares) + 7, np.zeros(3)]).astype(np.float32)
        labels = np.array([2, 0, 1])
        made[name] = {"clip_ids": ids, "atomic_logits": logits, "atomic_labels": labels}
        made[name]["atomic_classes"] = np.array(CLASSES)
    return made


def test_the_probabilities_are_those_of_the_clip():
    found = pictures.probabilities(predictions()["i3d"], pictures.PAIR[0])
    assert found == pytest.approx(dict(zip(CLASSES, SHARES["i3d"], strict=True)), rel=1e-5)


def test_correct_clips_are_counted():
    assert pictures.top1(predictions()["i3d"]) == "1 of 3"


def test_the_bars_are_as_long_as_the_probabilities_and_the_frames_are_those_seen():
    clips = [clip(name) for name in pictures.PAIR]
    frames, bars, *_ = pictures.order_figure(clips, predictions()).axes
    widths = [patch.get_width() for patch in bars.patches]
    assert widths == pytest.approx([0.5, 0.2, 0.3, 0.9, 0.08, 0.02], rel=1e-5)  # the others in the middle
    levels = [int(image.get_array()[0, 0, 0]) for image in frames.images]
    assert levels == [100, 10, 30, 60, 90, 110, 140, 170, 190]  # the middle one; one in each eighth


def test_flow_is_colored_by_direction_and_length():
    right, left, still = (pictures.flow_image(np.array([[x]]), np.array([[0.0]]), 2.0)[0, 0] for x in (2.0, -1.0, 0.0))
    assert (right.tolist(), left.tolist(), still.tolist()) == ([255, 0, 0], [128, 255, 255], [255, 255, 255])


def test_the_streams_are_those_of_the_middle_frame(tmp_path):
    figure = pictures.streams_figure(clip("wave_017"))
    rgb, _, _, boxes = figure.axes
    assert int(rgb.images[0].get_array()[0, 0, 0]) == 100
    assert [text.get_text() for text in boxes.texts] == ["person", "animals"]
    pictures.save(figure, tmp_path / "streams.webp")
    assert Image.open(tmp_path / "streams.webp").width == round(pictures.WIDTH * pictures.DPI)


def test_the_map_fills_the_markers_of_one_action_of_each_pair():
    rng = np.random.default_rng(0)
    arrays = {
        "features": rng.normal(size=(12, 4)).astype(np.float32),
        "composites": np.repeat(["squat", "wave"], 6),
        "labels": np.array([0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]),
    }
    made = predictions()
    axes = pictures.map_figure(dict.fromkeys(SHARES, arrays), made).axes[0]
    assert [len(points.get_offsets()) for points in axes.collections] == [2, 4, 3, 3, 0, 0]  # filled, open; the key


def test_runs_that_are_not_there_are_named(tmp_path):
    (tmp_path / "i3d_one_frame").mkdir()
    (tmp_path / "i3d_one_frame" / "predictions.npz").touch()
    with pytest.raises(SystemExit) as error:
        pictures.draw(tmp_path, tmp_path / "out")
    assert str(tmp_path / "i3d") in error.value.code
    assert "make demo demo-one-frame" in error.value.code
