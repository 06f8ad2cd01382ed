"""Writing an export: its files are written to a temporary folder, which becomes DIR once it is complete."""

import contextlib
import inspect
import io
import json
import pathlib
import secrets
import shutil
from collections.abc import Iterator

import numpy as np

from haa_jax.data import sampling
from haa_jax.errors import UserError
from haa_jax.exporting import clips, load
from haa_jax.runtime import paths

FILES = ("README.md", "clips.py", "export.json", "load.py", "parameters.npz", "program.jax_export", "sampling.py")


class ExportError(UserError, RuntimeError):
    """A folder that cannot be written, or an export that does not give the network's logits."""


def check_out(out: str) -> pathlib.Path:
    """The folder to write as a path.

    Raises:
      ExportError: it is not local, or exists and is not an export of this command.
      paths.PathError: it cannot be made.
    """
    if not out or not paths.is_local(out):
        raise ExportError(f"--out={out} must be a folder on this machine; copy it to a bucket afterwards")
    folder = pathlib.Path(out)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ExportError(f"--out={out} is a file or a link; give a new folder, or an export to replace")
    if folder.is_dir():
        others = sorted(file.name for file in folder.iterdir() if file.name not in FILES)
        if others:  # replacing an export deletes what is in its folder
            raise ExportError(f"--out={out} holds {', '.join(others[:3])}, so it is not an export that can be replaced")
    paths.check_writable(folder.absolute().parent, "--out")
    return folder


def copied_files() -> dict[str, bytes]:
    """The modules that an export comes with, which import nothing of haa_jax there."""
    sources = {module.__name__.rpartition(".")[2]: inspect.getsource(module) for module in (load, clips, sampling)}
    sources["clips"] = sources["clips"].replace("from haa_jax.data import sampling\n", "import sampling\n")
    return {f"{name}.py": source.encode() for name, source in sources.items()}


def parameters_file(parameters: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **parameters)
    return file.getvalue()


def json_file(description: dict) -> bytes:
    return (json.dumps(description, indent=1, ensure_ascii=False) + "\n").encode()


@contextlib.contextmanager
def temporary(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder next to `out`, deleted at the end unless it was renamed.

    Raises:
      ExportError: it cannot be made.
    """
    out = out.absolute()
    path = out.parent / f"{out.name}.{secrets.token_hex(4)}.tmp"
    with _reported(out):
        path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    """Writes files by name. Raises ExportError if one cannot be written."""
    with _reported(folder):
        for name, content in files.items():
            (folder / name).write_bytes(content)


def publish(folder: pathlib.Path, out: pathlib.Path) -> None:
    """Renames a finished folder to `out`, in place of an older export. Raises ExportError if that is impossible."""
    replaced = folder.with_suffix(".old")
    with _reported(out):
        if out.exists():
            out.rename(replaced)
        try:
            folder.rename(out)
        except OSError:
            if replaced.exists():
                replaced.rename(out)
            raise
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _reported(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror or error}") from error
