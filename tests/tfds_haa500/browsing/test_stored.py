import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.streams.clips import textured_example
from tfds_haa500 import features, taxonomy
from tfds_haa500.browsing import film, stored
from tfds_haa500.streams import STREAMS

TABLE = taxonomy.Taxonomy(("jump", "sit"), ("indoors", "outdoors"), ("leave", "stay"), ("test",) * 2)
FEATURES = features.example_features(TABLE, features.ClipConfig(name="full", streams=tuple(STREAMS)), docs={})


def example(**others) -> dict:
    """A stored clip of 6 frames with all streams."""
    boxes = np.tile(np.array([0.25, 0.25, 0.5, 0.5], np.float32), (6, 1))
    ball = np.array([[2, 0, 0.5, 0.5, 0.25, 0.25, 0.9]], np.float32)
    facts = {
        "clip_id": b"jump_003",
        "label": 0,
        "composite": 1,
        "area": 0,
        "fps": 3.0,
        "youtube_url": b"",
        "start": 1.5,
    }
    facts |= {"end": 3.5, "camera_moving": True, "num_people": 1, "person_box": boxes, "objects": ball}
    return textured_example() | facts | others


def picture(made: film.Film, number: int) -> np.ndarray:
    strip = cv2.imdecode(np.frombuffer(made.strip, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.split(strip, made.frames, axis=1)[number]


def test_each_stream_has_a_film():
    films = stored.films(example(), 2.0)
    assert [each.caption.partition(",")[0] for each in films] == ["frames", "flow", "joints", "person and objects"]
    assert {(each.frames, each.size, each.seconds) for each in films} == {(6, (60, 40), 2.0)}


def test_a_clip_has_films_of_what_is_stored_only():
    clip = example()
    without = {name: value for name, value in clip.items() if name not in ("flow_x", "pose", "person_box")}
    assert [each.caption for each in stored.films(without, 2.0)] == ["frames", "objects"]


def test_boxes_are_in_the_frames_that_have_them():
    black = cv2.imencode(".png", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    *_, boxed = stored.films(example(video=[black] * 6, person_box=np.zeros((6, 4), np.float32)), 2.0)
    assert [bool(picture(boxed, i)[15:, 25:].max() > 100) for i in range(6)] == [False, False, True, *[False] * 3]


def test_flow_is_drawn_by_direction():
    right = cv2.imencode(".png", np.full((40, 60), 255, np.uint8))[1].tobytes()  # 20 pixels
    still = cv2.imencode(".png", np.full((40, 60), 128, np.uint8))[1].tobytes()
    flow = stored.films(example(flow_x=[right] * 5, flow_y=[still] * 5), 2.0)[1]
    assert flow.caption == "flow, full color at 20.0 px"
    np.testing.assert_allclose(picture(flow, 5)[20, 30], (255, 0, 0), atol=8)


def test_the_card_has_the_labels_and_what_is_known():
    card = stored.card(example(), "test", FEATURES, [])
    assert card.title == "jump_003"
    assert card.tags == {
        "class": "jump",
        "composite": "stay",
        "area": "indoors",
        "split": "test",
        "camera": "moving camera",
        "people": "1 person",
    }
    assert card.facts[:2] == ["6 frames, 2.00 s at 3 fps", "60x40"]
    assert card.facts[3] == "1.50 to 3.50 s of its source"


def test_the_card_says_nothing_that_is_not_known():
    alone = taxonomy.Taxonomy(("jump", "sit"), ("all",) * 2, ("jump", "sit"), ("folder",) * 2)
    folder = features.example_features(alone, features.ClipConfig(name="rgb"), docs={})
    card = stored.card(example(num_people=0, composite=0), "test", folder, [])
    assert card.tags == {"class": "jump", "split": "test"}


def test_features_that_are_not_drawn_are_named():
    assert stored.not_drawn(FEATURES) == []
    assert stored.not_drawn({**FEATURES, "depth": tfds.features.Tensor(shape=(), dtype=np.float32)}) == ["depth"]


def test_the_legend_is_of_the_streams_that_are_there():
    labels = [entry.label for entry in stored.legend({"video": 0, "person_box": 0, "flow_x": 0})]
    assert labels == ["motion right", "motion down", "motion left", "motion up", "person"]


def test_clips_are_shown_by_class(data_dir):
    builder = stored.open_dataset("haa500/tiny", data_dir)
    readers = stored.open_splits(builder, ["train", "test"], ["CPR", "play_erhu"], "")
    assert {split: len(reader) for split, reader in readers.items()} == {"train": 32, "test": 6}
    chosen = stored.spread(readers, 8, seed=0)
    shown = [readers[split].index.clip_id[number][:-4] for split, number in chosen]
    assert shown == ["CPR"] * 4 + ["play_erhu"] * 4


@pytest.mark.parametrize(
    ("splits", "classes", "area", "message"),
    [
        (["val"], [], "", "has no split 'val', only"),
        ([], ["cpr"], "", "no class 'cpr'"),
        ([], ["CPR"], "musical_instruments", "no clip of these classes is of area"),
    ],
)
def test_names_that_the_data_set_lacks(data_dir, splits, classes, area, message):
    with pytest.raises(stored.BrowseError, match=message):
        stored.open_splits(stored.open_dataset("haa500/tiny", data_dir), splits, classes, area)


@pytest.mark.parametrize("name", ["haa500/flow", "haa500/none", "nothing", "clip_folder/mine"])
def test_data_sets_that_are_not_built(tmp_path, name):
    with pytest.raises(stored.BrowseError, match=f"{name}' is not"):
        stored.open_dataset(name, str(tmp_path))
