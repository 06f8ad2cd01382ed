import shutil
import subprocess

import pytest

from haa_jax.runtime import seal


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sealed" / "inner" / "deep").mkdir(parents=True)
    (tmp_path / "sealed" / "a").write_bytes(b"one")
    (tmp_path / "sealed" / "inner" / "b c").write_bytes(b"")
    (tmp_path / "sealed" / "inner" / "deep" / "d").write_bytes(bytes(range(256)) * 100)
    seal.seal(tmp_path / "sealed")
    return tmp_path / "sealed"


def test_a_sealed_folder_is_as_it_was(folder):
    assert seal.faults(folder) == []
    (folder / "_CHECKPOINT_METADATA").write_text("written later")
    assert seal.faults(folder) == []


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not installed")
def test_sha256sum_reads_it(folder):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", seal.SEAL_FILE], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["a: OK", "inner/b c: OK", "inner/deep/d: OK"]


def test_every_fault_is_named(folder):
    (folder / "a").write_bytes(b"two")
    (folder / "inner" / "b c").unlink()
    (folder / "new").write_bytes(b"")
    assert seal.faults(folder) == ["inner/b c is missing", f"new is not in {seal.SEAL_FILE}", "a is damaged"]


def test_any_bit_and_any_length(folder):
    """Every byte of a file and of the seal itself."""
    for name, places in [("inner/deep/d", range(0, 25600, 997)), (seal.SEAL_FILE, range(len(sums(folder))))]:
        whole = (folder / name).read_bytes()
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1 << (place % 8)
            (folder / name).write_bytes(changed)
            assert seal.faults(folder), (name, place)
            (folder / name).write_bytes(whole[:place])
            assert seal.faults(folder), (name, place)
        (folder / name).write_bytes(whole)
    assert seal.faults(folder) == []


def test_no_seal(folder):
    (folder / seal.SEAL_FILE).unlink()
    assert seal.faults(folder) == [f"{seal.SEAL_FILE} is missing"]


def test_a_note_is_added_to_what_is_sealed_and_half_of_it_is_none(folder):
    assert seal.note(folder) is None
    seal.add_note(folder, '{"4": 0.25}')
    assert seal.note(folder) == '{"4": 0.25}'
    assert seal.faults(folder) == []
    whole = (folder / seal.NOTE_FILE).read_bytes()
    for length in range(len(whole) - 1):  # without the newline it is whole still
        (folder / seal.NOTE_FILE).write_bytes(whole[:length])
        assert seal.note(folder) is None
        assert seal.faults(folder) == []
    for place in range(len(whole) - 1):
        (folder / seal.NOTE_FILE).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert seal.note(folder) is None
    seal.add_note(folder, "other")
    assert seal.note(folder) == "other"


def test_what_is_gone_is_noticed_without_reading(folder):
    seal.check_all_there(folder)
    (folder / "a").write_bytes(b"two")
    seal.check_all_there(folder)
    (folder / "inner" / "deep" / "d").unlink()
    with pytest.raises(FileNotFoundError, match="inner/deep/d is gone"):
        seal.check_all_there(folder)


def sums(folder) -> bytes:
    return (folder / seal.SEAL_FILE).read_bytes()
