"""The HAA500 v1.1 release on disk, checked before a single frame is decoded.

    raw/<class>.txt                              row k annotates clip k
    video/<class>/<class>_000.mp4 .. _019.mp4

and, not part of the release, read if wanted, the files of streams, for instance

    pose/<class>/<class>_000.json .. _019.json   or <class>_000/alphapose-results.json, as AlphaPose's runs write it
    flow/<class>/<class>_000/ .. _019/           folders of pictures

in a folder, in `haa500_v1_1/` in it, or in `haa500_v1_1.zip` in it. What is not part of the release may also be in the
folder itself, next to the release.
"""

import math
import zipfile
from collections.abc import Sequence

from etils import epath

from tfds_haa500.problems import BuildError
from tfds_haa500.sources.clips import Annotation, Clip, nearest
from tfds_haa500.sources.files import UNREADABLE, ZIP_DAMAGE, File, locate, open_zip
from tfds_haa500.streams import STREAMS
from tfds_haa500.taxonomy import Taxonomy

RELEASE = "haa500_v1_1"
CLIPS_PER_CLASS = 20
SPLITS = {"train": range(0, 16), "validation": range(16, 17), "test": range(17, 20)}
VIDEO = ("{clip}.mp4",)
_FEW = 10  # up to so many missing classes are listed one a line


def find_root(manual_dir: epath.PathLike, folders: Sequence[str] = ("raw", "video")) -> epath.Path | zipfile.Path:
    """Finds the release: what has these `folders`, in a folder, in its haa500_v1_1/ or in its zip file.

    Raises:
      BuildError: no release is there, or its zip file is damaged.
    """
    manual_dir = epath.Path(manual_dir)
    candidates = [manual_dir, manual_dir / RELEASE]
    packed = manual_dir / f"{RELEASE}.zip"
    if packed.exists():
        try:
            zip_root = zipfile.Path(open_zip(str(packed)))
        except (OSError, zipfile.BadZipFile, *ZIP_DAMAGE) as error:
            raise BuildError(str(packed), [f"{packed.name}: not a readable zip file ({error})"]) from error
        candidates += [zip_root, zip_root / RELEASE]
    for root in candidates:
        if all((root / folder).is_dir() for folder in folders):
            return root
    wanted = " and ".join(f"{folder}/" for folder in folders)
    raise BuildError(str(manual_dir), [f"no {wanted} here, in {RELEASE}/ or in {RELEASE}.zip"])


def scan(
    manual_dir: epath.PathLike, taxonomy: Taxonomy, classes: Sequence[str] = (), streams: Sequence[str] = ()
) -> list[Clip]:
    """Reads the annotations of the wanted classes and pairs them with the files that are there.

    Args:
      manual_dir: where the release is (see `find_root`).
      taxonomy: the class table.
      classes: which of its classes; all of them by default, and then a folder of an unknown class is a problem.
      streams: of which streams every clip must have its file.

    Returns:
      The clips, by class in label order, then by clip number.

    Raises:
      BuildError: lists every missing, surplus or unreadable row, clip, file and folder at once; if many classes are
        missing, on one line.
    """
    root, problems = find_root(manual_dir), []
    folders = {"raw": root, "video": root}
    for stream in streams:
        folders[stream], faults = _find_stream(stream, epath.Path(manual_dir), root)
        problems += faults
    problems += _class_problems(folders, taxonomy, classes)
    clips = []
    for name in _wanted(taxonomy, classes):
        found, faults = _scan_class(folders, name)
        clips += found
        problems += faults
    if problems:
        raise BuildError(str(root), problems)
    return clips


def scan_annotations(manual_dir: epath.PathLike, taxonomy: Taxonomy, classes: Sequence[str] = ()) -> list[Clip]:
    """Reads raw/ alone: the clips, whose `file` is still to be found.

    Args, order and errors as of `scan`.
    """
    root = find_root(manual_dir, ["raw"])
    clips, problems = [], _class_problems({"raw": root}, taxonomy, classes)
    for name in _wanted(taxonomy, classes):
        rows, faults = read_rows(root, name)
        problems += faults
        clips += annotated(name, rows or {})
    if problems:
        raise BuildError(str(root), problems)
    return clips


def annotated_classes(root: epath.Path | zipfile.Path) -> list[str]:
    """The names of the classes that have a file in the raw/ of a release, whether a class table has them or not."""
    names = (entry.name for entry in (root / "raw").iterdir() if not entry.name.startswith("."))
    return sorted(name.removesuffix(".txt") for name in names if name.endswith(".txt"))


def annotated(name: str, rows: dict[int, Annotation]) -> list[Clip]:
    """The clips of a class by the number of their row; their `file` is still to be found."""
    return [_clip(name, number, File("", ""), row) for number, row in sorted(rows.items()) if number < CLIPS_PER_CLASS]


def list_videos(root: epath.Path | zipfile.Path, name: str) -> tuple[dict[int, File], list[str]]:
    """The videos of a class by the clip's number, and a problem for each that is missing or surplus."""
    return _list_clips(root, f"video/{name}", name, VIDEO)


def _clip(name: str, number: int, file: File, row: Annotation, files: dict[str, File] | None = None) -> Clip:
    (split,) = (split for split, numbers in SPLITS.items() if number in numbers)
    return Clip(f"{name}_{number:03d}", split, name, file, row, files=files or {})


def _wanted(taxonomy: Taxonomy, classes: Sequence[str]) -> list[str]:
    return [name for name in taxonomy.names if not classes or name in classes]


def _class_problems(folders: dict, taxonomy: Taxonomy, classes: Sequence[str]) -> list[str]:
    """Classes that are not in the table or not in the folders, and folders that are not in the table."""
    problems = [
        f"classes: {name!r} is not in the class table{nearest(name, taxonomy.names)}"
        for name in classes
        if name not in taxonomy.names
    ]
    if not classes:
        problems += _unknown_entries(folders, taxonomy.names)
    for folder, holder in folders.items():
        problems += _missing_classes(folder, holder, _wanted(taxonomy, classes)) if holder else []
    return problems


def parse_row(line: str) -> Annotation:
    """Parses `url,start,end,is_camera_moving,num_of_dominant_figure`.

    Raises:
      ValueError: the row is not of this form; the message is the reason.
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


def _find_stream(stream: str, manual_dir, root) -> tuple[epath.Path | zipfile.Path | None, list[str]]:
    """What holds the folder of a stream, pose/ for instance: the release, or the folder that the release is in."""
    holders = [root] if root == manual_dir else [root, manual_dir]
    found = [holder for holder in holders if (holder / stream).is_dir()]
    if not found:
        return None, [f"{stream}: no such folder, neither in the release nor next to it"]
    if len(found) > 1:
        return None, [f"{stream}: is in {found[0]} and in {found[1]}; remove one of them"]
    return found[0], []


def _missing_classes(folder: str, holder, wanted: Sequence[str]) -> list[str]:
    """A problem for each class without a file in raw/ or a folder elsewhere; one for all of them if there are many."""
    files = {name: f"{folder}/{name}" + (".txt" if folder == "raw" else "") for name in wanted}
    missing = [
        name
        for name, path in files.items()
        if not ((holder / path).exists() if folder == "raw" else (holder / path).is_dir())
    ]
    there = [name for name in wanted if name not in missing]
    what = "files" if folder == "raw" else "folders"
    if len(missing) <= _FEW:
        return [f"{files[name]}: no such {what[:-1]}" for name in missing]
    if not there:
        return [f"{folder}: none of the {what} of the {len(wanted)} classes is there"]
    part = f"{folder}: {len(missing)} of the {what} of the {len(wanted)} classes are missing"
    if len(there) < len(missing):
        return [f"{part}, all but {', '.join(there)} (for some of the classes: --classes=A,B --name=some)"]
    return [f"{part}: {', '.join(missing)}"]


def _scan_class(folders: dict, name: str) -> tuple[list[Clip], list[str]]:
    """The clips of one class, and its problems; `folders`: what holds raw/, video/ and the folders of the streams."""
    rows, problems = read_rows(folders["raw"], name)
    if rows is None:
        rows = dict.fromkeys(range(CLIPS_PER_CLASS))  # reported once: the clips are not at fault
    files = {}
    for folder, holder in folders.items():
        if folder != "raw" and holder:
            patterns = VIDEO if folder == "video" else STREAMS[folder].FILES
            files[folder], faults = _list_clips(holder, f"{folder}/{name}", name, patterns)
            problems += faults
    clips = []
    for number, file in files.pop("video").items():
        if number in rows:
            own = {stream: found[number] for stream, found in files.items() if number in found}
            clips.append(_clip(name, number, file, rows[number], own))
        else:
            problems.append(f"video/{name}/{name}_{number:03d}.mp4: has no usable row {number} in raw/{name}.txt")
    return clips, problems


def _list_clips(root, folder: str, name: str, patterns: Sequence[str]) -> tuple[dict[int, File], list[str]]:
    """A class's files in a folder by the clip's number, and a problem for each that is missing or surplus.

    A clip may have its file by any of the `patterns`, the first that is there; then a file by another is surplus.
    """
    if not (root / folder).is_dir():
        return {}, []  # reported for all classes at once
    found = {entry.name for entry in (root / folder).iterdir() if not entry.name.startswith(".")}
    wanted = {}
    for number in range(CLIPS_PER_CLASS):
        usual, *others = (pattern.format(clip=f"{name}_{number:03d}") for pattern in patterns)
        wanted[number] = usual
        for other in others if usual not in found else ():
            entry = other.partition("/")[0]
            if entry in found and (root / folder / other).exists():
                wanted[number] = other
                found = (found - {entry}) | {other}
    missing = [f"{folder}/{file}: no such file" for file in wanted.values() if file not in found]
    problems = missing if len(missing) < len(wanted) else [f"{folder}: has none of the {CLIPS_PER_CLASS} clips"]
    surplus = sorted(found - set(wanted.values()))
    problems += [f"{folder}/{file}: not one of the {CLIPS_PER_CLASS} clips of the class" for file in surplus]
    return {number: locate(root, f"{folder}/{file}") for number, file in wanted.items() if file in found}, problems


def read_rows(root, name: str, *, unfinished: bool = False) -> tuple[dict[int, Annotation] | None, list[str]]:
    """The usable rows of a class by number, from 0, and what is wrong with the others; None if there is no file.

    Args:
      root: of the release, as of `find_root`.
      name: the class.
      unfinished: whether a class with fewer rows than clips is nothing wrong.
    """
    path = f"raw/{name}.txt"
    file = root / "raw" / f"{name}.txt"
    if not file.exists():
        return None, []  # reported for all classes at once
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except (*UNREADABLE, *ZIP_DAMAGE) as error:
        return {}, [f"{path}: cannot be read ({error})"]
    rows, problems = {}, []
    lines = [line for line in lines if line.strip()]
    if len(lines) > CLIPS_PER_CLASS or (len(lines) < CLIPS_PER_CLASS and not unfinished):
        problems.append(f"{path}: has {len(lines)} rows, expected {CLIPS_PER_CLASS}")
    for number, line in enumerate(lines):
        try:
            rows[number] = parse_row(line)
        except ValueError as error:
            problems.append(f"{path}: row {number}: {error}")
    return rows, problems


def _unknown_entries(folders: dict, known: Sequence[str]) -> list[str]:
    """Entries of any folder that are not a class of the table: a misspelled class must not be dropped silently."""
    found = [
        (folder, entry.name, entry.name.removesuffix(".txt") if folder == "raw" else entry.name)
        for folder, root in folders.items()
        if root
        for entry in (root / folder).iterdir()
    ]
    return [
        f"{folder}/{entry}: no such class in the class table{nearest(name, known)}"
        for folder, entry, name in sorted(found)
        if not entry.startswith(".") and name not in known
    ]
