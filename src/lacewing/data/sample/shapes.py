"""The shapes an insect is made of: parts seen from above, and strokes for what is thin.

Lengths are in body lengths. The body's frame has its origin in the middle of the body, x
points forward to the head and y to the insect's left.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lacewing.data.sample.patterns import Pattern, plain

Colour = tuple[float, float, float]
"""Red, green and blue from 0 to 1."""
Point = tuple[float, float]

STEPS = 256
"""Samples of an outline from the base of a part to its tip."""
SMOOTHING = 28
"""Samples on each side over which an outline's corners are rounded."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """A part that stretches from its base along its axis, bounded by an outline on each side.

    It is shaded as if it were turned on a lathe (`relief` 1), flat (0) or in between.
    """

    base: Point
    angle: float
    """Of the axis, in radians; 0 points to the head."""
    length: float
    left: np.ndarray
    """Distance of the outline from the axis on the left side, float32 [STEPS], base to tip."""
    right: np.ndarray
    colour: Colour
    mark: Colour = (0.0, 0.0, 0.0)
    pattern: Pattern = plain
    """Where the mark's colour shows."""
    relief: float = 1.0
    gloss: float = 0.1
    opacity: float = 1.0
    """Of the part where it has no mark."""
    rings: float = 0.0
    """Number of segments that dark rings divide the part into."""
    grooves: float = 0.0
    """Number of lengthwise grooves on each side."""
    suture: bool = False
    """Whether a dark line runs along the axis, as between two wing cases."""


@dataclass(frozen=True)
class Stroke:
    """A line through points, `width` thick; `knob` is the radius of a disc at its end."""

    points: tuple[Point, ...]
    width: float
    knob: float = 0.0


@dataclass(frozen=True)
class Insect:
    """What to paint, from the lowest to the highest: strokes, then parts, in their order."""

    strokes: tuple[Stroke, ...]
    limb_colour: Colour
    parts: tuple[Part, ...]


def oval(width: float, power: float = 2.0, widest: float = 0.5) -> np.ndarray:
    """A superellipse's outline, `width` from the axis where it is `widest` (0 base, 1 tip)."""
    t = np.linspace(0.0, 1.0, STEPS)
    warped = t ** (math.log(0.5) / math.log(widest))
    outline = (1.0 - np.abs(2.0 * warped - 1.0) ** power) ** (1.0 / power)
    return (width * outline).astype(np.float32)


def outline(*knots: tuple[float, float]) -> np.ndarray:
    """A smooth outline through (share of the length, distance from the axis)."""
    t = np.linspace(0.0, 1.0, STEPS)
    positions, widths = zip(*knots, strict=True)
    sharp = np.interp(t, positions, widths)
    window = np.hanning(2 * SMOOTHING + 1)
    padded = np.pad(sharp, SMOOTHING, mode="reflect", reflect_type="odd")
    return np.maximum(np.convolve(padded, window / window.sum(), "valid"), 0).astype(np.float32)


def both_sides(part: Part) -> tuple[Part, Part]:
    """A part and its mirror image on the other side of the body."""
    x, y = part.base
    mirrored = replace(part, base=(x, -y), angle=-part.angle, left=part.right, right=part.left)
    return part, mirrored


def mirrored_strokes(strokes: Sequence[Stroke]) -> tuple[Stroke, ...]:
    """Strokes with their mirror images."""
    flipped = [replace(s, points=tuple((x, -y) for x, y in s.points)) for s in strokes]
    return (*strokes, *flipped)
