"""Writes AlphaPose's JSON for a folder of clips with MediaPipe, in place of AlphaPose's results.

    python tools/pose/estimate.py --videos=DIR/video --out=DIR/pose

For each DIR/video/<class>/<clip>.mp4 this writes DIR/pose/<class>/<clip>.json, which `python -m tfds_haa500.build`
reads. Existing files are kept, so the same command resumes where it was stopped. It needs its own environment (see
README.md in this folder). MediaPipe detects one person per frame.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np

# MediaPipe's number of each of COCO's 17 joints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
FAR = 0.5  # frame widths or heights beyond the frame: joints further out are guesses, and count as not detected


class ClipError(ValueError):
    """A video that cannot be decoded; the message is the reason."""


def entry(frame: int, landmarks: np.ndarray, size: tuple[int, int]) -> dict:
    """One person in one frame, as AlphaPose writes it.

    Args:
      landmarks: (33, 3): x and y as fractions of the frame, and visibility, as MediaPipe gives them.
      size: (width, height) of the frame in pixels.

    Returns:
      A dictionary whose `score` is the mean plus the highest score of the joints (AlphaPose's also grows with both).
    """
    joints = np.array(landmarks, np.float64)[list(COCO)]
    far = ((joints[:, :2] < -FAR) | (joints[:, :2] > 1 + FAR)).any(1)
    joints[:, :2] *= size
    joints[:, 2] = joints[:, 2].clip(0, 1)
    joints[far] = 0
    seen = joints[~far, :2] if not far.all() else np.zeros((1, 2))
    low, high = seen.min(0), seen.max(0)
    return {
        "image_id": f"{frame}.jpg",
        "category_id": 1,
        "keypoints": [round(float(value), 3) for value in joints.ravel()],
        "score": round(float(joints[:, 2].mean() + joints[:, 2].max()), 4),
        "box": [round(float(value), 2) for value in (*low, *(high - low))],
    }


def estimate_clip(path: pathlib.Path, frames: Callable, estimator: Callable) -> list[dict]:
    """The people of one clip.

    Args:
      frames: path -> all of its frames in order, (H, W, 3) uint8 RGB.
      estimator: frame -> landmarks (33, 3), or None without a detection.
    """
    entries = []
    for number, image in enumerate(frames(path)):
        landmarks = estimator(image)
        if landmarks is not None:
            entries.append(entry(number, landmarks, image.shape[1::-1]))
    return entries


def read_frames(path: pathlib.Path) -> Iterator[np.ndarray]:
    """Every frame of a video, upright: (H, W, 3) uint8 RGB. Raises ClipError if it is damaged or empty."""
    import av

    # PyAV 19, which requirements.txt pins for Python 3.12, accepts metadata other than UTF-8 without this option.
    lenient = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
    count = 0
    try:
        with av.open(str(path), **lenient) as container:
            if not container.streams.video:
                raise ClipError("has no video stream")
            container.streams.video[0].thread_type = "NONE"
            for frame in container.decode(video=0):
                if frame.is_corrupt:
                    raise ClipError(f"is damaged at {frame.time} s")
                count += 1
                image = frame.to_ndarray(format="rgb24")
                yield np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))
    except av.error.FFmpegError as error:
        raise ClipError(f"cannot be decoded ({error.strerror or error})") from error
    if not count:
        raise ClipError("has no frames")


def mediapipe_estimator() -> Callable[[np.ndarray], np.ndarray | None]:
    """MediaPipe's full model, which is in its package; it tracks the person from frame to frame."""
    import mediapipe

    model = mediapipe.solutions.pose.Pose(static_image_mode=False, model_complexity=1)

    def estimate(image: np.ndarray) -> np.ndarray | None:
        found = model.process(image).pose_landmarks
        return np.array([(mark.x, mark.y, mark.visibility) for mark in found.landmark]) if found else None

    return estimate


def write_clip(video: pathlib.Path, out: pathlib.Path, frames=read_frames, make_estimator=mediapipe_estimator) -> str:
    """Writes the file of one clip atomically; returns what went wrong, or ""."""
    try:
        entries = estimate_clip(video, frames, make_estimator())
    except (ClipError, OSError) as error:
        return f"{video}: {error}"
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    temporary.write_text(json.dumps(entries), encoding="utf-8")
    temporary.replace(out)
    return ""


def missing(videos: pathlib.Path, out: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """The clips without a file, each with the path of its file."""
    pairs = [(video, out / video.parent.name / f"{video.stem}.json") for video in sorted(videos.glob("*/*.mp4"))]
    return [(video, file) for video, file in pairs if not file.exists() and not video.name.startswith(".")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=pathlib.Path, required=True, help="folder of <class>/<clip>.mp4")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for <class>/<clip>.json")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one per core)")
    options = parser.parse_args()
    if not any(options.videos.glob("*/*.mp4")):
        sys.exit(f"error: no <class>/<clip>.mp4 in {options.videos}")
    pairs = missing(options.videos, options.out)
    if problems := run(pairs, options.workers):
        sys.exit("\n  ".join([f"error: {len(problems)} clips have no poses:", *problems]))


def run(pairs: list[tuple[pathlib.Path, pathlib.Path]], workers: int) -> list[str]:
    """Writes the file of every clip; returns what went wrong."""
    import tqdm

    spawn = multiprocessing.get_context("spawn")  # MediaPipe's threads do not survive a fork
    problems = []
    with spawn.Pool(workers, end_with_parent) as pool, tqdm.tqdm(total=len(pairs), unit=" clips") as bar:
        for problem in pool.imap_unordered(_write_pair, pairs):
            problems += [problem] if problem else []
            bar.update()
    return sorted(problems)


def end_with_parent() -> None:
    """Ends this process when its parent is gone, even if that was killed; a busy worker would continue."""

    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_pair(pair) -> str:
    return write_clip(*pair)


if __name__ == "__main__":
    main()
