import pathlib

import pytest

from haa_jax.runtime import paths


def test_home_and_file_are_resolved_and_buckets_left(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setattr(paths.importlib.util, "find_spec", lambda name: name)
    assert paths.expand("~/runs/a") == "/home/someone/runs/a"
    assert paths.expand("file:///tmp/a%20b") == "/tmp/a b"
    assert paths.expand("file://localhost/tmp/a") == "/tmp/a"
    assert paths.folder("file:///tmp/a%20b") / "c" == pathlib.Path("/tmp/a b/c")
    for same in ("gs://bucket/~/a", "/tmp/a%20b", "runs/~a", ""):
        assert paths.expand(same) == same


@pytest.mark.parametrize("path", ["file://server/a", "file:a", "~no_such_user/a"])
def test_places_that_are_not_here_are_named(path):
    with pytest.raises(paths.PathError, match=path):
        paths.expand(path)


def test_a_folder_that_cannot_be_used_is_named_with_the_reason(tmp_path, monkeypatch):
    paths.check_writable(tmp_path / "a" / "b", "--workdir")
    paths.check_writable(tmp_path, "--workdir")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(paths.PathError, match=rf"--workdir={folder} .* written to \S+/file \(it is a file\)"):
            paths.check_writable(folder, "--workdir")

    def read_only(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths.tempfile, "TemporaryFile", read_only)
    with pytest.raises(paths.PathError, match=rf"written to {tmp_path} \(Permission denied\)"):
        paths.check_writable(tmp_path / "a", "--workdir")


def test_a_bucket_is_not_taken_for_a_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(paths.absolute("gs://bucket/runs")) == "gs://bucket/runs"
    assert str(paths.absolute("runs")) == f"{tmp_path}/runs"


@pytest.mark.parametrize(
    ("path", "reason"), [("gs:/bucket/a", "names no bucket"), ("gs://bucket/a", r"haa_jax\[gcs\]")]
)
def test_what_a_bucket_lacks_is_named(path, reason, monkeypatch):
    monkeypatch.setattr(paths.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(paths.PathError, match=f"{path} .*{reason}"):
        paths.expand(path)
