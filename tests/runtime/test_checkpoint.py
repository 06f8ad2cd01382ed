import shutil
import subprocess
import sys
import urllib.request

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath

from haa_jax.runtime import checkpoint, checkpoint_reader, mesh, seal
from haa_jax.runtime.checkpoint import DAMAGED_FOLDER, Checkpoints
from haa_jax.runtime.checkpoint_reader import CheckpointError, read, read_variables


def tree(value: float):
    return {"w": jnp.full((64, 64), value) + jnp.arange(64.0), "step": jnp.int32(value), "none": None}


ABSTRACT = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree(0))


def saved(workdir, steps, scores=None, keep=2):
    """Checkpoints of the steps, all on disk."""
    checkpoints = Checkpoints(workdir, keep)
    history = {}
    for step in steps:
        history |= {str(step): scores[step]} if step in (scores or {}) else {}
        checkpoints.save(step, tree(step), {"history": dict(history), "note": step})
    checkpoints.wait()
    checkpoints.close()


def restored_step(workdir):
    checkpoints = Checkpoints(workdir, keep=2)
    restored = checkpoints.restore_latest(ABSTRACT)
    checkpoints.close()
    return restored


def steps_on_disk(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())


def damage(file, how="flipped"):
    data = bytearray(file.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 0x01
        file.write_bytes(data)
    elif how == "truncated":
        file.write_bytes(data[: len(data) // 2])
    else:
        file.unlink()


def files_of(workdir, step):
    return sorted(path for path in (workdir / "checkpoints" / str(step)).rglob("*") if path.is_file())


def largest_file(workdir, step):
    """Other than the seal, which would accuse another."""
    files = [path for path in files_of(workdir, step) if path.name != seal.SEAL_FILE]
    return max(files, key=lambda path: path.stat().st_size)


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
    meta = checkpoints.restore_latest(ABSTRACT).meta
    assert checkpoints.best_step() == 2
    for step in (7, 8, 9):  # a restart does not forget which the best is
        checkpoints.save(step, tree(step), meta)
    checkpoints.close()
    assert steps_on_disk(tmp_path) == [2, 8, 9]


def test_the_later_one_of_equals_is_the_best(tmp_path):
    saved(tmp_path, [1, 2, 3, 4, 5], scores={1: 0.9, 2: 0.9, 3: 0.1}, keep=1)
    assert steps_on_disk(tmp_path) == [2, 5]


def test_saving_a_step_again_is_no_error(tmp_path):
    saved(tmp_path, [1, 1])
    saved(tmp_path, [1])
    assert restored_step(tmp_path).step == 1


def test_a_score_can_be_added_later_and_nothing_of_the_checkpoint_is_touched(tmp_path):
    saved(tmp_path, [1])
    before = contents(tmp_path)
    saved(tmp_path, [1], scores={1: 0.7})
    after = contents(tmp_path)
    assert after.items() > before.items()
    assert len(after) == len(before) + 1
    assert restored_step(tmp_path).meta["history"] == {"1": 0.7}
    assert read(tmp_path, ABSTRACT, best=True).step == 1


def test_a_score_that_was_cut_short_is_none_and_can_be_added_again(tmp_path, caplog):
    saved(tmp_path, [1])
    saved(tmp_path, [1], scores={1: 0.7})
    note = tmp_path / "checkpoints" / "1" / seal.NOTE_FILE
    note.write_text(note.read_text()[:-4])
    restored = restored_step(tmp_path)
    assert (restored.step, restored.meta["history"]) == (1, {})
    assert "is truncated or damaged" in caplog.text
    saved(tmp_path, [1], scores={1: 0.7})
    assert restored_step(tmp_path).meta["history"] == {"1": 0.7}


@pytest.mark.parametrize("how", ["truncated", "flipped", "deleted"])
def test_damage_to_any_file_is_noticed_and_the_checkpoint_before_is_used(tmp_path, caplog, how):
    saved(tmp_path / "good", [1, 2], scores={1: 0.5, 2: 0.6})
    names = [path.relative_to(tmp_path / "good") for path in files_of(tmp_path / "good", 2)]
    assert len(names) > 10
    for number, name in enumerate(names):
        workdir = tmp_path / str(number)
        shutil.copytree(tmp_path / "good", workdir)
        damage(workdir / name, how)
        caplog.clear()
        restored = restored_step(workdir)
        assert np.array_equal(restored.state["w"], tree(restored.step)["w"])
        if name.parent.name == "2" and name.name in seal.NOT_SEALED[1:]:  # Orbax's own notes: nothing is read from them
            assert restored.step == 2
            continue
        assert restored.step == 1, name
        assert "CHECKPOINT 2 IS DAMAGED" in caplog.text
        assert name.name in caplog.text or name.name == seal.SEAL_FILE  # which accuses another file
        assert [path.name.split("-")[0] for path in (workdir / DAMAGED_FOLDER).iterdir()] == ["2"]


def test_the_number_of_a_damaged_checkpoint_is_free_again(tmp_path):
    saved(tmp_path, [1, 2])
    damage(largest_file(tmp_path, 2))
    assert restored_step(tmp_path).step == 1
    saved(tmp_path, [2])
    assert restored_step(tmp_path).step == 2


def test_all_damaged_is_an_error_and_nothing_is_touched(tmp_path):
    saved(tmp_path, [1, 2])
    for step in (1, 2):
        damage(largest_file(tmp_path, step))
    with pytest.raises(CheckpointError, match=r"step 2: .*\n.*step 1: .*\n.*left as they are"):
        restored_step(tmp_path)
    assert steps_on_disk(tmp_path) == [1, 2]
    assert not (tmp_path / DAMAGED_FOLDER).exists()


def test_a_damaged_best_checkpoint_is_named(tmp_path):
    saved(tmp_path, [1, 2, 3], scores={1: 0.9, 2: 0.1}, keep=2)
    damage(largest_file(tmp_path, 1))
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.restore_latest(ABSTRACT).step == 3
    with pytest.raises(CheckpointError, match="checkpoint 1 in .* is damaged"):
        checkpoints.restore(checkpoints.best_step(), ABSTRACT)
    checkpoints.close()


def test_what_others_start_from_is_checked_too(tmp_path):
    saved(tmp_path, [1])
    damage(largest_file(tmp_path, 1))
    with pytest.raises(CheckpointError, match="checkpoint 1 in .* is damaged: state/.* is damaged$"):
        read_variables(tmp_path)
    gone = [file for file in files_of(tmp_path, 1) if "state" in file.parts]
    shutil.rmtree(tmp_path / "checkpoints" / "1" / "state")
    with pytest.raises(CheckpointError, match=f"is damaged: state/.* is missing, and {len(gone) - 1} more files$"):
        read_variables(tmp_path)


def test_a_checkpoint_of_another_model_is_an_error_that_moves_nothing(tmp_path):
    saved(tmp_path, [1])
    other = {**ABSTRACT, "w": jax.ShapeDtypeStruct((32, 64), jnp.float32, sharding=ABSTRACT["w"].sharding)}
    checkpoints = Checkpoints(tmp_path, keep=2)
    with pytest.raises(CheckpointError, match="new --workdir"):
        checkpoints.restore_latest(other)
    checkpoints.close()
    assert steps_on_disk(tmp_path) == [1]


def contents(workdir):
    return {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def test_reading_takes_the_newest_whole_one_and_changes_nothing(tmp_path, caplog):
    saved(tmp_path, [1, 2, 3], scores={1: 0.9, 2: 0.1}, keep=3)
    shutil.copytree(tmp_path / "checkpoints" / "3", tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp")  # being saved
    damage(largest_file(tmp_path, 3))
    before = contents(tmp_path)
    found = read(tmp_path, ABSTRACT)
    assert (found.step, found.newest, found.meta["note"]) == (2, 3, 2)
    assert np.array_equal(found.state["w"], tree(2)["w"])
    assert "CHECKPOINT 3 IS DAMAGED: state/" in caplog.text
    assert "left in place" in caplog.text
    assert read(tmp_path, ABSTRACT, best=True).step == 1
    with pytest.raises(CheckpointError, match="checkpoint 3 in .* is damaged: state/"):
        read_variables(tmp_path)
    assert contents(tmp_path) == before


def test_the_meta_is_that_of_the_newest_undamaged_checkpoint(tmp_path):
    saved(tmp_path, [1, 2], scores={1: 0.5, 2: 0.75})
    assert checkpoint_reader.read_meta(tmp_path) == {"history": {"1": 0.5, "2": 0.75}, "note": 2}
    damage(largest_file(tmp_path, 2))
    assert checkpoint_reader.read_meta(tmp_path) == {"history": {"1": 0.5}, "note": 1}


def test_reading_where_there_is_nothing_leaves_nothing(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        read(tmp_path / "none", ABSTRACT)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        read_variables(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_that_cannot_be_read_are_named(tmp_path):
    saved(tmp_path, [1, 2], scores={1: 0.5})
    other = {**ABSTRACT, "w": jax.ShapeDtypeStruct((32, 64), jnp.float32, sharding=ABSTRACT["w"].sharding)}
    with pytest.raises(CheckpointError, match="checkpoint 2 in .* cannot be restored: .*"):
        read(tmp_path, other)
    damage(largest_file(tmp_path, 1))
    with pytest.raises(CheckpointError, match="checkpoint 1 in .* is damaged"):
        read(tmp_path, ABSTRACT, best=True)
    damage(largest_file(tmp_path, 2))
    with pytest.raises(CheckpointError, match=r"all checkpoints in .*\n  step 2: .*\n  step 1: .*\n.*left as they are"):
        read(tmp_path, ABSTRACT)
    saved(tmp_path / "unscored", [1])
    with pytest.raises(CheckpointError, match="best .* asked for, but none in .* has a validation score"):
        read(tmp_path / "unscored", ABSTRACT, best=True)


@pytest.mark.parametrize("when", ["before it is read", "while it is read"])
def test_a_checkpoint_that_the_training_deletes_meanwhile_is_not_believed(tmp_path, monkeypatch, caplog, when):
    saved(tmp_path, [1, 2])
    saved(tmp_path / "training", [3])
    folder, restore, tried = tmp_path / "checkpoints", checkpoint_reader.state_and_meta, []

    def while_the_training_goes_on(path, abstract):
        tried.append(path.name)
        if path.name == "2" and when == "before it is read":
            shutil.rmtree(folder / "2")
        state_and_meta = restore(path, abstract)
        if path.name == "2":
            largest_file(tmp_path, 2).unlink()  # the first of its files to go
        if len(tried) == 1:
            (tmp_path / "training" / "checkpoints" / "3").rename(folder / "3")
        return state_and_meta

    def deletes_first(path, abstract):
        try:
            return while_the_training_goes_on(path, abstract)
        finally:
            new = tmp_path / "training" / "checkpoints" / "3"
            if new.exists():
                new.rename(folder / "3")

    monkeypatch.setattr(checkpoint_reader, "state_and_meta", deletes_first)
    found = read(tmp_path, ABSTRACT)
    assert tried == ["2", "3"]
    assert found.step == 3
    assert np.array_equal(found.state["w"], tree(3)["w"])
    assert "DAMAGED" not in caplog.text


TRAINING = """
import itertools, sys, threading
from haa_jax.runtime.checkpoint import Checkpoints
from tests.runtime.test_checkpoint import tree
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
checkpoints, history = Checkpoints(sys.argv[1], 2), {}
for step in itertools.count():
    history[str(step)] = step * 7 % 10 / 10
    checkpoints.save(step, tree(step), {"history": dict(history)})
    if step == 1:
        print("going", flush=True)
    if step > 1 and stop.is_set():
        break
checkpoints.wait()
checkpoints.close()
print(step)
"""


def test_twenty_readers_during_a_training_that_saves_all_the_time(tmp_path):
    training = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert training.stdout.readline() == "going\n"
        steps = []
        for number in range(20):
            found = read(tmp_path, ABSTRACT, best=number % 2 == 1)
            assert np.array_equal(found.state["w"], tree(found.step)["w"])
            steps.append(found.step)
        last, _ = training.communicate("", timeout=60)
    finally:
        training.kill()
        training.wait()
    assert training.returncode == 0
    assert steps[::2] == sorted(steps[::2])
    assert steps[0] < steps[18]  # it did save meanwhile
    kept = steps_on_disk(tmp_path)
    assert kept[-1] == int(last)
    assert [seal.faults(tmp_path / "checkpoints" / str(step)) for step in kept] == [[]] * len(kept)


def test_what_a_killed_save_leaves_is_not_a_checkpoint(tmp_path):
    saved(tmp_path, [1])
    (tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp").mkdir()
    assert restored_step(tmp_path).step == 1


def test_other_numbers_of_devices_restore_the_same_bits(tmp_path, monkeypatch):
    """8 devices that share parameters, then 2, then 1."""
    monkeypatch.setattr(mesh, "MIN_SHARDED_BYTES", 1)
    for number, (devices, ways) in enumerate([(8, 4), (2, 2), (1, 1)]):
        device_mesh = mesh.make_mesh(ways, jax.devices()[:devices])
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree(0))
        shardings = mesh.state_shardings(shapes, device_mesh)
        wanted = jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, shardings)
        checkpoints = Checkpoints(tmp_path, keep=3)
        restored = checkpoints.restore_latest(wanted)
        state = restored.state if restored else jax.device_put(tree(5), shardings)
        assert state["w"].sharding == shardings["w"]
        assert len(state["w"].sharding.device_set) == devices
        assert np.array_equal(state["w"], tree(5)["w"])
        checkpoints.save(number, state, {"history": {}})
        checkpoints.wait()
        checkpoints.close()


@pytest.mark.slow
def test_in_a_bucket_a_damaged_checkpoint_is_moved_aside_and_the_one_before_restored(bucket):
    workdir = epath.Path(bucket) / "runs" / "a"
    saved(workdir, [1, 2, 3], keep=3)
    files = seal.all_files(workdir / "checkpoints" / "3")
    damage(files[max((name for name in files if "/d/" in name), key=lambda name: files[name].stat().length)])
    restored = restored_step(workdir)
    assert restored.step == 2
    assert np.array_equal(restored.state["w"], tree(2)["w"])
    assert seal.all_files(workdir / DAMAGED_FOLDER / "3-0").keys() == files.keys()
    assert checkpoint_reader.steps_in(workdir / "checkpoints") == [1, 2]


@pytest.mark.slow
def test_in_a_bucket_a_checkpoint_without_its_mark_is_none_and_is_removed(bucket):
    """As a run leaves it that is killed before the end of a save."""
    workdir = epath.Path(bucket)
    saved(workdir, [1, 2])
    (workdir / "checkpoints" / "2" / seal.COMMITTED).unlink()
    assert checkpoint_reader.steps_in(workdir / "checkpoints") == [1]
    assert read(workdir, ABSTRACT).step == 1
    assert (workdir / "checkpoints" / "2").exists()  # a reader changes nothing
    assert restored_step(workdir).step == 1
    assert not (workdir / "checkpoints" / "2").exists()


def test_a_folder_that_is_gone_while_it_is_listed_is_opened_as_a_new_one(tmp_path, monkeypatch):
    opened, gone = checkpoint.ocp.CheckpointManager, iter([True, False])

    def manager(folder, **options):
        if next(gone):
            raise FileNotFoundError(folder)
        return opened(folder, **options)

    monkeypatch.setattr(checkpoint.ocp, "CheckpointManager", manager)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(1, tree(1), {"history": {}})
    checkpoints.close()
    assert checkpoint_reader.steps_in(tmp_path / "checkpoints") == [1]


@pytest.mark.slow
def test_in_a_bucket_a_run_starts_after_one_that_was_killed_in_its_first_save(bucket, object_store):
    """Orbax removes the half-written checkpoint, the only thing in the folder, while it lists the folder."""
    urllib.request.urlopen(f"{object_store}/control?delay=0.02", data=b"").read()
    for number in range(20):
        workdir = epath.Path(bucket) / str(number)
        for name in ("array", "other"):
            (workdir / "checkpoints" / "2" / "state" / name).write_text(name)
        checkpoints = Checkpoints(workdir, keep=2)
        assert checkpoints.restore_latest(ABSTRACT) is None
        checkpoints.close()


@pytest.mark.slow
def test_a_folder_of_a_bucket_is_moved_though_requests_fail(bucket, object_store):
    folder, target = epath.Path(bucket) / "from", epath.Path(bucket) / "to"
    names = [f"{number}/file" for number in range(6)]
    for name in names:
        (folder / name).write_text(name)
    urllib.request.urlopen(f"{object_store}/control?fail=0.2", data=b"").read()
    checkpoint._move(folder, target)
    urllib.request.urlopen(f"{object_store}/control?fail=0", data=b"").read()
    assert {name: path.read_text() for name, path in seal.all_files(target).items()} == {name: name for name in names}
    assert not folder.exists()
