"""The things people use in the generated archive, placed by the pose: one function a composite.

Each takes the joints (17, 2) in body heights, the progress of the movement (0 to 1) and the colors, and
returns the composite's props. `category` is the COCO id if COCO has such a class.
"""

import dataclasses

import numpy as np

from tfds_haa500.demo import motion as body
from tfds_haa500.demo.drawing import Look, Shape, oval, shade

WOOD, DARK, STEEL, LEATHER, RED = (150, 90, 40), (35, 30, 30), (150, 155, 165), (225, 210, 180), (205, 30, 40)
CAR, DOG, FRISBEE, KITE, BOWL, APPLE = 3, 18, 34, 38, 51, 53


@dataclasses.dataclass(frozen=True)
class Prop:
    """Shapes drawn behind the person ("back"), between body and arms ("mid") or on top of both ("front")."""

    layer: str
    shapes: list[Shape]
    category: int | None = None


def _line(*points) -> np.ndarray:
    return np.array(points, float)


def _mix(first, last, progress: float) -> np.ndarray:
    return (1 - progress) * np.array(first) + progress * np.array(last)


def squat(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A mat, so that this composite is not recognized by its lack of props."""
    return [Prop("back", [Shape(_line((-0.3, 0), (0.3, 0)), look.prop, 0.05)])]


def barbell(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A bar through both hands with a disc and a smaller one at each end."""
    left, right = joints[body.L_WRIST], joints[body.R_WRIST]
    ends = body.moved(left, 0.15, 0), body.moved(right, -0.15, 0)
    discs = [Shape(oval(end, (0.045, 0.13)), shade(look.prop, 0.9)) for end in ends]
    hubs = [Shape(oval(end, (0.02, 0.06)), DARK) for end in ends]
    return [Prop("front", [Shape(np.stack(ends), STEEL, 0.03), *discs, *hubs])]


def drum(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A drum before the body and a stick in each hand, pointing up first and down on the skin last."""
    top, bottom, half = -0.42, -0.13, 0.21
    shell = np.concatenate([_line((-half, top), (-half, bottom)), oval((0, bottom), (half, 0.05))[11:0:-1]])
    shell = np.concatenate([shell, _line((half, bottom), (half, top))])
    hoops = [Shape(oval((0, y), (half, 0.06)), color) for y, color in ((top + 0.02, STEEL), (top, LEATHER))]
    sticks = []
    for wrist, sign in ((joints[body.L_WRIST], 1), (joints[body.R_WRIST], -1)):
        tip = wrist + _mix((-0.05 * sign, -0.13), (-0.07 * sign, 0.11), progress)
        sticks.append(Shape(np.stack([wrist, tip]), WOOD, 0.03))
    return [Prop("mid", [Shape(shell, look.prop), *hoops]), Prop("front", sticks)]


def cello(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A stool, a cello between the knees, and a bow held in the right hand across the strings."""
    stool = Prop("back", [Shape(_line((-0.14, 0), (-0.1, -0.28), (0.1, -0.28), (0.14, 0)), DARK, 0.05)])
    bouts = [Shape(oval((0.03, -0.19), (0.155, 0.14)), WOOD), Shape(oval((0.04, -0.38), (0.11, 0.1)), WOOD)]
    neck = Shape(_line((0.03, -0.14), (0.1, -0.86)), DARK, 0.03)
    strings, hand = np.array([0.035, -0.3]), joints[body.R_WRIST]
    gap = strings - hand
    tip = hand + 0.46 * gap / max(float(np.linalg.norm(gap)), 1e-3)
    bow = Shape(np.stack([hand, tip]), look.prop, 0.03)
    return [stool, Prop("mid", [*bouts, neck]), Prop("front", [bow])]


def kite(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A kite next to the person, on a string from the outer hand."""
    center = _mix((-0.3, -0.36), (-0.3, -0.98), progress)
    corners = center + _line((0, -0.17), (0.12, -0.03), (0, 0.16), (-0.12, -0.03))
    sail = [Shape(corners, look.prop), Shape(corners[[0, 1, 2]], shade(look.prop, 0.6))]
    tail = Shape(center + _line((0, 0.16), (0.03, 0.2), (-0.02, 0.24), (0.02, 0.29)), RED, 0.02)
    string = Shape(np.stack([joints[body.R_WRIST], center]), STEEL, 0.01)
    return [Prop("back", [tail]), Prop("back", sail, KITE), Prop("front", [string])]


def dog_trick(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A disc held up, and a dog that lies at first and stands on its hind legs at last."""
    fur, dim = (170, 115, 60), (120, 78, 40)
    rump, chest = _mix((0.34, -0.12), (0.26, -0.22), progress), _mix((0.12, -0.14), (0.18, -0.5), progress)
    skull, paw = chest + _mix((-0.05, -0.1), (-0.04, -0.14), progress), body.moved(chest, -0.13, 0.08)
    tail = rump + _mix((0.09, -0.02), (0.12, -0.08), progress)
    dog = [
        Shape(np.stack([rump, tail]), dim, 0.035),
        Shape(np.stack([rump, body.moved(rump, 0.04, 0.05), (0.24, -0.02)]), dim, 0.06),
        Shape(np.stack([chest, paw]), dim, 0.045),
        Shape(np.stack([rump, chest]), fur, 0.13),
        Shape(np.stack([skull, body.moved(skull, -0.08, 0.02)]), fur, 0.06),
        Shape(skull[None], fur, 0.12),
        Shape(np.stack([body.moved(skull, 0.03, -0.03), body.moved(skull, 0.06, 0.05)]), dim, 0.04),
        Shape(body.moved(skull, -0.02, -0.02)[None], DARK, 0.02),
    ]
    disc = Shape(oval(body.moved(joints[body.R_WRIST], 0.06, -0.02), (0.1, 0.035), -0.3), look.prop)
    return [Prop("front", dog, DOG), Prop("front", [disc], FRISBEE)]


def apple(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """A table that hides the legs, a bowl with two apples, and one apple in the right hand."""
    edge, place = -0.42, np.array([-0.17, -0.43])
    table = [Shape(_line((-2, edge), (2, edge), (2, 0.5), (-2, 0.5)), WOOD)]
    table.append(Shape(_line((-2, edge), (2, edge)), shade(WOOD, 0.7), 0.02))
    rim = oval(place, (0.14, 0.13))
    bowl = Shape(rim[rim[:, 1] >= place[1] - 1e-9], look.prop)
    stored = [Shape(body.moved(place, x, -0.01)[None], shade(RED, 0.8), 0.08) for x in (-0.05, 0.05)]
    held = Shape(body.moved(joints[body.R_WRIST], 0.02, -0.03)[None], RED, 0.1)
    apples = [Prop("mid", [one], APPLE) for one in stored]
    return [Prop("mid", table), *apples, Prop("mid", [bowl], BOWL), Prop("front", [held], APPLE)]


def suv_hood(joints: np.ndarray, progress: float, look: Look) -> list[Prop]:
    """The front of a car whose hood turns about its rear edge, following the near hand."""
    hinge, hand = np.array([0.38, -0.5]), joints[body.R_WRIST]
    tip = hinge + 0.37 * (hand - hinge) / max(float(np.linalg.norm(hand - hinge)), 1e-3)
    nose = [(0.02, -0.12), (0.02, -0.38), (0.05, -0.46), (0.38, -0.48)]
    car = [
        Shape(np.stack([tip, hinge, _line((0.05, -0.46))[0]]), DARK),
        Shape(_line(*nose, (0.5, -0.82), (1.2, -0.84), (1.2, -0.12)), look.prop),
        Shape(_line((0.46, -0.52), (0.54, -0.76), (1.1, -0.77), (1.1, -0.52)), (170, 200, 215)),
        Shape(np.stack([hinge, tip]), shade(look.prop, 0.75), 0.05),
        Shape(_line((0.26, -0.11)), DARK, 0.24),
        Shape(_line((0.26, -0.11)), STEEL, 0.11),
        Shape(_line((0.05, -0.36)), (250, 240, 170), 0.07),
    ]
    return [Prop("back", car, CAR)]


PROPS = {
    "squat": squat,
    "barbell": barbell,
    "drum": drum,
    "cello": cello,
    "kite": kite,
    "dog_trick": dog_trick,
    "apple": apple,
    "SUV_hood": suv_hood,
}
