"""The seal of a folder: the SHA-256 of every file in it, so that damage is detected before a file is used.

The format is that of `sha256sum`, so `sha256sum --check` reads it too. What becomes known after sealing is added as a
note with a checksum of its own, without touching any other file of the folder.
"""

import hashlib
import logging

from etils import epath

log = logging.getLogger(__name__)

SEAL_FILE = "SHA256SUMS"
NOTE_FILE = "NOTE"
COMMITTED = "commit_success.txt"  # only in buckets
# Orbax writes the last two after sealing, to mark the checkpoint as complete; nothing else is read from them.
NOT_SEALED = (SEAL_FILE, NOTE_FILE, "_CHECKPOINT_METADATA", COMMITTED)
_CHUNK = 1 << 24  # bytes


def seal(folder: epath.PathLike) -> None:
    """Writes the checksums of all files of a folder, including its subfolders, to `SEAL_FILE`."""
    folder = epath.Path(folder)
    lines = [f"{_sha256(path)}  {name}\n" for name, path in sorted(_files(folder).items())]
    (folder / SEAL_FILE).write_text("".join(lines))


def faults(folder: epath.PathLike) -> list[str]:
    """One line for each file that differs from when it was sealed; [] if none does."""
    folder = epath.Path(folder)
    if not (folder / SEAL_FILE).exists():
        return [f"{SEAL_FILE} is missing"]
    expected = _sealed(folder)
    if expected.pop("", None) != "" or not expected:  # from the newline at the end
        return [f"{SEAL_FILE} is damaged"]
    found = _files(folder)
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name} is not in {SEAL_FILE}" for name in sorted(found.keys() - expected.keys())]
    both = sorted(expected.keys() & found.keys())
    return problems + [f"{name} is damaged" for name in both if _sha256(found[name]) != expected[name]]


def check_all_there(folder: epath.PathLike) -> None:
    """Raises FileNotFoundError if a sealed file is gone; quick, since only the seal is read."""
    folder = epath.Path(folder)
    gone = _sealed(folder).keys() - {""} - _files(folder).keys()
    if gone:
        raise FileNotFoundError(f"{min(gone)} is gone from {folder}")


def add_note(folder: epath.PathLike, text: str) -> None:
    """Writes a line of text to `NOTE_FILE`, replacing what was there.

    The folder stays valid throughout: a note that is half-written is ignored.
    """
    (epath.Path(folder) / NOTE_FILE).write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  {text}\n")


def note(folder: epath.PathLike) -> str | None:
    """The text of a folder's note; None if there is none, or, with a warning, if it is damaged."""
    file = epath.Path(folder) / NOTE_FILE
    if not file.exists():
        return None
    digest, _, text = file.read_bytes().decode(errors="replace").removesuffix("\n").partition("  ")
    if digest == hashlib.sha256(text.encode()).hexdigest():
        return text
    log.warning("%s is truncated or damaged, and ignored", file)
    return None


def _sealed(folder: epath.Path) -> dict[str, str]:
    """Checksum by name, including an entry "" if the seal ends in a newline, as a whole one does."""
    text = (folder / SEAL_FILE).read_bytes().decode(errors="replace")
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.split("\n"))}


def all_files(folder: epath.Path, inside: str = "") -> dict[str, epath.Path]:
    """The files of a folder and its subfolders, by their path within it."""
    found = {}
    for path in folder.iterdir():
        name = inside + path.name
        found |= all_files(path, f"{name}/") if path.is_dir() else {name: path}
    return found


def _files(folder: epath.Path) -> dict[str, epath.Path]:
    """The files to seal, by their path within the folder."""
    return {name: path for name, path in all_files(folder).items() if name not in NOT_SEALED}


def _sha256(path: epath.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
