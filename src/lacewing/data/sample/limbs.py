"""Legs and antennae, as strokes."""

import math

import numpy as np

from lacewing.data.sample.shapes import Point, Stroke, mirrored_strokes

LEG_ANGLES = (50.0, 98.0, 140.0)
"""Directions of the front, middle and hind leg, in degrees from the head."""
LEG_BENDS = (-38.0, 30.0, 32.0)
"""How much the shin turns from the thigh, in degrees."""


def legs(
    rng: np.random.Generator,
    roots: tuple[float, ...],
    side: float,
    length: float,
    width: float,
) -> tuple[Stroke, ...]:
    """A leg on each side for each root: its place along the body; `side` is half the body's
    width there, beneath which a leg begins. Each leg has its own pose."""
    strokes: list[Stroke] = []
    for sign in (1.0, -1.0):
        for root, angle, bend in zip(roots, LEG_ANGLES, LEG_BENDS, strict=False):
            direction = math.radians(angle + rng.uniform(-14, 14))
            shin = direction + math.radians(bend + rng.uniform(-16, 16))
            foot = shin + math.radians(0.6 * bend)
            hip = (root, 0.6 * side)
            knee = _step(hip, direction, 0.4 * side + 0.5 * length)
            ankle = _step(knee, shin, 0.4 * length)
            toe = _step(ankle, foot, 0.18 * length)
            upper, lower = _sided((hip, knee), sign), _sided((knee, ankle, toe), sign)
            strokes += [Stroke(upper, 1.5 * width), Stroke(lower, width)]
    return tuple(strokes)


def antennae(
    rng: np.random.Generator,
    root: Point,
    length: float,
    width: float,
    *,
    angle: float = 32.0,
    bend: float = 40.0,
    knob: float = 0.0,
    feathers: float = 0.0,
) -> tuple[Stroke, ...]:
    """Both antennae, alike: from `root` on the left side at `angle` degrees from the head,
    turning `bend` degrees outwards on the way; with a knob, or feathers of a given length."""
    start = math.radians(angle + rng.uniform(-10, 10))
    turn = math.radians(bend + rng.uniform(-15, 15)) / 7
    points = [root]
    for step in range(8):
        points.append(_step(points[-1], start + step * turn, length / 8))
    strokes = [Stroke(tuple(points), width, knob)]
    for step in range(1, 8 if feathers else 0):
        ray = start + step * turn
        reach = feathers * (1.0 - 0.09 * step)
        tips = [_step(points[step], ray + side, reach) for side in (0.8, -0.8)]
        strokes += [Stroke((points[step], tip), 0.6 * width) for tip in tips]
    return mirrored_strokes(strokes)


def _step(point: Point, direction: float, length: float) -> Point:
    return point[0] + length * math.cos(direction), point[1] + length * math.sin(direction)


def _sided(points: tuple[Point, ...], sign: float) -> tuple[Point, ...]:
    return tuple((x, sign * y) for x, y in points)
