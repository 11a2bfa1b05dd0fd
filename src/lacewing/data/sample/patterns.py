"""Patterns: how much of the mark's colour shows at each place of a part.

A pattern is a function of t (0 at the part's base, 1 at its tip) and q (-1 at the right edge,
1 at the left one), float32 arrays of one shape, and gives 0 to 1 in that shape. It is
symmetric in q, so that both sides of an insect match.
"""

from collections.abc import Callable

import numpy as np

Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


def plain(t: np.ndarray, _q: np.ndarray) -> np.ndarray:
    """No mark at all."""
    return np.zeros_like(t)


def fading(rng: np.random.Generator) -> Pattern:
    """A mark that fades in towards the tip or, as often, the base."""
    start, rises = rng.uniform(0.25, 0.45), rng.random() < 0.5
    return lambda t, _q: soft_step((t if rises else 1.0 - t) - start, 0.35)


def spotted(rng: np.random.Generator) -> Pattern:
    """Two to four rows of round spots on each side."""
    rows = int(rng.integers(2, 5))
    radius = rng.uniform(0.3, 0.42) / (rows + 1.0)
    centres = [
        ((row + 0.7 + rng.uniform(-0.08, 0.08)) / (rows + 0.4), rng.uniform(0.4, 0.6))
        for row in range(rows)
    ]
    centres += [(centres[0][0] + 0.04, 0.0)] if rng.random() < 0.5 else []

    def weigh(t: np.ndarray, q: np.ndarray) -> np.ndarray:
        weight = np.zeros_like(t)
        for along, across in centres:
            squared = (t - along) ** 2 + (0.5 * (np.abs(q) - across)) ** 2
            np.maximum(weight, soft_step(radius - np.sqrt(squared), 0.03), out=weight)
        return weight

    return weigh


def banded(rng: np.random.Generator) -> Pattern:
    """Bands across, three to five of them, a little curved."""
    count, phase = rng.uniform(3.0, 5.0), rng.uniform(0.0, 1.0)
    bend, share = rng.uniform(-0.08, 0.08), rng.uniform(-0.3, 0.3)
    return lambda t, q: soft_step(
        np.cos(2 * np.pi * (count * (t + bend * q * q) + phase)) - share, 0.35
    )


def striped(rng: np.random.Generator) -> Pattern:
    """Stripes along the part, two to four on each side."""
    count, share = rng.uniform(2.0, 3.6), rng.uniform(-0.25, 0.25)
    return lambda _t, q: soft_step(np.cos(2 * np.pi * count * np.abs(q) + np.pi) - share, 0.35)


def marbled(rng: np.random.Generator) -> Pattern:
    """Irregular blotches: a sum of waves, cut off softly."""
    waves = [
        (*rng.uniform(-1.0, 1.0, 2) * scale, rng.uniform(0, 2 * np.pi))
        for scale in (10.0, 14.0, 20.0, 28.0)
    ]

    def weigh(t: np.ndarray, q: np.ndarray) -> np.ndarray:
        across = np.abs(q)
        total = sum(np.sin(a * 1.6 * t + b * across + c) for a, b, c in waves)
        return 0.85 * soft_step(np.asarray(total, np.float32) - 0.2, 0.8)

    return weigh


def saddled(rng: np.random.Generator) -> Pattern:
    """One broad mark across the middle."""
    centre, half = rng.uniform(0.4, 0.6), rng.uniform(0.14, 0.22)
    return lambda t, q: soft_step(half - np.abs(t - centre - 0.1 * q * q), 0.05)


def veined(t: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Veins that fan out from a wing's base, with a few cross veins."""
    fan = np.abs((2.6 * q) % 1.0 - 0.5)
    cross = np.abs((3.2 * t + 0.25 * q * q) % 1.0 - 0.5)
    return np.maximum(soft_step(0.09 - fan, 0.08), 0.7 * soft_step(0.03 - cross, 0.03))


def flanked(_t: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Marks on both flanks, as on the shield of a ladybird."""
    return soft_step(np.abs(q) - 0.66, 0.12)


def soft_step(value: np.ndarray, width: float) -> np.ndarray:
    """0 below `-width`, 1 above `width`, smooth in between."""
    x = np.clip(value * (0.5 / width) + 0.5, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


PATTERNS: dict[str, Callable[[np.random.Generator], Pattern]] = {
    "plain": lambda _rng: plain,
    "shaded": fading,
    "spotted": spotted,
    "banded": banded,
    "striped": striped,
    "marbled": marbled,
    "saddled": saddled,
}
"""Every pattern that a species can have; an individual's is drawn from its own chance."""
