"""What an individual looks like, whatever its body plan."""

from dataclasses import dataclass

import numpy as np

from lacewing.data.sample.patterns import Pattern
from lacewing.data.sample.shapes import Colour


@dataclass(frozen=True)
class Look:
    """Colours, pattern and proportions of one individual."""

    colour: Colour
    mark: Colour
    limb: Colour
    pattern: Pattern
    legs: float = 1.0
    """Length of the legs, as a factor."""
    antennae: float = 1.0


def varied(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """A colour near another one: brightness by the share `amount`, hue by a third of it."""
    brightness = 1.0 + rng.uniform(-amount, amount)
    tint = 1.0 + rng.uniform(-amount, amount, 3) / 3
    red, green, blue = np.clip(np.array(colour) * brightness * tint, 0.02, 0.98)
    return float(red), float(green), float(blue)


def ink(colour: Colour | np.ndarray) -> np.ndarray:
    """A colour to reckon with, float32 [3, 1, 1]."""
    return np.asarray(colour, np.float32)[:, None, None]


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that is `share` of the way from the first to the second."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(first, second, strict=True))
    return red, green, blue
