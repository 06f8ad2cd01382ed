import pytest

from haa_jax import paths


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~/runs/a", "/home/someone/runs/a"),
        ("file:///tmp/runs", "/tmp/runs"),
        ("file:///tmp/my%20runs", "/tmp/my runs"),
        ("file://~/runs", "/home/someone/runs"),
        ("/tmp/a~b%20c", "/tmp/a~b%20c"),
        ("runs/a", "runs/a"),
    ],
)
def test_folders_as_people_give_them(monkeypatch, given, path):
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(paths.folder(given)) == path
