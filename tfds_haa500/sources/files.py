"""Files of a data set, in a folder or inside a zip file: nothing is ever unpacked to disk."""

import collections
import dataclasses
import functools
import lzma
import struct
import zipfile
import zlib

from etils import epath

# A member that unpacks to more than this is a zip bomb, not a clip: the longest real clip has 757 frames.
MAX_FILE_BYTES = 1 << 30
# What zipfile raises, besides BadZipFile, for members that are damaged, encrypted or packed by unknown methods.
ZIP_DAMAGE = (zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
UNREADABLE = (OSError, zipfile.BadZipFile)  # what reading a `File` raises


@dataclasses.dataclass(frozen=True)
class File:
    """A file or folder at `path` inside `root`, a folder or a zip file: plain strings, cheap to send to a process."""

    root: str
    path: str

    def __truediv__(self, name: str) -> "File":
        return File(self.root, f"{self.path}/{name}")

    @property
    def in_zip(self) -> bool:
        """Whether `root` is a zip file."""
        return self.root.endswith(".zip") and not epath.Path(self.root).is_dir()

    @property
    def local(self) -> epath.Path:
        """The path on disk; for files that are not in a zip file."""
        return epath.Path(self.root) / self.path

    def read_bytes(self) -> bytes:
        """The file's contents.

        Raises:
          OSError, zipfile.BadZipFile: the file cannot be read, is larger than any clip, or fails its checksum.
        """
        if not self.in_zip:
            return self.local.read_bytes()
        packed = open_zip(self.root)
        size = packed.getinfo(self.path).file_size
        if size > MAX_FILE_BYTES:
            raise OSError(f"unpacks to {size} bytes, more than any clip ({MAX_FILE_BYTES})")
        try:
            return packed.read(self.path)
        except ZIP_DAMAGE as error:
            raise zipfile.BadZipFile(f"cannot be unpacked ({str(error) or type(error).__name__})") from error

    def names(self) -> list[str]:
        """The names of the files in this folder."""
        if not self.in_zip:
            return [entry.name for entry in self.local.iterdir()]
        return _zip_folders(self.root).get(self.path, [])


def locate(root: epath.Path | zipfile.Path, path: str) -> File:
    """What is at `path` in a folder or an open zip file."""
    if isinstance(root, zipfile.Path):
        return File(str(root.root.filename), (root / path).at.rstrip("/"))
    return File(str(root), path)


@functools.lru_cache(maxsize=2)
def open_zip(path: str) -> zipfile.ZipFile:
    """A zip file, opened once a process; errors as zipfile.ZipFile and ZIP_DAMAGE."""
    return zipfile.ZipFile(path if epath.Path(path).exists() and "://" not in path else epath.Path(path).open("rb"))


@functools.lru_cache(maxsize=2)
def _zip_folders(path: str) -> dict[str, list[str]]:
    """The names of the files in every folder of a zip file."""
    folders = collections.defaultdict(list)
    for name in open_zip(path).namelist():
        folder, _, file = name.rpartition("/")
        if file:
            folders[folder].append(file)
    return folders
