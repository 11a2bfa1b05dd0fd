"""Body plans with wing cases: ladybird, weevil and beetle."""

import numpy as np

from lacewing.data.sample.limbs import antennae, legs
from lacewing.data.sample.look import Look, mixed
from lacewing.data.sample.patterns import flanked
from lacewing.data.sample.shapes import Insect, Part, Stroke, oval

PALE = (0.93, 0.91, 0.82)


def ladybird(look: Look, rng: np.random.Generator) -> Insect:
    """A round, shiny dome, a short dark shield with pale flanks, short legs."""
    case, shield, head = oval(0.4, 2.2, 0.52), oval(0.27, 2.3, 0.42), oval(0.15, 2.5)
    parts = (
        Part(base=(0.34, 0), angle=0, length=0.17, left=head, right=head, colour=look.limb),
        Part(
            base=(0.17, 0), angle=0, length=0.27, left=shield, right=shield, colour=look.limb,
            mark=PALE, pattern=flanked, gloss=0.3,
        ),
        Part(
            base=(-0.5, 0), angle=0, length=0.8, left=case, right=case, colour=look.colour,
            mark=look.mark, pattern=look.pattern, gloss=0.55, suture=True,
        ),
    )  # fmt: skip
    feelers = antennae(rng, (0.45, 0.07), 0.16 * look.antennae, 0.018, angle=40, knob=0.018)
    walking = legs(rng, (0.2, 0.02, -0.16), 0.36, 0.36 * look.legs, 0.03)
    return Insect(walking + feelers, look.limb, parts)


def weevil(look: Look, rng: np.random.Generator) -> Insect:
    """A pear with grooves, a small head with a long bent snout and elbowed antennae."""
    case, shield, head = oval(0.25, 2.2, 0.42), oval(0.17, 2.0, 0.4), oval(0.085, 2.0)
    parts = (
        _shell(0.3, 0.17, head, mixed(look.colour, look.limb, 0.6)),
        _shell(0.07, 0.3, shield, mixed(look.colour, look.limb, 0.25)),
        Part(
            base=(-0.5, 0), angle=0, length=0.64, left=case, right=case, colour=look.colour,
            mark=look.mark, pattern=look.pattern, gloss=0.12, suture=True, grooves=4.5,
        ),
    )  # fmt: skip
    aside = rng.uniform(-0.08, 0.08)
    middle, tip = (0.58, aside / 2), (0.74, aside)
    snout = (Stroke(((0.4, 0.0), middle), 0.075), Stroke((middle, tip), 0.06, 0.034))
    feelers = antennae(rng, (0.56, 0.02), 0.3 * look.antennae, 0.02, angle=62, bend=-70, knob=0.026)
    walking = legs(rng, (0.2, -0.02, -0.2), 0.2, 0.46 * look.legs, 0.04)
    return Insect(walking + feelers + snout, look.limb, parts)


def beetle(look: Look, rng: np.random.Generator) -> Insect:
    """A long oval with parallel sides, a square shield, a clear head, beaded antennae."""
    case, shield, head = oval(0.24, 3.0, 0.48), oval(0.18, 3.4), oval(0.125, 2.6)
    parts = (
        *_eyes(0.36, 0.105, 0.035),
        _shell(0.31, 0.18, head, look.limb),
        _shell(0.14, 0.22, shield, mixed(look.colour, look.limb, 0.45), gloss=0.35),
        Part(
            base=(-0.5, 0), angle=0, length=0.69, left=case, right=case, colour=look.colour,
            mark=look.mark, pattern=look.pattern, gloss=0.4, suture=True,
        ),
    )  # fmt: skip
    feelers = antennae(rng, (0.45, 0.07), 0.52 * look.antennae, 0.028, angle=38, bend=62)
    walking = legs(rng, (0.22, 0.02, -0.18), 0.22, 0.46 * look.legs, 0.035)
    return Insect(walking + feelers, look.limb, parts)


def _shell(
    x: float, length: float, side: np.ndarray, colour: tuple[float, float, float],
    gloss: float = 0.2,
) -> Part:  # fmt: skip
    return Part(
        base=(x, 0), angle=0, length=length, left=side, right=side, colour=colour, gloss=gloss
    )


def _eyes(x: float, y: float, radius: float) -> tuple[Part, ...]:
    ball = oval(radius)
    return tuple(
        Part(
            base=(x - radius, sign * y), angle=0, length=2 * radius, left=ball, right=ball,
            colour=(0.07, 0.05, 0.05), gloss=0.5,
        )
        for sign in (1, -1)
    )  # fmt: skip
