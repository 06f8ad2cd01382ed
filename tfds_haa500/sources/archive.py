"""What is on disk: the HAA500 v1.1 release as it really is, checked before a single frame is decoded.

    raw/<class>.txt                              row k annotates clip k
    video/<class>/<class>_000.mp4 .. _019.mp4

and, not part of the release, read where they are wanted:

    pose/<class>/<class>_000.json .. _019.json   or <class>_000/alphapose-results.json, as AlphaPose's runs leave it
    boxes/<class>/<class>_000.csv .. _019.csv
    objects/<class>/<class>_000.json .. _019.json
    flow/<class>/<class>_000/ .. _019/           folders of pictures

under a folder, under `haa500_v1_1/` in it, or in `haa500_v1_1.zip` in it. Clips of a zip are read from where
they are: nothing is ever unpacked, so no archive can write outside its folder. What is not part of the release may
also lie in the folder itself, beside it.
"""

import collections
import dataclasses
import difflib
import functools
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence

from etils import epath

from tfds_haa500.problems import listing
from tfds_haa500.taxonomy import Taxonomy

RELEASE = "haa500_v1_1"
CLIPS_PER_CLASS = 20
SPLITS = {"train": range(0, 16), "validation": range(16, 17), "test": range(17, 20)}
# What lies beside the videos -> how the name of a clip's file ends; flow has a folder a clip.
ALPHAPOSE_FILE = "alphapose-results.json"  # what a run of AlphaPose writes into its output folder
SIDES = {"pose": ".json", "boxes": ".csv", "objects": ".json", "flow": ""}
FEW = 10  # missing classes that are named one on a line
# The longest real clip is 757 frames. A member that unpacks to more than this is a zip bomb, not a clip.
MAX_FILE_BYTES = 1 << 30


# What zipfile raises, besides BadZipFile, on members that are damaged, encrypted or packed by unknown means.
_ZIP_DAMAGE = (zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


class ArchiveError(ValueError):
    """An archive that cannot be packaged; `problems` lists every fault as `path: reason`."""

    def __init__(self, root: str, problems: Sequence[str]):
        self.problems = list(problems)
        super().__init__(listing(root, problems))


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
    """One clip: its annotation, and where its files are.

    The video is at `path` inside `root`, a folder or a zip file; `sides` has (root, path) of each other file that is
    wanted, by its key in SIDES.
    """

    clip_id: str
    class_name: str
    annotation: Annotation
    root: str
    path: str
    sides: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


def find_root(manual_dir: epath.PathLike, folders: Sequence[str] = ("raw", "video")) -> epath.Path | zipfile.Path:
    """Finds the release, or what has those `folders` of it, in, under, or zipped in a folder.

    Raises:
      ArchiveError: no release is there, or its zip file is damaged.
    """
    manual_dir = epath.Path(manual_dir)
    candidates = [manual_dir, manual_dir / RELEASE]
    packed = manual_dir / f"{RELEASE}.zip"
    if packed.exists():
        try:
            zip_root = zipfile.Path(_open_zip(str(packed)))
        except (OSError, zipfile.BadZipFile, *_ZIP_DAMAGE) as error:
            raise ArchiveError(str(packed), [f"{packed.name}: not a readable zip file ({error})"]) from error
        candidates += [zip_root, zip_root / RELEASE]
    for root in candidates:
        if all((root / folder).is_dir() for folder in folders):
            return root
    wanted = " and ".join(f"{folder}/" for folder in folders)
    raise ArchiveError(str(manual_dir), [f"no {wanted} here, in {RELEASE}/ or in {RELEASE}.zip"])


def scan(
    manual_dir: epath.PathLike, taxonomy: Taxonomy, classes: Sequence[str] = (), sides: Sequence[str] = ()
) -> list[Clip]:
    """Reads the annotations of the wanted classes and pairs them with the files that are there.

    Args:
      manual_dir: where the release is (see `find_root`).
      taxonomy: the class table.
      classes: which of its classes; all of them by default, and then a folder of an unknown class is a fault.
      sides: of which kinds, keys of SIDES, every clip must have its file.

    Returns:
      The clips, by class in label order, then by clip number.

    Raises:
      ArchiveError: lists every missing, surplus or unreadable row, clip, file and folder at once; where many classes
        are missing, in one line.
    """
    root = find_root(manual_dir)
    problems = [_unknown_class(name, taxonomy) for name in classes if name not in taxonomy.names]
    folders = {"raw": root, "video": root}
    for side in sides:
        folders[side], faults = _find_side(side, epath.Path(manual_dir), root)
        problems += faults
    if not classes:
        problems += _unknown_entries(folders, taxonomy.names)
    wanted = [name for name in taxonomy.names if not classes or name in classes]
    for folder, holder in folders.items():
        problems += _missing_classes(folder, holder, wanted) if holder else []
    clips = []
    for name in wanted:
        found, faults = _scan_class(folders, name)
        clips += found
        problems += faults
    if problems:
        raise ArchiveError(str(root), problems)
    return clips


def scan_annotations(manual_dir: epath.PathLike, taxonomy: Taxonomy, classes: Sequence[str] = ()) -> list[Clip]:
    """Reads the annotations only: clips without a file, from raw/ alone.

    Args, order and errors as of `scan`.
    """
    root = find_root(manual_dir, ["raw"])
    clips, problems = [], [_unknown_class(name, taxonomy) for name in classes if name not in taxonomy.names]
    if not classes:
        problems += _unknown_entries({"raw": root}, taxonomy.names)
    wanted = [name for name in taxonomy.names if not classes or name in classes]
    problems += _missing_classes("raw", root, wanted)
    for name in wanted:
        rows, faults = _read_rows(root, name)
        problems += faults
        clips += [Clip(f"{name}_{number:03d}", name, row, "", "") for number, row in sorted((rows or {}).items())]
    if problems:
        raise ArchiveError(str(root), problems)
    return clips


def _unknown_class(name: str, taxonomy: Taxonomy) -> str:
    return f"classes: {name!r} is not in the class table{_nearest(name, taxonomy.names)}"


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
    try:
        return archive.read(path)
    except _ZIP_DAMAGE as error:
        raise zipfile.BadZipFile(f"cannot be unpacked ({str(error) or type(error).__name__})") from error


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


def list_folder(root: str, path: str) -> list[str]:
    """Names of the files in a folder of the archive, whether `root` is a folder or a zip file."""
    if not root.endswith(".zip"):
        return [entry.name for entry in (epath.Path(root) / path).iterdir()]
    return _zip_folders(root).get(path, [])


def _find_side(side: str, manual_dir, root) -> tuple[epath.Path | zipfile.Path | None, list[str]]:
    """What holds pose/, boxes/ ...: the release, or the folder that it lies in."""
    holders = [root] if root == manual_dir else [root, manual_dir]
    found = [holder for holder in holders if (holder / side).is_dir()]
    if not found:
        return None, [f"{side}: no such folder, neither in the release nor beside it"]
    if len(found) > 1:
        return None, [f"{side}: is in {found[0]} and in {found[1]}; leave one of them"]
    return found[0], []


def _missing_classes(folder: str, holder, wanted: Sequence[str]) -> list[str]:
    """A fault for each class that has no file in raw/, or no folder in another; one for all where they are many."""
    files = {name: f"{folder}/{name}" + (".txt" if folder == "raw" else "") for name in wanted}
    missing = [
        name
        for name, path in files.items()
        if not ((holder / path).exists() if folder == "raw" else (holder / path).is_dir())
    ]
    there = [name for name in wanted if name not in missing]
    what = "files" if folder == "raw" else "folders"
    if len(missing) <= FEW:
        return [f"{files[name]}: no such {what[:-1]}" for name in missing]
    if not there:
        return [f"{folder}: none of the {what} of the {len(wanted)} classes is there"]
    part = f"{folder}: {len(missing)} of the {what} of the {len(wanted)} classes are missing"
    if len(there) < len(missing):
        return [f"{part}, all but {', '.join(there)} (for a part of the classes: --classes=A,B --name=some)"]
    return [f"{part}: {', '.join(missing)}"]


def _scan_class(folders: dict, name: str) -> tuple[list[Clip], list[str]]:
    """The clips of one class, and its faults; `folders` says what holds raw/, video/ and the sides that are wanted."""
    rows, problems = _read_rows(folders["raw"], name)
    if rows is None:
        rows = dict.fromkeys(range(CLIPS_PER_CLASS))  # the one fault is said; the clips are not to blame
    present, faults = _list_clips(folders["video"], f"video/{name}", name, ".mp4")
    problems += faults
    sides = {}
    for side, ending in SIDES.items():
        if folders.get(side):
            sides[side], faults = _list_clips(folders[side], f"{side}/{name}", name, ending)
            problems += faults
    clips = []
    for clip_id, path in present.items():
        number = int(clip_id[-3:])
        if number not in rows:
            problems.append(f"{path}: has no usable row {number} in raw/{name}.txt")
            continue
        own = {side: _locate(folders[side], files[clip_id]) for side, files in sides.items() if clip_id in files}
        clips.append(Clip(clip_id, name, rows[number], *_locate(folders["video"], path), own))
    return clips, problems


def _list_clips(root, folder: str, name: str, suffix: str) -> tuple[dict[str, str], list[str]]:
    """The paths of a class's files in a folder by clip, and a fault for each that is missing or surplus."""
    if not (root / folder).is_dir():
        return {}, []  # said for all classes at once
    found = {entry.name for entry in (root / folder).iterdir() if not entry.name.startswith(".")}
    wanted = {f"{name}_{number:03d}": f"{name}_{number:03d}{suffix}" for number in range(CLIPS_PER_CLASS)}
    if folder.startswith("pose/"):
        # A run of AlphaPose on one clip leaves a folder with its results; where both are there, one is surplus.
        runs = {clip_id for clip_id, file in wanted.items() if clip_id in found and file not in found}
        runs = {clip_id for clip_id in runs if (root / folder / clip_id / ALPHAPOSE_FILE).exists()}
        wanted |= {clip_id: f"{clip_id}/{ALPHAPOSE_FILE}" for clip_id in runs}
        found = (found - runs) | {wanted[clip_id] for clip_id in runs}
    missing = [f"{folder}/{file}: no such file" for file in wanted.values() if file not in found]
    problems = missing if len(missing) < len(wanted) else [f"{folder}: has none of the {CLIPS_PER_CLASS} clips"]
    surplus = sorted(found - set(wanted.values()))
    problems += [f"{folder}/{file}: not one of the {CLIPS_PER_CLASS} clips of the class" for file in surplus]
    return {clip_id: f"{folder}/{file}" for clip_id, file in wanted.items() if file in found}, problems


def _read_rows(root, name: str) -> tuple[dict[int, Annotation] | None, list[str]]:
    """The usable rows of a class by number, and the faults of the others; None where there is no file."""
    path = f"raw/{name}.txt"
    file = root / "raw" / f"{name}.txt"
    if not file.exists():
        return None, []  # said for all classes at once
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, zipfile.BadZipFile, *_ZIP_DAMAGE) as error:
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


def _unknown_entries(folders: dict, known: Sequence[str]) -> list[str]:
    """Entries that are no class of the table, wherever: a misspelled class must not vanish silently."""
    found = [
        (folder, entry.name, entry.name.removesuffix(".txt") if folder == "raw" else entry.name)
        for folder, root in folders.items()
        if root
        for entry in (root / folder).iterdir()
    ]
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
        return str(root.root.filename), (root / path).at.rstrip("/")
    return str(root), path


@functools.lru_cache(maxsize=2)
def _zip_folders(path: str) -> dict[str, list[str]]:
    """Names of the files in every folder of a zip file."""
    folders = collections.defaultdict(list)
    for name in _open_zip(path).namelist():
        folder, _, file = name.rpartition("/")
        if file:
            folders[folder].append(file)
    return folders


@functools.lru_cache(maxsize=2)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path if epath.Path(path).exists() and "://" not in path else epath.Path(path).open("rb"))
