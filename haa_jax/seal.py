"""The seal of a folder: the SHA-256 of every file in it, so that damage is noticed before anything is believed.

The format is that of `sha256sum`, whose `--check` reads it too.
"""

import hashlib

from etils import epath

SEAL_FILE = "SHA256SUMS"
# Orbax notes in these, after the seal, that and when the checkpoint was whole; nothing else is read from them.
NOT_SEALED = (SEAL_FILE, "_CHECKPOINT_METADATA", "commit_success.txt")
_CHUNK = 1 << 24  # bytes


def seal(folder: epath.PathLike) -> None:
    """Writes the sums of all files of a folder, and of the folders in it, into `SEAL_FILE`."""
    folder = epath.Path(folder)
    lines = [f"{_sha256(path)}  {name}\n" for name, path in sorted(_files(folder).items())]
    (folder / SEAL_FILE).write_text("".join(lines))


def faults(folder: epath.PathLike) -> list[str]:
    """What is not as it was sealed, a line a file; [] where all is well."""
    folder = epath.Path(folder)
    seal_file = folder / SEAL_FILE
    if not seal_file.exists():
        return [f"{SEAL_FILE} is missing"]
    text = seal_file.read_bytes().decode(errors="replace")
    expected = {}
    for line in text.split("\n"):
        digest, _, name = line.partition("  ")
        expected[name] = digest
    if expected.pop("", None) != "" or not expected:  # what is left of a text that ends in a newline
        return [f"{SEAL_FILE} is damaged"]
    found = _files(folder)
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name} is not in {SEAL_FILE}" for name in sorted(found.keys() - expected.keys())]
    both = sorted(expected.keys() & found.keys())
    return problems + [f"{name} is damaged" for name in both if _sha256(found[name]) != expected[name]]


def _files(folder: epath.Path, inside: str = "") -> dict[str, epath.Path]:
    """The files to seal by their path within the folder."""
    found = {}
    for path in folder.iterdir():
        name = inside + path.name
        if path.is_dir():
            found |= _files(path, f"{name}/")
        elif name not in NOT_SEALED:
            found[name] = path
    return found


def _sha256(path: epath.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
