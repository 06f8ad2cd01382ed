import pytest
from etils import epath

from haa_jax.runtime.files import atomic_write


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "figures.json"
    with atomic_write(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(path):
    with atomic_write(path) as file:
        file.write(b"half of")
        raise KeyError


def test_an_error_leaves_the_file_before_and_nothing_else(tmp_path):
    path = tmp_path / "figures.json"
    path.write_bytes(b"before")
    with pytest.raises(KeyError):
        fail_halfway(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "figures.json"
    with atomic_write(path) as one, atomic_write(path) as other:
        one.write(b"one")
        other.write(b"other")
    assert path.read_bytes() == b"one"  # the last to finish


def test_an_object_of_a_bucket_is_written_whole_or_not_at_all(bucket):
    path = epath.Path(bucket) / "figures.json"
    for content in (b"first", b"second"):
        with atomic_write(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    with pytest.raises(KeyError):
        fail_halfway(path)
    assert path.read_bytes() == b"second"
    assert [found.name for found in path.parent.iterdir()] == ["figures.json"]
