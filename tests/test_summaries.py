import itertools
import pathlib

import jax
import pytest
from etils import epath
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from haa_jax import summaries
from tfds_haa500.runtime.disk import is_full_disk

FULL = pathlib.Path("/dev/full")


def points(folder) -> list[tuple[str, int, float]]:
    """What TensorBoard shows: (tag, step, value)."""
    events = EventAccumulator(str(folder)).Reload()
    found = [(tag, event) for tag in events.Tags()["tensors"] for event in events.Tensors(tag)]
    return [(tag, event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for tag, event in found]


def test_tensorboard_shows_what_was_written_while_the_run_goes_on(tmp_path):
    with summaries.metric_writer(tmp_path) as writer:
        writer.write_scalars(3, {"train/loss": 0.25, "train/accuracy": 1.0})
        writer.write_scalars(2**40, {"train/loss": float("inf")})
        assert sorted(points(tmp_path)) == [
            ("train/accuracy", 3, 1.0),
            ("train/loss", 3, 0.25),
            ("train/loss", 2**40, float("inf")),
        ]


def test_a_plugin_knows_its_values_and_the_file_its_version(tmp_path):
    with summaries.metric_writer(tmp_path) as writer:
        writer.write_scalars(3, {"train/loss": 0.25})
    version, scalars = EventFileLoader(str(*tmp_path.iterdir())).Load()
    assert version.file_version == "brain.Event:2"
    assert scalars.summary.value[0].metadata.plugin_data.plugin_name == "scalars"
    assert 0 <= scalars.wall_time - version.wall_time < 60


def test_each_start_has_a_file_of_its_own_and_the_later_one_comes_later(tmp_path, monkeypatch):
    monkeypatch.setattr(summaries, "_numbers", itertools.count(9))  # the names of numbers 9 and 10 must sort, too
    monkeypatch.setattr(summaries.time, "time", lambda: 1e9)
    for step in range(3):
        with summaries.metric_writer(tmp_path) as writer:
            writer.write_scalars(step, {"train/loss": step})
    assert points(tmp_path) == [("train/loss", step, step) for step in range(3)]
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 3


def test_a_start_that_goes_on_from_an_earlier_step_replaces_what_was_written_after_it(tmp_path):
    for first, loss in ((1, 0.5), (3, 0.25)):
        with summaries.metric_writer(tmp_path) as writer:
            writer.begin(first)
            for step in range(first, 5):
                writer.write_scalars(step, {"train/loss": loss})
    assert points(tmp_path) == [("train/loss", step, loss) for step, loss in enumerate((0.5, 0.5, 0.25, 0.25), 1)]


def test_an_incomplete_last_record_does_no_harm(tmp_path):
    with summaries.metric_writer(tmp_path) as writer:
        writer.write_scalars(1, {"train/loss": 0.5})
        writer.write_scalars(2, {"train/loss": 0.25})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert points(tmp_path) == [("train/loss", 1, 0.5)]


def test_in_a_bucket_each_report_can_be_read_while_the_run_goes_on(bucket, tmp_path):
    with summaries.metric_writer(bucket) as writer:
        for step in range(3):
            writer.write_scalars(step, {"train/loss": step})
            (file,) = epath.Path(bucket).iterdir()
            (tmp_path / file.name).write_bytes(file.read_bytes())
            assert points(tmp_path) == [("train/loss", done, done) for done in range(step + 1)]


def test_only_process_0_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with summaries.metric_writer(tmp_path) as writer:
        writer.write_scalars(1, {"train/loss": 0.5})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_is_an_error_but_not_in_place_of_another(monkeypatch):
    monkeypatch.setattr(summaries, "_new_name", lambda: FULL.name)
    with pytest.raises(OSError, match="No space left") as full, summaries.metric_writer(FULL.parent) as writer:
        writer.write_scalars(1, {"train/loss": 0.5})
    assert is_full_disk(full.value)
    with pytest.raises(OSError, match="No space left"), summaries.metric_writer(FULL.parent):
        pass  # closing has the first record to write
    with pytest.raises(KeyError), summaries.metric_writer(FULL.parent):
        raise KeyError
