"""Draws the generated archive's pictures: shapes in body heights, a person made of them, and backgrounds."""

import dataclasses

import cv2
import numpy as np

from tfds_haa500.demo import motion as body

Color = tuple[int, int, int]
SUBPIXEL_BITS = 4
MARGIN = 16  # pixels of background beyond each edge of the frame, for the camera to pan over
CIRCLE = np.stack([function(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for function in (np.cos, np.sin)], axis=1)
FAR, SLEEVE = 0.72, 0.85  # how much darker the far limbs and the sleeves are, so that they stand out


@dataclasses.dataclass(frozen=True)
class Shape:
    """A filled polygon (`width` 0), a disc (one point, `width` = diameter) or else a thick open line."""

    points: np.ndarray  # (n, 2) body heights
    color: Color
    width: float = 0.0


@dataclasses.dataclass(frozen=True)
class Camera:
    """Maps body heights to pixels: (0, 0) is at `origin`; `mirror` is 1, or -1 to swap left and right."""

    scale: float  # pixels per body height
    origin: np.ndarray  # (2,) pixels
    mirror: int

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) body heights to (n, 2) pixels."""
        return self.origin + self.scale * np.asarray(points) * (self.mirror, 1)

    def box(self, shapes: list[Shape], size: tuple[int, int]) -> list[float]:
        """The part inside a frame of `size` (width, height) of the shapes' box: [x, y, w, h] pixels."""
        points = self.pixels(np.concatenate([shape.points for shape in shapes]))
        widths = np.repeat([shape.width for shape in shapes], [len(shape.points) for shape in shapes])
        reach = widths[:, None] * self.scale / 2
        low, high = np.clip((points - reach).min(0), 0, size), np.clip((points + reach).max(0), 0, size)
        return [round(float(value), 2) for value in (*low, *(high - low))]


@dataclasses.dataclass(frozen=True)
class Look:
    """Colors of a person and of the main prop."""

    skin: Color
    hair: Color
    shirt: Color
    trousers: Color
    shoes: Color
    prop: Color


def shade(color: Color, factor: float) -> Color:
    """`color` darkened (`factor` < 1) or lightened (> 1)."""
    return tuple(int(min(255, channel * factor)) for channel in color)


def oval(center, radii, turn: float = 0.0) -> np.ndarray:
    """The outline of an ellipse, turned by `turn` radians: (24, 2)."""
    turning = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(center) + (CIRCLE * radii) @ turning


def paint(image: np.ndarray, shapes: list[Shape], camera: Camera) -> None:
    """Draws shapes into `image` (h, w, 3) uint8 in place, first to last."""
    ends = np.cumsum([len(shape.points) for shape in shapes])
    subpixels = np.round(camera.pixels(np.concatenate([s.points for s in shapes])) * 2**SUBPIXEL_BITS).astype(np.int32)
    for shape, points in zip(shapes, np.split(subpixels, ends[:-1]), strict=True):
        width = shape.width * camera.scale
        if shape.width == 0:
            cv2.fillPoly(image, [points], shape.color, cv2.LINE_AA, SUBPIXEL_BITS)
        elif len(points) == 1:
            radius = round(width / 2 * 2**SUBPIXEL_BITS)
            cv2.circle(image, points[0].tolist(), radius, shape.color, -1, cv2.LINE_AA, SUBPIXEL_BITS)
        else:
            thickness = max(1, round(width))
            cv2.polylines(image, [points], False, shape.color, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def person(joints: np.ndarray, look: Look, side_view: bool) -> tuple[list[Shape], list[Shape]]:
    """A person as (all but the near arms, the near arms): what they hold against the body is drawn in between.

    In a side view the left limbs are the far ones.
    """
    far = FAR if side_view else 1.0
    left_arm, right_arm = _arm(joints, look, 0, far), _arm(joints, look, 1, 1.0)
    legs = _leg(joints, look, 0, far, side_view) + _leg(joints, look, 1, 1.0, side_view)
    core = legs + _torso(joints, look, side_view) + _head(joints, look, side_view)
    return (left_arm + core, right_arm) if side_view else (core, left_arm + right_arm)


def _arm(joints, look, side, factor) -> list[Shape]:
    shoulder, elbow, wrist = joints[[body.L_SHOULDER + side, body.L_ELBOW + side, body.L_WRIST + side]]
    skin = shade(look.skin, factor)
    return [
        Shape(np.stack([elbow, wrist]), skin, 0.05),
        Shape(np.stack([shoulder, elbow]), shade(look.shirt, SLEEVE * factor), 0.065),
        Shape(wrist[None], skin, 0.065),
    ]


def _leg(joints, look, side, factor, side_view) -> list[Shape]:
    hip, knee, ankle = joints[[body.L_HIP + side, body.L_KNEE + side, body.L_ANKLE + side]]
    toes = body.moved(ankle, 0.075 if side_view else (0.02, -0.02)[side], 0.02)
    return [
        Shape(np.stack([ankle, toes]), shade(look.shoes, factor), 0.05),
        Shape(np.stack([hip, knee, ankle]), shade(look.trousers, factor), 0.085),
    ]


def _torso(joints, look, side_view) -> list[Shape]:
    left, right, right_hip, left_hip = joints[[body.L_SHOULDER, body.R_SHOULDER, body.R_HIP, body.L_HIP]]
    neck, pelvis = (left + right) / 2, (left_hip + right_hip) / 2
    skull = joints[[body.L_EAR, body.R_EAR]].mean(0)
    throat = Shape(np.stack([neck, skull]), shade(look.skin, SLEEVE), 0.05)
    if side_view:
        return [throat, Shape(np.stack([body.moved(neck, 0, 0.03), pelvis]), look.shirt, 0.13)]
    corners = np.stack([left, right, right_hip, left_hip])
    return [throat, Shape(corners, look.shirt), Shape(corners[[0, 1, 2, 3, 0]], look.shirt, 0.06)]


def _head(joints, look, side_view) -> list[Shape]:
    skull = joints[[body.L_EAR, body.R_EAR]].mean(0)
    if side_view:
        eyes = [Shape(joints[[body.R_EYE]], look.hair, 0.018)]
        nose = Shape(np.stack([skull, joints[body.NOSE]]), look.skin, 0.03)
        hair = Shape(oval(body.moved(skull, -0.015, -0.012), (0.072, 0.08)), look.hair)
        face = Shape(oval(body.moved(skull, 0.014, 0.008), (0.056, 0.068)), look.skin)
        return [hair, face, nose, *eyes]
    hair = Shape(oval(body.moved(skull, 0, -0.012), (0.068, 0.08)), look.hair)
    face = Shape(oval(body.moved(skull, 0, 0.012), (0.056, 0.064)), look.skin)
    return [hair, face, *(Shape(joints[[eye]], look.hair, 0.02) for eye in (body.L_EYE, body.R_EYE))]


def random_look(rng: np.random.Generator, dark: bool) -> Look:
    """Random colors; clothes are light if the scene is dark and vice versa."""
    low, high = (150, 250) if dark else (15, 120)
    clothes = [tuple(int(v) for v in rng.integers(low, high, 3)) for _ in range(2)]
    tone = rng.uniform(0.45, 1.0)
    hair = tuple(int(v) for v in np.array([90, 60, 40]) * rng.uniform(0.2, 1.4))
    hue = np.uint8([[[rng.integers(0, 180), 230, 235]]])
    vivid = tuple(int(v) for v in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
    skin = tuple(int(v) for v in np.array([240, 195, 165]) * tone)
    return Look(skin, hair, *clothes, shoes=shade(clothes[1], 0.6), prop=vivid)


def background(rng: np.random.Generator, size: tuple[int, int], floor: float, dark: bool) -> np.ndarray:
    """A room or field: gradient, texture, a few faint things, and a floor from `floor` (pixel row) down.

    Returns:
      (h + 2 * MARGIN, w + 2 * MARGIN, 3) uint8 for `size` (w, h).
    """
    width, height = size[0] + 2 * MARGIN, size[1] + 2 * MARGIN
    low, high = (20, 95) if dark else (150, 235)
    top, bottom, ground = rng.uniform(low, high, (3, 3))
    canvas = np.linspace(top, bottom, height)[:, None] * np.ones((1, width, 1))
    things = canvas.astype(np.uint8)
    for _ in range(rng.integers(2, 6)):
        color = rng.uniform(low, high, 3).tolist()
        x, y, w, h = rng.uniform(0, 1, 4) * (width, height, width / 2, height / 2)
        if rng.random() < 0.5:
            cv2.rectangle(things, (int(x), int(y)), (int(x + w), int(y + h)), color, -1)
        else:
            cv2.circle(things, (int(x), int(y)), int(w / 2), color, -1, cv2.LINE_AA)
    canvas = 0.5 * canvas + 0.5 * things
    canvas[int(floor) + MARGIN :] = ground
    cells = int(rng.integers(4, 24))
    texture = rng.normal(0, rng.uniform(2, 9), (cells, cells, 1)).astype(np.float32)
    canvas += cv2.resize(texture, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(canvas, 0, 255).astype(np.uint8)


def crop(canvas: np.ndarray, size: tuple[int, int], shift: np.ndarray) -> np.ndarray:
    """The frame of `size` (w, h) out of a background, moved by `shift` (x, y) pixels: (h, w, 3) uint8."""
    move = np.array([[1, 0, shift[0] - MARGIN], [0, 1, shift[1] - MARGIN]], np.float64)
    return cv2.warpAffine(canvas, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
