import itertools

import numpy as np
import pytest

from haa_jax import objectives
from haa_jax.data import dataset, pipeline, sampling, streams
from tests.conftest import CLASSES

ALONE = pipeline.Share()


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset.open_builder("haa500/tiny", data_dir)


@pytest.fixture
def train_split(builder):
    heads = objectives.make_heads("joint", dataset.read_taxonomy(builder))
    return dataset.open_split(builder, "train", heads)


def take(split, config, steps, start=0, share=ALONE, batch_size=8, seed=1):
    batches = pipeline.train_batches(split, config, batch_size, seed, start, share)
    taken = list(itertools.islice(batches, steps))
    batches.close()
    return taken


def assert_equal(left, right):
    for a, b in zip(left, right, strict=True):
        assert np.array_equal(a["clips"]["rgb"], b["clips"]["rgb"])
        assert a["labels"].keys() == b["labels"].keys()
        assert all(np.array_equal(a["labels"][head], b["labels"][head]) for head in a["labels"])


def test_shapes_and_labels(train_split, tiny_config):
    (batch,) = take(train_split, tiny_config.data, 1)
    assert batch["clips"]["rgb"].shape == (8, 4, 32, 32, 3)
    assert batch["clips"]["rgb"].dtype == np.uint8
    assert batch["labels"]["atomic"].dtype == np.int32
    clips, _ = sampling.batch_clips(1, 0, 8, 64)
    names = [train_split.index.clip_id[clip][:-4] for clip in clips]
    assert set(names) <= set(CLASSES)
    table = [train_split.labels["atomic"][clip] for clip in clips]
    assert list(batch["labels"]["atomic"]) == table


def test_after_a_restart_the_next_batch_is_the_one_that_would_have_come(train_split, tiny_config):
    straight = take(train_split, tiny_config.data, 12)
    assert_equal(straight[9:], take(train_split, tiny_config.data, 3, start=9))
    assert not np.array_equal(straight[0]["clips"]["rgb"], straight[8]["clips"]["rgb"])  # next epoch, other draws


def test_threads_and_prefetch_change_nothing(train_split, tiny_config):
    reference = take(train_split, tiny_config.data, 4)
    for threads, prefetch in [(1, 1), (5, 3), (3, 9)]:
        tiny_config.data.threads, tiny_config.data.prefetch = threads, prefetch
        assert_equal(reference, take(train_split, tiny_config.data, 4))


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_out_one_global_order(train_split, tiny_config, processes):
    whole = take(train_split, tiny_config.data, 3)
    parts = [take(train_split, tiny_config.data, 3, share=pipeline.Share(p, processes)) for p in range(processes)]
    for step, batch in enumerate(whole):
        assert np.array_equal(batch["clips"]["rgb"], np.concatenate([part[step]["clips"]["rgb"] for part in parts]))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_together_see_every_clip_of_an_epoch_once(train_split, tiny_config, processes, monkeypatch):
    seen = []
    monkeypatch.setattr(streams, "train_clip", lambda example, *_: seen.append(example["clip_id"].decode()))
    tiny_config.data.prefetch, tiny_config.data.threads = 0, 1
    for start in (0, 8):  # the first epoch of 8 batches, and one that begins with a restart
        for process in range(processes):
            take(train_split, tiny_config.data, 8, start, pipeline.Share(process, processes))
    assert sorted(seen) == sorted(2 * list(train_split.index.clip_id))


def test_the_seed_matters(train_split, tiny_config):
    assert not np.array_equal(
        take(train_split, tiny_config.data, 1)[0]["clips"]["rgb"],
        take(train_split, tiny_config.data, 1, seed=2)[0]["clips"]["rgb"],
    )


def test_crop_and_flip_are_the_same_for_a_whole_window(train_split, tiny_config):
    """Frames of the test clips differ by a constant, so a crop or flip that changed in between would show."""
    tiny_config.data.resize, tiny_config.data.crop = 48, 40
    flips = 0
    for batch in take(train_split, tiny_config.data, 4):
        frames = batch["clips"]["rgb"].astype(float).mean(-1)
        slopes = np.sign(frames[..., -8:].mean((2, 3)) - frames[..., :8].mean((2, 3)))
        assert (slopes == slopes[:, :1]).all()
        flips += (slopes[:, 0] < 0).sum()
    assert 4 <= flips <= 28  # of 32
    tiny_config.data.flip = False
    for batch in take(train_split, tiny_config.data, 2):
        frames = batch["clips"]["rgb"].astype(float)
        assert (frames[..., -8:, :].mean((1, 2, 3, 4)) > frames[..., :8, :].mean((1, 2, 3, 4))).all()


def test_frames_are_the_ones_that_were_sampled(train_split, tiny_config):
    """Frame t of a test clip is brighter by 4 t: its brightness says which frame it is."""
    tiny_config.data.flip = False
    tiny_config.data.resize = tiny_config.data.crop = 48
    tiny_config.data.frames, tiny_config.data.stride, tiny_config.data.short_clips = 6, 2, "loop"
    split = train_split
    clips, examples = sampling.batch_clips(1, 0, 8, len(split))
    (batch,) = take(split, tiny_config.data, 1)
    for row, clip, example in zip(batch["clips"]["rgb"], clips, examples, strict=True):
        num_frames = int(split.index.num_frames[clip])
        start = sampling.random_start(num_frames, 6, 2, sampling.example_rng(1, int(example)))
        expected = sampling.frame_indices(start, num_frames, 6, 2, "loop")
        brightness = row.astype(float).mean((1, 2, 3))
        found = expected[0] + np.round((brightness - brightness[0]) / 4)
        assert list(found) == list(expected)


@pytest.mark.parametrize("batch_size", [1, 5, 8, 12, 64])
@pytest.mark.parametrize("processes", [1, 2])
def test_evaluation_sees_every_clip_once(builder, tiny_config, batch_size, processes):
    heads = objectives.make_heads("atomic", dataset.read_taxonomy(builder))
    split = dataset.open_split(builder, "test", heads)
    batch_size *= processes
    shares = [pipeline.Share(p, processes) for p in range(processes)]
    runs = [list(pipeline.eval_batches(split, tiny_config.data, tiny_config.eval, batch_size, s)) for s in shares]
    assert len({len(run) for run in runs}) == 1
    seen = [i for run in runs for batch in run for i in batch["index"][batch["mask"]]]
    assert sorted(seen) == list(range(12))
    for batch in itertools.chain.from_iterable(runs):
        assert len(batch["clips"]["rgb"]) == batch_size // processes
        assert not batch["clips"]["rgb"][~batch["mask"]].any()


def test_views(builder, tiny_config):
    tiny_config.eval.windows, tiny_config.eval.crops = 3, 3
    heads = objectives.make_heads("atomic", dataset.read_taxonomy(builder))
    split = dataset.open_split(builder, "test", heads)
    (batch,) = pipeline.eval_batches(split, tiny_config.data, tiny_config.eval, 12, ALONE)
    assert batch["clips"]["rgb"].shape == (12, 9, 4, 32, 32, 3)
    views = batch["clips"]["rgb"][0].astype(float)
    brightness = views.mean((1, 2, 3, 4)).reshape(3, 3)
    assert (np.diff(brightness, axis=0) > 10).all()  # later windows are brighter
    assert (np.diff(brightness, axis=1) > 1).all()  # crops further right too


def test_views_at_test_have_their_own_frames_and_sizes(builder, tiny_config):
    assert pipeline.at_test(tiny_config.data, tiny_config.eval) == tiny_config.data  # 0: as in training
    tiny_config.eval.frames, tiny_config.eval.resize, tiny_config.eval.crop = 6, 44, 40
    at_test = pipeline.at_test(tiny_config.data, tiny_config.eval)
    assert (at_test.frames, at_test.resize, at_test.crop, at_test.stride) == (6, 44, 40, tiny_config.data.stride)
    assert (tiny_config.data.frames, tiny_config.data.resize, tiny_config.data.crop) == (4, 36, 32)
    heads = objectives.make_heads("atomic", dataset.read_taxonomy(builder))
    split = dataset.open_split(builder, "test", heads)
    (batch,) = pipeline.eval_batches(split, at_test, tiny_config.eval, 12, ALONE)
    assert batch["clips"]["rgb"].shape == (12, 1, 6, 40, 40, 3)


def test_an_area_keeps_its_clips_and_classes_only(builder):
    taxonomy = dataset.read_taxonomy(builder)
    (head,) = objectives.make_heads("atomic", taxonomy, "musical_instruments")
    split = dataset.open_split(builder, "train", (head,), "musical_instruments")
    assert len(head.classes) == 51
    assert {clip_id[:-4] for clip_id in split.index.clip_id} == {"play_erhu"}
    assert {head.classes[label] for label in split.labels["atomic"]} == {"play_erhu"}


def test_errors_reach_the_consumer(train_split, tiny_config, monkeypatch):
    monkeypatch.setattr(streams.augment, "decode", lambda *_: (_ for _ in ()).throw(ValueError("bad frame")))
    with pytest.raises(ValueError, match="bad frame"):
        take(train_split, tiny_config.data, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("haa500/demo", "build it with\n.*--config=demo"),
        ("haa500/rgb", "--manual_dir=DIR"),
        ("nothing", "not a dataset"),
    ],
)
def test_a_dataset_that_is_not_there(tmp_path, name, message):
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.open_builder(name, str(tmp_path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stream": "flow"}, "'flow' needs flow_x, flow_y, which haa500/tiny.* has not.*\n.*--streams=flow --name"),
        ({"stream": "pose"}, "'pose' needs pose, which .*\n.*--streams=pose"),
        ({"stream": "skeleton"}, "'skeleton' needs pose, which .*\n.*--streams=pose"),
        ({"stream": "rgb+objects"}, "'rgb.objects' needs objects, which .*\n.*--streams=objects"),
        ({"person_crop": 1.2}, "'rgb', config.data.person_crop=1.2 needs person_box, which .*\n.*--streams=boxes"),
    ],
)
def test_a_stream_that_the_dataset_has_not(builder, tiny_config, fields, message):
    dataset.check_stream(builder, tiny_config.data)
    tiny_config.data.update(fields)
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.check_stream(builder, tiny_config.data)


def test_a_split_that_the_dataset_has_not(builder):
    heads = objectives.make_heads("atomic", dataset.read_taxonomy(builder))
    with pytest.raises(dataset.DatasetError, match="has no extra split, only train, validation, test"):
        dataset.open_split(builder, "extra", heads)


def test_fingerprint_is_that_of_the_contents(builder, data_dir):
    again = dataset.open_builder("haa500/tiny", data_dir)
    assert dataset.fingerprint(builder) == dataset.fingerprint(again)
    assert len(dataset.fingerprint(builder)) == 16
