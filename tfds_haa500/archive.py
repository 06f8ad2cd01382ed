"""What is on disk: the HAA500 v1.1 release as it really is, checked before a single frame is decoded.

    raw/<class>.txt                              row k annotates clip k
    video/<class>/<class>_000.mp4 .. _019.mp4

under a folder, under `haa500_v1_1/` in it, or in `haa500_v1_1.zip` in it. Clips of a zip are read from where
they are: nothing is ever unpacked, so no archive can write outside its folder.
"""

import dataclasses
import difflib
import functools
import math
import zipfile
from collections.abc import Iterable, Sequence

from etils import epath

from tfds_haa500.taxonomy import Taxonomy

RELEASE = "haa500_v1_1"
CLIPS_PER_CLASS = 20
SPLITS = {"train": range(0, 16), "validation": range(16, 17), "test": range(17, 20)}
# The longest real clip is 757 frames. A member that unpacks to more than this is a zip bomb, not a clip.
MAX_FILE_BYTES = 1 << 30


class ArchiveError(ValueError):
    """An archive that cannot be packaged; `problems` lists every fault as `path: reason`."""

    def __init__(self, root: str, problems: Sequence[str]):
        self.problems = list(problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        super().__init__("\n  ".join([f"{count} in {root}; nothing was built:", *problems]))


@dataclasses.dataclass(frozen=True)
class Annotation:
    """One row of `raw/<class>.txt`: where on YouTube the clip is from (seconds), and two facts about it."""

    url: str
    start: float
    end: float
    camera_moving: bool
    num_people: int


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip: its annotation, and where its video is (`path` inside `root`, a folder or a zip file)."""

    clip_id: str
    class_name: str
    annotation: Annotation
    root: str
    path: str


def find_root(manual_dir: epath.PathLike) -> epath.Path | zipfile.Path:
    """Finds the release in, under, or zipped in a folder.

    Raises:
      ArchiveError: no release is there, or its zip file is damaged.
    """
    manual_dir = epath.Path(manual_dir)
    candidates = [manual_dir, manual_dir / RELEASE]
    packed = manual_dir / f"{RELEASE}.zip"
    if packed.exists():
        try:
            zip_root = zipfile.Path(_open_zip(str(packed)))
        except (zipfile.BadZipFile, OSError) as error:
            raise ArchiveError(str(packed), [f"{packed.name}: not a readable zip file ({error})"]) from error
        candidates += [zip_root, zip_root / RELEASE]
    for root in candidates:
        if (root / "raw").is_dir() and (root / "video").is_dir():
            return root
    raise ArchiveError(str(manual_dir), [f"no raw/ and video/ here, in {RELEASE}/ or in {RELEASE}.zip"])


def scan(manual_dir: epath.PathLike, taxonomy: Taxonomy, classes: Sequence[str] = ()) -> list[Clip]:
    """Reads the annotations of the wanted classes and pairs them with the videos that are there.

    Args:
      manual_dir: where the release is (see `find_root`).
      taxonomy: the class table.
      classes: which of its classes; all of them by default, and then a folder of an unknown class is a fault.

    Returns:
      The clips, by class in label order, then by clip number.

    Raises:
      ArchiveError: lists every missing, surplus or unreadable row, clip, file and folder at once.
    """
    root = find_root(manual_dir)
    unknown = [name for name in classes if name not in taxonomy.names]
    problems = [f"classes: {name!r} is not in the class table{_nearest(name, taxonomy.names)}" for name in unknown]
    if not classes:
        problems += _unknown_entries(root, taxonomy.names)
    wanted = [name for name in taxonomy.names if not classes or name in classes]
    clips = []
    for name in wanted:
        found, faults = _scan_class(root, name)
        clips += found
        problems += faults
    if problems:
        raise ArchiveError(str(root), problems)
    return clips


def split_clips(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by the official split: 000-015 train, 016 validation, 017-019 test of every class."""
    clips = list(clips)
    return {split: [clip for clip in clips if int(clip.clip_id[-3:]) in numbers] for split, numbers in SPLITS.items()}


def read_bytes(root: str, path: str) -> bytes:
    """A file of the archive, whether `root` is a folder or a zip file.

    Raises:
      OSError, zipfile.BadZipFile: the file cannot be read, is larger than any clip, or fails its checksum.
    """
    if not root.endswith(".zip"):
        return (epath.Path(root) / path).read_bytes()
    archive = _open_zip(root)
    size = archive.getinfo(path).file_size
    if size > MAX_FILE_BYTES:
        raise OSError(f"unpacks to {size} bytes, more than any clip ({MAX_FILE_BYTES})")
    return archive.read(path)


def parse_row(line: str) -> Annotation:
    """Parses `url,start,end,is_camera_moving,num_of_dominant_figure`.

    Raises:
      ValueError: says what is wrong with the row.
    """
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 5:
        raise ValueError(f"needs 5 comma-separated fields, has {len(fields)}: {line!r}")
    url, start, end, camera_moving, num_people = fields
    if not url:
        raise ValueError(f"the url is empty: {line!r}")
    start, end = _seconds("start", start), _seconds("end", end)
    if end <= start:
        raise ValueError(f"end {end} is not after start {start}")
    if camera_moving not in ("0", "1"):
        raise ValueError(f"is_camera_moving is {camera_moving!r}, must be 0 or 1")
    if not (num_people.isascii() and num_people.isdigit()):
        raise ValueError(f"num_of_dominant_figure is {num_people!r}, must be a whole number")
    return Annotation(url, start, end, camera_moving == "1", int(num_people))


def _seconds(field: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{field} is {text!r}, must be a number of seconds")
    return value


def _scan_class(root, name: str) -> tuple[list[Clip], list[str]]:
    """The clips of one class, and its faults."""
    rows, problems = _read_rows(root, name)
    folder = root / "video" / name
    if not folder.is_dir():
        return [], [*problems, f"video/{name}: no such folder"]
    names = [f"{name}_{number:03d}" for number in range(CLIPS_PER_CLASS)]
    present = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    clips = []
    for number, clip_id in enumerate(names):
        file = f"{clip_id}.mp4"
        if file not in present:
            problems.append(f"video/{name}/{file}: no such file")
        elif number not in rows:
            problems.append(f"video/{name}/{file}: has no usable row {number} in raw/{name}.txt")
        else:
            clips.append(Clip(clip_id, name, rows[number], *_locate(root, f"video/{name}/{file}")))
    surplus = sorted(present - {f"{clip_id}.mp4" for clip_id in names})
    problems += [f"video/{name}/{file}: not one of the {CLIPS_PER_CLASS} clips of the class" for file in surplus]
    return clips, problems


def _read_rows(root, name: str) -> tuple[dict[int, Annotation], list[str]]:
    """The usable rows of a class by number, and the faults of the others."""
    path = f"raw/{name}.txt"
    file = root / "raw" / f"{name}.txt"
    if not file.exists():
        return {}, [f"{path}: no such file"]
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        return {}, [f"{path}: cannot be read ({error})"]
    rows, problems = {}, []
    lines = [line for line in lines if line.strip()]
    if len(lines) != CLIPS_PER_CLASS:
        problems.append(f"{path}: has {len(lines)} rows, expected {CLIPS_PER_CLASS}")
    for number, line in enumerate(lines):
        try:
            rows[number] = parse_row(line)
        except ValueError as error:
            problems.append(f"{path}: row {number}: {error}")
    return rows, problems


def _unknown_entries(root, known: Sequence[str]) -> list[str]:
    """Entries of raw/ and video/ that are no class of the table: a misspelt class must not vanish silently."""
    found = [("video", entry.name, entry.name) for entry in (root / "video").iterdir()]
    found += [("raw", entry.name, entry.name.removesuffix(".txt")) for entry in (root / "raw").iterdir()]
    return [
        f"{folder}/{entry}: no such class in the class table{_nearest(name, known)}"
        for folder, entry, name in sorted(found)
        if not entry.startswith(".") and name not in known
    ]


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _locate(root, path: str) -> tuple[str, str]:
    """(folder, path) or (zip file, member): plain strings, which travel to other processes."""
    if isinstance(root, zipfile.Path):
        return str(root.root.filename), (root / path).at
    return str(root), path


@functools.lru_cache(maxsize=2)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path if epath.Path(path).exists() and "://" not in path else epath.Path(path).open("rb"))
