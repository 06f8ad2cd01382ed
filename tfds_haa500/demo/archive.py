"""Generates `haa500/demo`: a small archive in the layout of the HAA500 release, from a seed.

    python -m tfds_haa500.demo --out=DIR [--seed=0] [--classes=squat_up,squat_down] [--kinds=video,pose] [--sheet=PNG]

Sixteen classes of drawn people, eight composites, all four areas. The two classes of a composite show one
movement, forward and backward: they cannot be told apart by any single frame, only by the order of frames.
`DIR` then holds raw/<class>.txt and video/<class>/<class>_000.mp4 like the release, and next to them
pose/ (AlphaPose JSON), boxes/ (the main person, CSV) and objects/ (COCO detections, JSON), one file a clip,
youtube/<id>.mp4, the longer videos that the clips are cut from according to raw/, and, only if `kinds` has it,
flow/<class>/<clip>/flow_x_00001.jpg, flow_y_00001.jpg and so on (yjxiong/dense_flow's layout). With --pairs, DIR holds
clips of two people instead; see pairs.py.
"""

import functools
import os
import pathlib
import shutil
from collections.abc import Sequence

import cv2
import numpy as np
from absl import app, flags
from etils import epath

from tfds_haa500 import taxonomy
from tfds_haa500.demo import clip as demo_clip
from tfds_haa500.demo import files as demo_files
from tfds_haa500.demo import pairs
from tfds_haa500.runtime import parallel
from tfds_haa500.streams import video

TAXONOMY = taxonomy.load(taxonomy.DEMO_CSV)
BUILT = ("video", "pose", "boxes", "objects")  # the kinds that the builder of `haa500/demo` needs
SHEET_FRAMES, SHEET_HEIGHT = 8, 96


def write_archive(
    out: epath.PathLike,
    seed: int = 0,
    clips_per_class: int = 20,
    workers: int | None = None,
    classes: Sequence[str] = (),
    kinds: Sequence[str] = BUILT,
) -> None:
    """Writes the generated archive into the local folder `out`.

    The files are written into a folder next to `out`, which is renamed at the end: an archive that exists is complete.

    Args:
      out: a folder that is empty or does not exist.
      seed: 0 or more; the same seed gives the same files, byte by byte, with the same libraries. A clip does
        not depend on `clips_per_class`.
      clips_per_class: the release has 20.
      workers: processes to use; `parallel.num_workers()` by default.
      classes: which of the classes to draw; all by default.
      kinds: what to write besides raw/, any of `demo_files.KINDS`.

    Raises:
      ValueError: an unknown kind.
      FileExistsError: `out` is a file or a folder with something in it.
    """
    if unknown := [kind for kind in kinds if kind not in demo_files.KINDS]:
        raise ValueError(f"kinds={','.join(kinds)!r}: {unknown[0]!r} is not one of {', '.join(demo_files.KINDS)}")
    out = demo_files.free_folder(out)
    clips = _draw_clips(seed, clips_per_class, classes)
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        _write_partial(partial, clips, kinds, workers)
        if out.exists():
            out.rmdir()  # not every system renames onto an empty folder
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _draw_clips(seed: int, clips_per_class: int, classes: Sequence[str]) -> list[demo_clip.Clip]:
    pairs = zip(TAXONOMY.names, TAXONOMY.composites, strict=True)
    wanted = [pair for pair in pairs if not classes or pair[0] in classes]
    return [demo_clip.draw_clip(*pair, index, seed) for pair in wanted for index in range(clips_per_class)]


def _write_partial(root: pathlib.Path, clips: list[demo_clip.Clip], kinds: Sequence[str], workers: int | None) -> None:
    with parallel.progress_bar(len(clips), "drawing") as bar:
        write = functools.partial(demo_files.write_clip, str(root), kinds=tuple(kinds))
        for _ in parallel.ordered_map(write, clips, workers):
            bar.update()
    (root / "raw").mkdir(parents=True)
    for name in dict.fromkeys(clip.name for clip in clips):
        lines = [demo_files.raw_line(clip) for clip in clips if clip.name == name]
        (root / "raw" / f"{name}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def write_sheet(archive: epath.PathLike, png: epath.PathLike) -> None:
    """Writes a contact sheet of an archive: for the first clip of every class, a row of frames over time."""
    rows = []
    for name in TAXONOMY.names:
        with video.open_container(str(pathlib.Path(archive, "video", name, f"{name}_000.mp4"))) as container:
            frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        rows.append(_sheet_row(name, frames))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
    pathlib.Path(png).write_bytes(cv2.imencode(".png", np.concatenate(padded))[1].tobytes())


def _sheet_row(name: str, frames: list[np.ndarray]) -> np.ndarray:
    label = np.zeros((SHEET_HEIGHT, 140, 3), np.uint8)
    cv2.putText(label, name, (4, SHEET_HEIGHT // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    height, width = frames[0].shape[:2]
    size = (width * SHEET_HEIGHT // height, SHEET_HEIGHT)
    picked = np.linspace(0, len(frames) - 1, SHEET_FRAMES).round().astype(int)
    return np.concatenate([label, *(cv2.resize(frames[i], size) for i in picked)], axis=1)


def define_flags() -> None:
    flags.DEFINE_string("out", None, "Folder to write the archive into; must be empty or not exist.")
    flags.DEFINE_integer("seed", 0, "The same seed gives the same files, byte by byte.", lower_bound=0)
    known, named = ", ".join(demo_files.KINDS), ", ".join(TAXONOMY.names)
    without_flow = [kind for kind in demo_files.KINDS if kind != "flow"]
    flags.DEFINE_list("kinds", without_flow, f"What to write besides raw/: any of {known}.")
    flags.register_validator("kinds", lambda kinds: set(kinds) <= set(demo_files.KINDS), f"must be any of {known}")
    flags.DEFINE_list("classes", [], "Only these of the classes (default: all).")
    flags.register_validator("classes", lambda names: set(names) <= set(TAXONOMY.names), f"must be any of {named}")
    flags.DEFINE_bool("pairs", False, "Videos of two people and lists of their classes, instead of an archive.")
    flags.DEFINE_string("sheet", None, "Also write a picture with frames of every class to this PNG file.")
    flags.mark_flag_as_required("out")


def main(argv: list[str]) -> None:
    """The command line of this file; see its first lines."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    options = flags.FLAGS
    if options.pairs:
        if options.sheet or options.classes or options["kinds"].present:
            raise app.UsageError("--pairs goes with --out and --seed only")
        pairs.write_folder(options.out, options.seed)
        return
    if options.sheet and "video" not in options.kinds:
        raise app.UsageError("--sheet needs the videos: add video to --kinds")
    if options.sheet and options.classes:
        raise app.UsageError("--sheet shows all classes: leave out --classes")
    write_archive(options.out, options.seed, classes=options.classes, kinds=options.kinds)
    if options.sheet:
        write_sheet(options.out, options.sheet)
