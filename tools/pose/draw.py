"""Draws the poses of a clip on some of its frames: python tools/pose/draw.py CLIP.mp4 CLIP.json OUT.png"""

import json
import pathlib
import sys

import cv2
import numpy as np
from estimate import read_frames

LIMBS = ((5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16))
FRAMES, HEIGHT, SURE = 6, 240, 0.5


def draw(image: np.ndarray, people: list[dict]) -> np.ndarray:
    """A copy of a frame (H, W, 3), uint8 RGB, with the confident joints of people: left green, right orange."""
    image = image.copy()
    for person in people:
        joints = np.array(person["keypoints"]).reshape(17, 3)
        for first, last in LIMBS:
            if min(joints[first, 2], joints[last, 2]) > SURE:
                ends = [tuple(int(v) for v in joints[i, :2].round()) for i in (first, last)]
                cv2.line(image, *ends, (255, 255, 255), max(1, image.shape[0] // 150))
        for number, (x, y, score) in enumerate(joints):
            if score > SURE:
                color = (60, 220, 60) if number % 2 else (255, 140, 0)
                cv2.circle(image, (round(x), round(y)), max(2, image.shape[0] // 80), color, -1)
    return image


def main() -> None:
    video, poses, out = map(pathlib.Path, sys.argv[1:])
    frames = list(read_frames(video))
    entries = json.loads(poses.read_text(encoding="utf-8"))
    picked = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
    drawn = [draw(frames[i], [e for e in entries if e["image_id"] == f"{i}.jpg"]) for i in picked]
    width = drawn[0].shape[1] * HEIGHT // drawn[0].shape[0]
    row = np.concatenate([cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA) for image in drawn], axis=1)
    cv2.imwrite(str(out), row[..., ::-1])


if __name__ == "__main__":
    main()
