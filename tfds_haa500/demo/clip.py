"""One generated clip: its random parameters, and the frames and annotations that follow from them.

A clip is drawn and rendered independently of which class of its composite it belongs to; for the backward class, the
finished frames are then reversed. So a single frame, even the middle one, does not reveal the direction: the two
classes of a composite have the same distribution of frames, by construction. (The number of frames is odd, because an
even one has no middle that reversal keeps.) The same holds for the source video that the clip is cut from, in which
the person stands idle before and after the movement.
"""

import base64
import dataclasses
import hashlib
import zlib

import cv2
import numpy as np

from tfds_haa500.demo import drawing
from tfds_haa500.demo import motion as body
from tfds_haa500.demo import props as demo_props
from tfds_haa500.streams import pose

SIZES = ((128, 96), (120, 96), (112, 112), (128, 112), (144, 108), (96, 112), (160, 90))
SIZE_WEIGHTS = (0.27, 0.2, 0.15, 0.15, 0.1, 0.08, 0.05)
FPS = (10, 15, 24, 25, 30)
SHORT, MOVING, CROWDED, PATCHY = 0.08, 0.25, 0.15, 0.1  # share of clips that are short, panned, ...
AROUND = (0.7, 1.3)  # range of how long the source is before the clip, and after it, in lengths of the clip
STANDING_RATE = 2  # how often the person sways during one length of the clip
STANDING = body.Motion(
    names=("", ""),
    keys=(
        body.Key((0, -0.5), (-0.02, -0.81), ((0.16, -0.5), (-0.16, -0.5)), (-0.5, 0.5)),
        body.Key((0, -0.5), (0.02, -0.81), ((0.17, -0.49), (-0.17, -0.49)), (-0.5, 0.5)),
    ),
    feet=((0.08, -0.04), (-0.08, -0.04)),
    knees=(0, 0),
    window=(-0.2, 0.2, -1.0, 0.0),
)


@dataclasses.dataclass(frozen=True)
class Bystander:
    """A second, smaller person in the background who sways a little (`rate` swings a clip, from `phase`)."""

    camera: drawing.Camera
    look: drawing.Look
    rate: float
    phase: float


@dataclasses.dataclass(frozen=True)
class Clip:
    """Everything that determines how a clip looks; `keys` (K, 5, 2) are those of its motion, slightly varied."""

    name: str
    composite: str
    index: int
    seed: tuple[int, ...]
    frames: int
    fps: int
    size: tuple[int, int]  # width, height in pixels
    before: int  # frames of the source video before the first one rendered
    keys: np.ndarray
    span: tuple[float, float]  # progress at the first and at the last rendered frame
    ease: float
    camera: drawing.Camera
    pan: np.ndarray  # (2,) pixels that the picture moves over the whole clip
    look: drawing.Look
    dark: bool
    bystander: Bystander | None
    undetected: frozenset[int]  # rendered frames in which no person is detected
    after: int  # frames of the source video after the last one rendered

    @property
    def stem(self) -> str:
        """The name of the clip's files, without suffix."""
        return f"{self.name}_{self.index:03d}"

    @property
    def source_id(self) -> str:
        """The id of the source video: 11 characters, like YouTube's, and unique to the clip."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.stem.encode()).digest()[:8]).decode().rstrip("=")

    @property
    def start(self) -> float:
        """Seconds into the source video, as it is played."""
        return (self.after if self.backward else self.before) / self.fps

    @property
    def motion(self) -> body.Motion:
        """The movement shown."""
        return body.MOTIONS[self.composite]

    @property
    def backward(self) -> bool:
        """Whether the class is the time reversal of its composite's movement."""
        return self.motion.names.index(self.name) == 1


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture (h, w, 3) uint8 with its annotations; `people` and `objects` lack only the `image_id`."""

    image: np.ndarray
    people: list[dict]
    box: list[float]
    objects: list[dict]


def draw_clip(name: str, composite: str, index: int, seed: int) -> Clip:
    """The parameters of clip `index` of class `name`: a function of the arguments alone."""
    key = (seed, zlib.crc32(composite.encode()), zlib.crc32(name.encode()), index)
    rng = np.random.default_rng(key)
    motion = body.MOTIONS[composite]
    frames = 2 * int(rng.integers(4, 7) if rng.random() < SHORT else rng.integers(10, 22)) + 1
    size = SIZES[rng.choice(len(SIZES), p=SIZE_WEIGHTS)]
    keys = body.key_array(motion)
    keys[:, :4] += rng.normal(0, 0.01, (4, 2)) + rng.normal(0, 0.006, keys[:, :4].shape)
    camera = camera_on(rng, motion.window, size)
    dark = rng.random() < 0.5
    gaps = rng.choice(frames, rng.integers(1, 4), replace=False) if rng.random() < PATCHY else ()
    return Clip(
        name=name,
        composite=composite,
        index=index,
        seed=key,
        frames=frames,
        fps=int(rng.choice(FPS)),
        size=size,
        before=round(frames * rng.uniform(*AROUND)),
        keys=keys,
        span=(rng.uniform(0, 0.06), 1 - rng.uniform(0, 0.06)),
        ease=rng.uniform(-0.2, 0.6),
        camera=camera,
        pan=rng.uniform(4, 10) * rng.choice([-1, 1], 2) * (1, 0.3) if rng.random() < MOVING else np.zeros(2),
        look=drawing.random_look(rng, dark),
        dark=dark,
        bystander=_bystander(rng, camera, size, dark) if rng.random() < CROWDED else None,
        undetected=frozenset(int(gap) for gap in gaps),
        after=round(frames * rng.uniform(*AROUND)),
    )


def camera_on(rng, window, size) -> drawing.Camera:
    """A camera that shows `window` about the middle of the frame, at random to the left or right."""
    left, right, top, bottom = window
    fit = min(size[1], 1.1 * size[0]) / (bottom - top)
    scale, mirror = fit * rng.uniform(0.88, 0.99), int(rng.choice([-1, 1]))
    middle = np.array([mirror * (left + right), top + bottom]) / 2
    origin = np.array(size) / 2 + rng.normal(0, 0.012, 2) * size - scale * middle
    return drawing.Camera(scale, origin, mirror)


def _bystander(rng, camera, size, dark) -> Bystander:
    scale = camera.scale * rng.uniform(0.45, 0.6)
    x = size[0] * (0.5 + rng.choice([-1, 1]) * rng.uniform(0.25, 0.38))
    place = drawing.Camera(scale, np.array([x, camera.origin[1] - 0.06 * camera.scale]), 1)
    return Bystander(place, drawing.random_look(rng, dark), rng.uniform(0.5, 1.5), rng.uniform(0, 2 * np.pi))


def progress(clip: Clip) -> np.ndarray:
    """How far the movement is at each rendered frame (frames,): eased equally at both ends, never at rest."""
    time = np.linspace(0, 1, clip.frames)
    eased = time - clip.ease * np.sin(2 * np.pi * time) / (2 * np.pi)
    return clip.span[0] + (clip.span[1] - clip.span[0]) * eased


def render(clip: Clip) -> list[Frame]:
    """The clip's frames in playing order."""
    rng = np.random.default_rng((*clip.seed, 1))
    scene = _scene(clip, rng)
    frames = []
    for number, done in enumerate(progress(clip)):
        joints = body.pose(clip.motion, clip.keys, done)
        frames.append(_frame(clip, number, joints, done, scene, rng))
    return frames[::-1] if clip.backward else frames


def render_around(clip: Clip) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the source video shows before and after the clip, in playing order: pictures as those of `render`.

    The person stands in the same scene, with the same props, which do not move.
    """
    scene = _scene(clip, np.random.default_rng((*clip.seed, 1)))
    motion = dataclasses.replace(
        STANDING, feet=clip.motion.feet, knees=clip.motion.knees, side_view=clip.motion.side_view
    )
    keys = body.key_array(STANDING)
    keys[:, :4, 0] += np.mean(clip.motion.feet, axis=0)[0]
    rng = np.random.default_rng((*clip.seed, 2))  # for annotations, which are not used

    def stand(number: int) -> np.ndarray:
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * STANDING_RATE * number / clip.frames)
        return _frame(clip, number, body.pose(motion, keys, swing), 0.5, scene, rng).image

    before = [stand(number) for number in range(-clip.before, 0)]
    after = [stand(number) for number in range(clip.frames, clip.frames + clip.after)]
    return (after[::-1], before[::-1]) if clip.backward else (before, after)


def _scene(clip, rng) -> np.ndarray:
    floor = clip.camera.origin[1] - rng.uniform(0.03, 0.15) * clip.camera.scale
    return drawing.background(rng, clip.size, np.clip(floor, 0, clip.size[1]), clip.dark)


def _frame(clip, number, joints, done, scene, rng) -> Frame:
    time = number / (clip.frames - 1)
    shift = clip.pan * (np.clip(time, 0, 1) - 0.5)  # the camera rests before and after the clip
    image = drawing.crop(scene, clip.size, shift)
    camera = dataclasses.replace(clip.camera, origin=clip.camera.origin + shift)
    props, core, arms = parts(clip, joints, done)
    people = _bystanders(clip, time, shift, image, rng)
    drawing.paint(image, in_order(props, core, arms), camera)
    box = camera.box(core + arms, clip.size)
    scores = _scores(joints, camera, clip, _layer(props, "mid"), rng)
    people.insert(0, _detection(joints, scores, camera, box, rng.uniform(2.4, 3.2), 1))
    objects = [_object(prop, camera, clip.size, rng) for prop in props if prop.category is not None]
    seen = [thing for thing in objects if min(thing["bbox"][2:]) >= 2]
    return Frame(image, [] if number in clip.undetected else people, box, seen)


def parts(clip: Clip, joints: np.ndarray, done: float) -> tuple[list, list[drawing.Shape], list[drawing.Shape]]:
    """The props at `done` (0 to 1) of the movement, and the person in the two parts of `drawing.person`."""
    props = demo_props.PROPS[clip.composite](joints, done, clip.look)
    return props, *drawing.person(joints, clip.look, clip.motion.side_view)


def in_order(props: list, core: list[drawing.Shape], arms: list[drawing.Shape]) -> list[drawing.Shape]:
    """What `parts` returns, as shapes in the order in which they are painted."""
    return _layer(props, "back") + core + _layer(props, "mid") + arms + _layer(props, "front")


def _layer(props, layer) -> list[drawing.Shape]:
    return [shape for prop in props if prop.layer == layer for shape in prop.shapes]


def _bystanders(clip, time, shift, image, rng) -> list[dict]:
    """Draws the second person, if the clip has one, and returns the detection."""
    if clip.bystander is None:
        return []
    other = clip.bystander
    camera = dataclasses.replace(other.camera, origin=other.camera.origin + shift)
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * other.rate * time + other.phase)
    joints = body.pose(STANDING, body.key_array(STANDING), swing)
    core, arms = drawing.person(joints, other.look, side_view=False)
    drawing.paint(image, core + arms, camera)
    scores = 0.75 * _scores(joints, camera, clip, [], rng)
    return [_detection(joints, scores, camera, camera.box(core + arms, clip.size), rng.uniform(1.2, 1.9), 2)]


def _scores(joints, camera, clip, covers, rng) -> np.ndarray:
    """A pose estimator's confidence in each joint (17,): low outside the frame and behind other things."""
    pixels = camera.pixels(joints)
    outside = ((pixels < 0) | (pixels >= clip.size)).any(1)
    hidden = np.array([_covered(point, covers) for point in joints])
    hidden[body.L_SHOULDER : body.R_WRIST + 1] = False  # arms are drawn over what covers the body
    if clip.motion.side_view:
        hidden[[body.L_EYE, body.L_EAR]] = True
    scores = np.where(hidden, rng.uniform(0.15, 0.45, 17), rng.uniform(0.7, 0.98, 17))
    return np.where(outside, rng.uniform(0.02, 0.3, 17), scores)


def _covered(point, shapes) -> bool:
    polygons = [shape.points.astype(np.float32) for shape in shapes if shape.width == 0]
    return any(cv2.pointPolygonTest(outline, point.tolist(), False) >= 0 for outline in polygons)


def _detection(joints, scores, camera, box, score, track) -> dict:
    """A person as AlphaPose writes it; in a mirrored picture the left joints are the right ones."""
    rows = np.concatenate([camera.pixels(joints), scores[:, None]], axis=1)
    rows = rows[list(pose.MIRRORED)] if camera.mirror < 0 else rows
    values = [round(float(value), 3) for value in rows.ravel()]
    return {"category_id": 1, "keypoints": values, "score": round(float(score), 4), "box": box, "idx": track}


def _object(prop, camera, size, rng) -> dict:
    box = camera.box(prop.shapes, size)
    return {"category_id": prop.category, "bbox": box, "score": round(float(rng.uniform(0.55, 0.99)), 4)}
