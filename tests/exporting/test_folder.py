"""An export is written whole or not at all, and replaces nothing but an export."""

import pytest

from haa_jax.exporting import folder

FILES = {name: name.encode() for name in folder.FILES}


def names(path):
    return sorted(file.name for file in path.iterdir())


def written(out, files):
    with folder.temporary(out) as made:
        folder.write(made, files)
        folder.publish(made, out)


def test_a_new_folder_and_one_that_replaces_it(tmp_path):
    out = folder.check_out(str(tmp_path / "new" / "export"))
    written(out, FILES)
    assert names(out) == sorted(folder.FILES)
    written(folder.check_out(str(out)), {"load.py": b"other"})
    assert (out / "load.py").read_bytes() == b"other"
    assert names(out) == ["load.py"]
    assert names(out.parent) == ["export"]


def failing(out):
    with folder.temporary(out) as made:
        folder.write(made, {"load.py": b"other"})
        raise RuntimeError("checks")


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    written(tmp_path / "export", FILES)
    with pytest.raises(RuntimeError, match="checks"):
        failing(tmp_path / "export")
    assert names(tmp_path) == ["export"]
    assert (tmp_path / "export" / "load.py").read_bytes() == b"load.py"


def test_other_folders_are_not_replaced(tmp_path):
    written(tmp_path / "export", FILES)
    (tmp_path / "export" / "notes.txt").touch()
    with pytest.raises(folder.ExportError, match=r"holds notes.txt, so it is not an export"):
        folder.check_out(str(tmp_path / "export"))
    (tmp_path / "file").touch()
    with pytest.raises(folder.ExportError, match="is a file or a link"):
        folder.check_out(str(tmp_path / "file"))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(folder.ExportError, match="is a file or a link"):
        folder.check_out(str(tmp_path / "link"))
    with pytest.raises(folder.ExportError, match="must be a folder on this machine"):
        folder.check_out("gs://bucket/export")


def test_an_older_export_is_kept_if_it_cannot_be_replaced(tmp_path, monkeypatch):
    written(tmp_path / "export", FILES)
    rename = type(tmp_path).rename

    def full(self, target):
        if self.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", full)
    with pytest.raises(folder.ExportError, match="No space left on device"):
        written(tmp_path / "export", {"load.py": b"other"})
    assert names(tmp_path) == ["export"]
    assert (tmp_path / "export" / "load.py").read_bytes() == b"load.py"
