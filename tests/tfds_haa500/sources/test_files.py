"""Files in folders and zip files."""

import zipfile

import pytest

from tfds_haa500.sources import files


def test_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("video/a/a_000.mp4", bytes(1000))
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 999)
    with pytest.raises(OSError, match="unpacks to 1000 bytes"):
        files.File(str(path), "video/a/a_000.mp4").read_bytes()
