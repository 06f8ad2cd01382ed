import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax.checkpoint import DAMAGED_FOLDER, CheckpointError, Checkpoints


def tree(value: float):
    return {"w": jnp.full((64, 64), value) + jnp.arange(64.0), "step": jnp.int32(value), "none": None}


ABSTRACT = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree(0))


def saved(workdir, steps, scores=None, keep=2):
    """Checkpoints of the steps, all on disk."""
    checkpoints = Checkpoints(workdir, keep)
    for step in steps:
        checkpoints.save(step, tree(step), {"history": {}, "note": step}, (scores or {}).get(step))
    checkpoints.wait()
    checkpoints.close()


def restored_step(workdir):
    checkpoints = Checkpoints(workdir, keep=2)
    restored = checkpoints.restore_latest(ABSTRACT)
    checkpoints.close()
    return restored


def steps_on_disk(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())


def damage(workdir, step):
    """Flips a byte in the largest file of a checkpoint."""
    files = [path for path in (workdir / "checkpoints" / str(step)).rglob("*") if path.is_file()]
    file = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def test_round_trip(tmp_path):
    saved(tmp_path, [3])
    restored = restored_step(tmp_path)
    assert (restored.step, restored.meta["note"]) == (3, 3)
    assert np.array_equal(restored.state["w"], tree(3)["w"])
    assert restored.state["none"] is None


def test_nothing_there(tmp_path):
    assert restored_step(tmp_path) is None


def test_the_latest_and_the_best_are_kept(tmp_path):
    saved(tmp_path, [1, 2, 3, 4, 5, 6], scores={1: 0.2, 2: 0.9, 4: 0.5, 6: 0.1}, keep=2)
    assert steps_on_disk(tmp_path) == [2, 5, 6]
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.best_step() == 2
    checkpoints.close()


def test_saving_a_step_again_is_no_error(tmp_path):
    saved(tmp_path, [1, 1])
    saved(tmp_path, [1])
    assert restored_step(tmp_path).step == 1


def test_a_score_can_be_added_later(tmp_path):
    saved(tmp_path, [1, 2])
    saved(tmp_path, [1, 2], scores={1: 0.7})
    saved(tmp_path, [3, 4, 5])
    assert steps_on_disk(tmp_path) == [1, 4, 5]


def test_a_damaged_newest_checkpoint_is_moved_aside_loudly(tmp_path, caplog):
    saved(tmp_path, [1, 2])
    damage(tmp_path, 2)
    with caplog.at_level(logging.WARNING, logger="haa_jax"):
        assert restored_step(tmp_path).step == 1
    assert "CHECKPOINT 2 CANNOT BE RESTORED" in caplog.text
    assert [path.name.split("-")[0] for path in (tmp_path / DAMAGED_FOLDER).iterdir()] == ["2"]
    saved(tmp_path, [2])  # its number is free again
    assert restored_step(tmp_path).step == 2


def test_all_damaged_is_an_error_and_nothing_is_touched(tmp_path):
    saved(tmp_path, [1, 2])
    damage(tmp_path, 1)
    damage(tmp_path, 2)
    with pytest.raises(CheckpointError, match=r"step 2: .*\n.*step 1: "):
        restored_step(tmp_path)
    assert steps_on_disk(tmp_path) == [1, 2]
    assert not (tmp_path / DAMAGED_FOLDER).exists()


def test_a_checkpoint_of_another_model_is_an_error_that_moves_nothing(tmp_path):
    saved(tmp_path, [1])
    other = {**ABSTRACT, "w": jax.ShapeDtypeStruct((32, 64), jnp.float32, sharding=ABSTRACT["w"].sharding)}
    checkpoints = Checkpoints(tmp_path, keep=2)
    with pytest.raises(CheckpointError, match="new --workdir"):
        checkpoints.restore_latest(other)
    checkpoints.close()
    assert steps_on_disk(tmp_path) == [1]


def test_what_a_killed_save_left_behind_is_not_a_checkpoint(tmp_path):
    saved(tmp_path, [1])
    (tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp").mkdir()
    assert restored_step(tmp_path).step == 1
