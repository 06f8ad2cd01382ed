import numpy as np
import pytest
from etils import epath
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from haa_jax.reporting import curves


def write_events(path, rows) -> None:
    """rows: (step, tag, value), written as TensorFlow 2's summaries are."""
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        writer.write(event_pb2.Event(file_version="brain.Event:2").SerializeToString())
        for step, tag, value in rows:
            tensor = tensor_util.make_tensor_proto(value if isinstance(value, str) else np.float32(value))
            summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, tensor=tensor)])
            writer.write(event_pb2.Event(step=step, summary=summary).SerializeToString())
        writer.flush()


def test_the_later_file_of_a_resumed_run_counts(tmp_path):
    write_events(
        tmp_path / "events.out.tfevents.1.a", [(1, "train/loss", 3), (2, "train/loss", 2), (3, "train/loss", 9)]
    )
    write_events(tmp_path / "events.out.tfevents.2.a", [(3, "train/loss", 1.5), (4, "train/loss", float("nan"))])
    found, problems = curves.read(epath.Path(tmp_path), {}, "atomic_top1")
    assert found == {"train/loss": [(1, 3.0), (2, 2.0), (3, 1.5)]}
    assert problems == []


def test_what_a_killed_run_wrote_is_read_up_to_the_incomplete_record(tmp_path):
    path = tmp_path / "events.out.tfevents.1.a"
    write_events(path, [(1, "train/loss", 3), (2, "train/loss", 2), (3, "note", "text")])
    whole = path.read_bytes()
    assert curves.read(epath.Path(tmp_path), {}, "atomic_top1") == ({"train/loss": [(1, 3.0), (2, 2.0)]}, [])
    path.write_bytes(whole[:-60])
    found, problems = curves.read(epath.Path(tmp_path), {}, "atomic_top1")
    assert found["train/loss"][0] == (1, 3.0)
    assert len(problems) == 1
    assert "truncated" in problems[0]


def test_without_tensorboard_files_the_checkpoint_has_the_validation_scores(tmp_path):
    found, _ = curves.read(epath.Path(tmp_path), {"history": {"100": 0.5, "20": 0.25}}, "composite_top1")
    assert found == {"validation/composite_top1": [(20, 0.25), (100, 0.5)]}


@pytest.mark.parametrize("length", [1, 2, 399, 401, 5000])
def test_long_curves_are_thinned_and_keep_their_ends(length):
    curve = [(step, float(step)) for step in range(length)]
    found = curves.thinned(curve)
    assert len(found) == min(length, curves.MOST_POINTS)
    assert (found[0], found[-1]) == (curve[0], curve[-1])
    assert found == sorted(found)
