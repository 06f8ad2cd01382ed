import pytest

from haa_jax import paths


def test_home_and_file_are_resolved_and_buckets_left(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert paths.expand("~/runs/a") == "/home/someone/runs/a"
    assert paths.expand("file:///tmp/a%20b") == "/tmp/a b"
    assert paths.expand("file://localhost/tmp/a") == "/tmp/a"
    for same in ("gs://bucket/~/a", "/tmp/a%20b", "runs/~a", ""):
        assert paths.expand(same) == same


@pytest.mark.parametrize("path", ["file://server/a", "file:a", "~no_such_user/a"])
def test_places_that_are_not_here_are_named(path):
    with pytest.raises(paths.PathError, match=path):
        paths.expand(path)


def test_a_folder_is_made_or_the_reason_said(tmp_path, monkeypatch):
    paths.make_writable(tmp_path / "a" / "b", "--workdir")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(paths.PathError, match="--workdir=.*file cannot be used as a folder to write to: it is a file"):
        paths.make_writable(tmp_path / "file", "--workdir")

    def read_only(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths.tempfile, "TemporaryFile", read_only)
    with pytest.raises(paths.PathError, match="to write to: Permission denied"):
        paths.make_writable(tmp_path / "a", "--workdir")
