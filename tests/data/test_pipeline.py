import itertools
import threading
import types
import weakref

import numpy as np
import pytest

from haa_jax.data import dataset, pipeline, sampling
from haa_jax.learning import objectives
from haa_jax.streams import images
from tests.conftest import CLASSES

ALONE = pipeline.ProcessShard()


@pytest.fixture(scope="module")
def builder(data_dir):
    return dataset.open_builder("haa500/tiny", data_dir)


@pytest.fixture
def train_split(builder):
    heads = objectives.make_heads("joint", dataset.read_taxonomy(builder))
    return dataset.open_split(builder, "train", heads)


def take(split, config, steps, start=0, shard=ALONE, batch_size=8, seed=1):
    batches = pipeline.train_batches(split, config, batch_size, seed, start, shard)
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


def test_a_resumed_run_gets_the_batches_that_would_have_come_next(train_split, tiny_config):
    straight = take(train_split, tiny_config.data, 12)
    assert_equal(straight[9:], take(train_split, tiny_config.data, 3, start=9))
    assert not np.array_equal(straight[0]["clips"]["rgb"], straight[8]["clips"]["rgb"])  # next epoch, other draws


def test_threads_and_prefetch_change_nothing(train_split, tiny_config):
    reference = take(train_split, tiny_config.data, 4)
    for threads, prefetch in [(1, 1), (5, 3), (3, 9)]:
        tiny_config.data.threads, tiny_config.data.prefetch = threads, prefetch
        assert_equal(reference, take(train_split, tiny_config.data, 4))


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_one_global_order(train_split, tiny_config, processes):
    whole = take(train_split, tiny_config.data, 3)
    parts = [
        take(train_split, tiny_config.data, 3, shard=pipeline.ProcessShard(p, processes)) for p in range(processes)
    ]
    for step, batch in enumerate(whole):
        assert np.array_equal(batch["clips"]["rgb"], np.concatenate([part[step]["clips"]["rgb"] for part in parts]))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_together_see_every_clip_of_an_epoch_once(train_split, tiny_config, processes, monkeypatch):
    seen = []
    monkeypatch.setattr(pipeline, "train_clip", lambda example, *_: seen.append(example["clip_id"].decode()))
    tiny_config.data.prefetch, tiny_config.data.threads = 0, 1
    for start in (0, 8):  # the first epoch of 8 batches, and one after a restart
        for process in range(processes):
            take(train_split, tiny_config.data, 8, start, pipeline.ProcessShard(process, processes))
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


def test_frames_are_those_that_were_sampled(train_split, tiny_config):
    """Frame t of a test clip is brighter by 4 t: its brightness identifies the frame."""
    tiny_config.data.flip = False
    tiny_config.data.resize = tiny_config.data.crop = 48
    tiny_config.data.frames, tiny_config.data.stride, tiny_config.data.temporal_padding = 6, 2, "loop"
    split = train_split
    clips, examples = sampling.batch_clips(1, 0, 8, len(split))
    (batch,) = take(split, tiny_config.data, 1)
    for row, clip, example in zip(batch["clips"]["rgb"], clips, examples, strict=True):
        num_frames = int(split.index.num_frames[clip])
        rng = sampling.example_rng(1, int(example))
        expected = sampling.train_positions(num_frames, 0.0, tiny_config.data, rng)
        brightness = row.astype(float).mean((1, 2, 3))
        found = expected[0] + np.round((brightness - brightness[0]) / 4)
        assert list(found) == list(expected)


@pytest.fixture
def test_split(builder):
    return dataset.open_split(builder, "test", objectives.make_heads("atomic", dataset.read_taxonomy(builder)))


@pytest.mark.parametrize("views", [pipeline.Views(), pipeline.Views(2, 3), pipeline.Views(0, 3)])
@pytest.mark.parametrize("batch_size", [1, 5, 8, 64])
@pytest.mark.parametrize("processes", [1, 2, 5])
def test_evaluation_sees_every_view_of_every_clip_once(test_split, tiny_config, batch_size, processes, views):
    batch_size *= processes
    shards = [pipeline.ProcessShard(p, processes) for p in range(processes)]
    runs = [list(pipeline.eval_batches(test_split, tiny_config.data, views, batch_size, s)) for s in shards]
    num_views = pipeline.num_views(test_split.index.num_frames, tiny_config.data, views)
    windows = [views.windows or -(-frames // 4) for frames in test_split.index.num_frames.tolist()]
    assert num_views.tolist() == [views.crops * each for each in windows]
    assert {len(run) for run in runs} == {pipeline.num_eval_batches(num_views, batch_size, shard) for shard in shards}
    rows = [[row for batch in run for row in numbers(batch)] for run in runs]
    assert sorted(itertools.chain(*rows)) == [(clip, view) for clip in range(12) for view in range(num_views[clip])]
    for own, other in itertools.combinations(rows, 2):
        assert not {clip for clip, _ in own} & {clip for clip, _ in other}  # each clip is decoded in one process
    for batch in itertools.chain.from_iterable(runs):
        assert batch["clips"]["rgb"].shape == (batch_size // processes, 4, 32, 32, 3)
        assert not batch["clips"]["rgb"][~batch["mask"]].any()


def numbers(batch) -> list[tuple[int, int]]:
    """(clip, view) of the rows of a batch that are not padding."""
    rows = zip(batch["index"], batch["view"], batch["mask"], strict=True)
    return [(int(clip), int(view)) for clip, view, real in rows if real]


def test_views(test_split, tiny_config):
    (batch,) = pipeline.eval_batches(test_split, tiny_config.data, pipeline.Views(3, 3), 9 * 12, ALONE)
    assert batch["clips"]["rgb"].shape == (9 * 12, 4, 32, 32, 3)
    for clip in range(12):
        views = batch["clips"]["rgb"][9 * clip : 9 * clip + 9].astype(float)
        brightness = views.mean((1, 2, 3, 4)).reshape(3, 3)
        assert (np.diff(brightness, axis=0) > 10).all()  # later windows are brighter
        assert (np.diff(brightness, axis=1) > 1).all()  # crops further right too


@pytest.mark.parametrize("prefetch", [1, 4])
def test_views_are_the_same_in_batches_of_any_size(test_split, tiny_config, prefetch):
    views = pipeline.Views(5, 3)
    (whole,) = pipeline.eval_batches(test_split, tiny_config.data, views, 15 * 12, ALONE)
    tiny_config.data.prefetch, tiny_config.data.threads = prefetch, 5
    parts = list(pipeline.eval_batches(test_split, tiny_config.data, views, 7, ALONE))
    together = np.concatenate([part["clips"]["rgb"][part["mask"]] for part in parts])
    assert np.array_equal(together, whole["clips"]["rgb"])


def test_a_clip_whose_views_are_spread_over_batches_is_read_and_decoded_once(test_split, tiny_config, monkeypatch):
    read, decoded = [], []
    reader, decode = type(test_split.reader), images.decode
    getitem = reader.__getitem__
    monkeypatch.setattr(reader, "__getitem__", lambda self, clip: read.append(clip) or getitem(self, clip))
    monkeypatch.setattr(images, "decode", lambda jpeg, **kw: decoded.append(jpeg) or decode(jpeg, **kw))
    tiny_config.data.threads = 4
    for _ in pipeline.eval_batches(test_split, tiny_config.data, pipeline.Views(0, 3), 4, ALONE):
        pass
    assert sorted(read) == list(range(12))
    assert len(decoded) == test_split.index.num_frames.sum()


@pytest.mark.parametrize("views", [pipeline.Views(8, 3), pipeline.Views(80, 3)])
def test_memory_in_flight_does_not_grow_with_the_number_of_views(test_split, tiny_config, monkeypatch, views):
    """Every array of a batch and every decoded picture that is alive at once, counted as each is made."""
    alive, most = weakref.WeakSet(), [0]

    class Counted(np.ndarray):
        """An array that a WeakSet can hold: by identity."""

        __hash__ = object.__hash__
        __eq__ = object.__eq__

    def counted(array):
        array = array.view(Counted)
        alive.add(array)
        most[0] = max(most[0], sum(array.nbytes for array in list(alive)))
        return array

    decode, empty = images.decode, pipeline.empty_clips
    monkeypatch.setattr(images, "decode", lambda *args, **kw: counted(decode(*args, **kw)))
    monkeypatch.setattr(
        pipeline, "empty_clips", lambda *args: {name: counted(array) for name, array in empty(*args).items()}
    )
    data = tiny_config.data
    data.resize, data.crop, data.prefetch, data.threads = 48, 32, 2, 1  # as stored: pictures are not scaled
    for batch in pipeline.eval_batches(test_split, data, views, 6, ALONE):
        del batch
    view, picture = 4 * 32 * 32 * 3, 48 * 64 * 3
    batches = 2 + 1  # those ahead and the next
    assert most[0] <= batches * 6 * view + 5 * picture  # of a clip of up to 24 frames, those of one window
    assert most[0] > 2 * 6 * view + 3 * picture  # it counts


def test_an_evaluation_that_is_left_early_leaves_no_thread(test_split, tiny_config):
    before = threading.active_count()
    batches = pipeline.eval_batches(test_split, tiny_config.data, pipeline.Views(9, 3), 4, ALONE)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_views_at_test_have_their_own_frames_and_sizes(test_split, tiny_config):
    assert pipeline.at_test(tiny_config.data, tiny_config.eval) == tiny_config.data  # 0: as in training
    tiny_config.eval.frames, tiny_config.eval.resize, tiny_config.eval.crop = 6, 44, 40
    at_test = pipeline.at_test(tiny_config.data, tiny_config.eval)
    assert (at_test.frames, at_test.resize, at_test.crop, at_test.stride) == (6, 44, 40, tiny_config.data.stride)
    assert (tiny_config.data.frames, tiny_config.data.resize, tiny_config.data.crop) == (4, 36, 32)
    (batch,) = pipeline.eval_batches(test_split, at_test, pipeline.Views(), 12, ALONE)
    assert batch["clips"]["rgb"].shape == (12, 6, 40, 40, 3)


def test_an_area_keeps_its_clips_and_classes_only(builder):
    taxonomy = dataset.read_taxonomy(builder)
    (head,) = objectives.make_heads("atomic", taxonomy, "musical_instruments")
    split = dataset.open_split(builder, "train", (head,), "musical_instruments")
    assert len(head.classes) == 51
    assert {clip_id[:-4] for clip_id in split.index.clip_id} == {"play_erhu"}
    assert {head.classes[label] for label in split.labels["atomic"]} == {"play_erhu"}


def test_errors_reach_the_consumer(train_split, tiny_config, monkeypatch):
    monkeypatch.setattr(images, "decode", lambda *_: (_ for _ in ()).throw(ValueError("bad frame")))
    with pytest.raises(ValueError, match="bad frame"):
        take(train_split, tiny_config.data, 1)


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("extra", "has no extra split, only train, validation, test$"),
        ("test", "has no test split, only train, validation: set config.eval.split=validation$"),
        (
            "validation",
            "no validation split, only train, test: set config.eval.every_epochs=0 and config.eval.split=test",
        ),
    ],
)
def test_a_split_that_the_dataset_lacks(builder, lacking, message):
    splits = {name: info for name, info in builder.info.splits.items() if name != lacking}
    without = types.SimpleNamespace(info=types.SimpleNamespace(splits=splits, full_name="haa500/tiny/1.1.0"))
    with pytest.raises(dataset.DatasetError, match=message):
        dataset.open_split(without, lacking, ())
