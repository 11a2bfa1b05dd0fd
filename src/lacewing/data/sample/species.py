"""Species: eight chosen by hand, and many more made of a colour, a pattern and a body plan."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from lacewing.data.sample.hard_bodies import beetle, ladybird, weevil
from lacewing.data.sample.look import Look, mixed, varied
from lacewing.data.sample.patterns import PATTERNS
from lacewing.data.sample.shapes import Colour, Insect
from lacewing.data.sample.soft_bodies import aphid, grasshopper, hoverfly, moth, planthopper
from lacewing.errors import DataError

PLANS: dict[str, Callable[[Look, np.random.Generator], Insect]] = {
    "aphid": aphid,
    "ladybird": ladybird,
    "weevil": weevil,
    "moth": moth,
    "beetle": beetle,
    "grasshopper": grasshopper,
    "hoverfly": hoverfly,
    "planthopper": planthopper,
}
OWN_PATTERNS = {
    "aphid": "shaded",
    "ladybird": "spotted",
    "weevil": "plain",
    "moth": "marbled",
    "beetle": "striped",
    "grasshopper": "plain",
    "hoverfly": "banded",
    "planthopper": "striped",
}
"""The patterns of the first eight species; no other species with that body plan has it."""

BLACK = (0.1, 0.09, 0.08)
GREEN = (0.42, 0.6, 0.2)
YELLOW = (0.88, 0.72, 0.18)
RED = (0.76, 0.16, 0.1)
ORANGE = (0.86, 0.45, 0.12)
BROWN = (0.45, 0.29, 0.15)
GREY = (0.5, 0.48, 0.44)
PALE = (0.86, 0.8, 0.62)
BLUE = (0.2, 0.35, 0.55)
PINK = (0.78, 0.5, 0.45)

Palette = tuple[tuple[Colour, Colour], ...]
"""The colours that occur: of the body, with that of its marks."""

OWN_PALETTES: dict[str, Palette] = {
    "aphid": ((GREEN, BROWN), (YELLOW, GREEN), (BLACK, BROWN), (PINK, BROWN), (BROWN, BLACK)),
    "ladybird": ((RED, BLACK), (ORANGE, BLACK), (YELLOW, BLACK), (BLACK, RED), (BROWN, PALE)),
    "weevil": ((BROWN, PALE), (GREY, BLACK), (BLACK, GREY), (GREEN, BROWN), (RED, BLACK)),
    "moth": ((BROWN, PALE), (GREY, BLACK), (PALE, BROWN), (ORANGE, BROWN), (GREEN, PALE)),
    "beetle": ((YELLOW, BLACK), (RED, BLACK), (GREEN, BLACK), (BROWN, PALE), (BLACK, YELLOW)),
    "grasshopper": ((GREEN, BROWN), (BROWN, BLACK), (PALE, BROWN), (GREY, BLACK), (RED, BROWN)),
    "hoverfly": ((YELLOW, BLACK), (ORANGE, BLACK), (PALE, BLACK), (GREEN, BLACK), (BROWN, YELLOW)),
    "planthopper": ((BROWN, PALE), (GREEN, PALE), (PALE, BROWN), (BLACK, PALE), (YELLOW, BROWN)),
}  # fmt: skip

COLOURS: dict[str, tuple[Colour, Colour]] = {
    "green": (GREEN, BLACK),
    "amber": (ORANGE, BLACK),
    "black": (BLACK, PALE),
    "pale": (PALE, BROWN),
    "red": (RED, BLACK),
    "brown": (BROWN, PALE),
    "blue": (BLUE, PALE),
    "grey": (GREY, RED),
    "yellow": (YELLOW, BROWN),
    "rosy": (PINK, BLACK),
}
"""Named colours of the made species, with that of their marks."""


@dataclass(frozen=True)
class Species:
    """What the individuals of a class have in common."""

    name: str
    plan: str
    pattern: str
    palette: Palette
    variation: float = 0.25
    """How far an individual's brightness may lie from its palette, as a share."""
    slenderness: float = 1.0
    """Length against width, as a factor on the body plan's own."""
    legs: float = 1.0
    antennae: float = 1.0


def make_species(count: int) -> tuple[Species, ...]:
    """The first `count` species; the same ones, in the same order, whatever the count.

    Raises DataError if there are not as many.
    """
    own = [Species(plan, plan, OWN_PATTERNS[plan], OWN_PALETTES[plan]) for plan in PLANS]
    made = _combinations()
    if not 2 <= count <= len(own) + len(made):
        raise DataError(
            f"The sample can be drawn with 2 to {len(own) + len(made)} classes, not {count}: "
            "give a number between these."
        )
    return (*own, *(_made(*made[number]) for number in range(count - len(own))))[:count]


def draw_individual(species: Species, rng: np.random.Generator) -> Insect:
    """An individual of a species, in a pose of its own."""
    base, mark = species.palette[int(rng.integers(len(species.palette)))]
    colour = varied(rng, base, species.variation)
    limb = varied(rng, mixed(colour, BLACK, rng.uniform(0.55, 1.0)), 0.2)
    look = Look(
        colour=colour,
        mark=varied(rng, mark, species.variation),
        limb=limb,
        pattern=PATTERNS[species.pattern](rng),
        legs=species.legs * rng.uniform(0.9, 1.1),
        antennae=species.antennae * rng.uniform(0.9, 1.1),
    )
    return PLANS[species.plan](look, rng)


def _combinations() -> list[tuple[str, str, str]]:
    """Colour, pattern and plan of the made species, well mixed."""
    patterns = [name for name in PATTERNS if name not in ("plain", "shaded")]
    every = product(COLOURS, patterns, PLANS)
    new = [(colour, pattern, plan) for colour, pattern, plan in every
           if OWN_PATTERNS[plan] != pattern]  # fmt: skip
    return [new[position] for position in np.random.default_rng(102).permutation(len(new))]


def _made(colour: str, pattern: str, plan: str) -> Species:
    rng = np.random.default_rng([ord(letter) for letter in colour + pattern + plan])
    return Species(
        name=f"{colour} {pattern} {plan}",
        plan=plan,
        pattern=pattern,
        palette=(COLOURS[colour],),
        variation=0.12,
        slenderness=float(rng.uniform(0.88, 1.15)),
        legs=float(rng.uniform(0.8, 1.2)),
        antennae=float(rng.uniform(0.75, 1.25)),
    )
