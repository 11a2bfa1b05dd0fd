"""Body plans without wing cases: aphid, moth, grasshopper, hoverfly and planthopper."""

import math

import numpy as np

from lacewing.data.sample.limbs import antennae, legs
from lacewing.data.sample.look import Look, mixed
from lacewing.data.sample.patterns import banded, plain, veined
from lacewing.data.sample.shapes import (
    Colour,
    Insect,
    Part,
    Stroke,
    both_sides,
    mirrored_strokes,
    outline,
    oval,
)

EYE = (0.2, 0.05, 0.04)
GLASS = (0.82, 0.85, 0.84)


def aphid(look: Look, rng: np.random.Generator) -> Insect:
    """A soft pear with two little tubes at its rear, thin legs, very long antennae."""
    pear, chest, head = oval(0.28, 2.0, 0.4), oval(0.155, 2.2), oval(0.1, 2.4)
    parts = (
        *_eyes(0.4, 0.085, 0.028),
        _body(0.31, 0.17, head, look.colour),
        _body(0.13, 0.25, chest, look.colour),
        _body(-0.5, 0.74, pear, look.colour, look, rings=6.0),
    )
    if rng.random() < 0.1:
        wing = both_sides(_glass((0.2, 0.06), 158 + rng.uniform(-8, 8), 0.95, 0.17, look))
        parts = (*parts, *wing)
    tubes = mirrored_strokes([Stroke(((-0.3, 0.19), (-0.5, 0.27)), 0.04)])
    tail = Stroke(((-0.47, 0.0), (-0.57, 0.0)), 0.05)
    feelers = antennae(rng, (0.45, 0.06), 0.95 * look.antennae, 0.017, angle=28, bend=115)
    walking = legs(rng, (0.26, 0.14, -0.02), 0.15, 0.72 * look.legs, 0.02)
    return Insect((*walking, *feelers, *tubes, tail), look.limb, parts)


def moth(look: Look, rng: np.random.Generator) -> Insect:
    """Broad opaque wings, spread or folded to a triangle, a furry body, feathery antennae."""
    spread = rng.random() < 0.6
    front, hind = rng.uniform(72, 96), rng.uniform(122, 136)
    fore = _moth_wing((0.2, 0.05), front if spread else front + 66, 0.82, 0.38, look)
    aft = _moth_wing((0.05, 0.05), hind if spread else hind + 26, 0.56, 0.34, look)
    furry, tapered, head = oval(0.13, 2.0), oval(0.1, 2.0, 0.6), oval(0.07)
    dull = mixed(look.colour, look.limb, 0.45)
    abdomen = _body(-0.45, 0.5, tapered, dull, rings=6.0)
    top = (_body(0.32, 0.13, head, dull), _body(0.0, 0.37, furry, dull))
    wings = (*both_sides(aft), *both_sides(fore))
    parts = (*wings, abdomen, *top) if spread else (abdomen, *wings, *top)
    feelers = antennae(
        rng, (0.42, 0.04), 0.34 * look.antennae, 0.02, angle=38, bend=45, feathers=0.06
    )
    return Insect((*feelers, *legs(rng, (0.3,), 0.1, 0.3 * look.legs, 0.02)), look.limb, parts)


def grasshopper(look: Look, rng: np.random.Generator) -> Insect:
    """A long slim body under straight folded wings, and great hind thighs."""
    slim, saddle, head = oval(0.09, 2.4, 0.6), oval(0.12, 4.0, 0.45), oval(0.105, 2.8)
    cover = outline((0, 0.045), (0.15, 0.07), (0.75, 0.06), (0.95, 0.035), (1, 0.0))
    inner = outline((0, 0.02), (0.8, 0.02), (1, 0.0))
    folded = Part(
        base=(0.18, 0.03), angle=math.radians(177), length=0.84, left=inner, right=cover,
        colour=mixed(look.colour, (0.5, 0.4, 0.25), 0.25), mark=look.mark,
        pattern=look.pattern, relief=0.6,
    )  # fmt: skip
    lift = math.radians(rng.uniform(24, 50))
    thigh = outline((0, 0.04), (0.2, 0.07), (0.5, 0.055), (0.8, 0.025), (1, 0.015))
    femur = Part(
        base=(0.0, 0.08), angle=math.pi - lift, length=0.5, left=thigh, right=thigh,
        colour=look.colour, mark=look.mark, pattern=banded(rng), gloss=0.15,
    )  # fmt: skip
    knee = (-0.49 * math.cos(lift), 0.08 + 0.49 * math.sin(lift))
    heel = (knee[0] - 0.3 * math.cos(lift - 0.9), knee[1] + 0.3 * math.sin(lift - 0.9))
    shin = Stroke((knee, heel, (heel[0] - 0.1, heel[1])), 0.028)
    parts = (
        _body(-0.56, 0.8, slim, look.colour, rings=9.0),
        *both_sides(folded),
        *both_sides(femur),
        *_eyes(0.42, 0.085, 0.036),
        _body(0.3, 0.2, head, look.colour),
        _body(0.06, 0.29, saddle, mixed(look.colour, look.limb, 0.2)),
    )
    shins = mirrored_strokes([shin])
    feelers = antennae(rng, (0.47, 0.04), 0.4 * look.antennae, 0.018, angle=24, bend=22)
    walking = legs(rng, (0.26, 0.14), 0.1, 0.34 * look.legs, 0.024)
    return Insect((*shins, *feelers, *walking), look.limb, parts)


def hoverfly(look: Look, rng: np.random.Generator) -> Insect:
    """Two clear wings held out, eyes that fill the head, a round chest, a flat abdomen."""
    chest, flat, head = oval(0.145, 2.2), oval(0.16, 2.3, 0.55), oval(0.1)
    wing = _glass((0.2, 0.09), rng.uniform(112, 140), 0.78, 0.2, look)
    parts = (
        _body(-0.52, 0.62, flat, look.colour, look, gloss=0.3),
        _body(0.04, 0.32, chest, mixed(look.limb, (0.4, 0.35, 0.2), 0.4), gloss=0.25),
        _body(0.35, 0.13, head, look.colour),
        *_eyes(0.41, 0.085, 0.075, (0.33, 0.1, 0.07)),
        *both_sides(wing),
    )
    feelers = antennae(rng, (0.47, 0.03), 0.09 * look.antennae, 0.025, angle=20, knob=0.018)
    walking = legs(rng, (0.26, 0.16, 0.08), 0.14, 0.42 * look.legs, 0.024)
    return Insect((*walking, *feelers), look.limb, parts)


def planthopper(look: Look, rng: np.random.Generator) -> Insect:
    """A wedge: a broad blunt head, a striped shield, long veined wings folded past the rear."""
    trunk, shield = oval(0.15, 2.0, 0.6), oval(0.17, 2.4, 0.4)
    head = outline((0, 0.15), (0.5, 0.13), (0.85, 0.05), (1, 0.0))
    outer = outline((0, 0.1), (0.25, 0.16), (0.8, 0.15), (0.95, 0.09), (1, 0.0))
    inner = outline((0, 0.02), (0.7, 0.03), (1, 0.0))
    folded = Part(
        base=(0.2, 0.03), angle=math.radians(176 - rng.uniform(0, 7)), length=0.86, left=inner,
        right=outer, colour=mixed(look.colour, GLASS, 0.45), mark=look.limb, pattern=veined,
        relief=0.35, gloss=0.2, opacity=0.72,
    )  # fmt: skip
    parts = (
        _body(-0.42, 0.66, trunk, look.colour, look, rings=7.0),
        *both_sides(folded),
        *_eyes(0.34, 0.145, 0.04),
        Part(
            base=(0.27, 0), angle=0, length=0.2, left=head, right=head, colour=look.colour,
            mark=look.mark, relief=0.7,
        ),
        Part(
            base=(0.06, 0), angle=0, length=0.26, left=shield, right=shield, colour=look.colour,
            mark=look.mark, pattern=look.pattern, relief=0.8,
        ),
    )  # fmt: skip
    feelers = antennae(rng, (0.36, 0.13), 0.14 * look.antennae, 0.03, angle=60, knob=0.02)
    walking = legs(rng, (0.24, 0.14, 0.0), 0.14, 0.5 * look.legs, 0.026)
    return Insect((*walking, *feelers), look.limb, parts)


def _body(
    x: float, length: float, side: np.ndarray, colour: Colour, look: Look | None = None, *,
    rings: float = 0.0, gloss: float = 0.12,
) -> Part:  # fmt: skip
    """A part on the body's axis; with the look's pattern, if one is given."""
    mark, pattern = (look.mark, look.pattern) if look else (colour, plain)
    return Part(
        base=(x, 0), angle=0, length=length, left=side, right=side, colour=colour, mark=mark,
        pattern=pattern, rings=rings, gloss=gloss,
    )  # fmt: skip


def _glass(
    base: tuple[float, float], degrees: float, length: float, width: float, look: Look
) -> Part:
    """The left one of a pair of clear, veined wings."""
    leading = outline((0, 0.03 * width), (0.3, 0.3 * width), (0.9, 0.28 * width), (1, 0.0))
    trailing = outline((0, 0.1 * width), (0.4, 0.85 * width), (0.75, width), (1, 0.0))
    return Part(
        base=base, angle=math.radians(degrees), length=length, left=trailing, right=leading,
        colour=GLASS, mark=look.limb, pattern=veined, relief=0.15, gloss=0.25, opacity=0.38,
    )  # fmt: skip


def _moth_wing(
    base: tuple[float, float], degrees: float, length: float, width: float, look: Look
) -> Part:
    """The left one of a pair of broad wings: a nearly straight leading edge, a wide tip."""
    leading = outline((0, 0.02), (0.3, 0.07), (0.8, 0.07), (1, 0.0))
    trailing = outline(
        (0, 0.2 * width), (0.5, 0.8 * width), (0.78, 1.1 * width), (0.9, 0.85 * width), (1, 0)
    )
    return Part(
        base=base, angle=math.radians(degrees), length=length, left=trailing, right=leading,
        colour=look.colour, mark=look.mark, pattern=look.pattern, relief=0.2, gloss=0.0,
    )  # fmt: skip


def _eyes(x: float, y: float, radius: float, colour: Colour = EYE) -> tuple[Part, ...]:
    ball = oval(radius)
    eye = Part(
        base=(x - radius, y), angle=0, length=2 * radius, left=ball, right=ball, colour=colour,
        gloss=0.5,
    )  # fmt: skip
    return both_sides(eye)
