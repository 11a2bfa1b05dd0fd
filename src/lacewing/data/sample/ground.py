"""What the insects sit on: leaves, blades of grass, soil and petals, out of noise."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from lacewing.data.sample.look import ink, mixed, varied
from lacewing.data.sample.patterns import soft_step
from lacewing.data.sample.shapes import Colour

LEAF_GREENS: tuple[Colour, ...] = (
    (0.25, 0.41, 0.15), (0.37, 0.5, 0.2), (0.52, 0.6, 0.27), (0.2, 0.33, 0.18),
    (0.56, 0.53, 0.26), (0.32, 0.45, 0.29),
)  # fmt: skip
SOILS: tuple[Colour, ...] = (
    (0.36, 0.26, 0.17), (0.48, 0.38, 0.27), (0.28, 0.22, 0.18), (0.55, 0.48, 0.38),
    (0.5, 0.3, 0.18),
)  # fmt: skip
PETALS: tuple[Colour, ...] = (
    (0.82, 0.8, 0.75), (0.82, 0.7, 0.28), (0.78, 0.5, 0.53), (0.62, 0.5, 0.68),
    (0.82, 0.52, 0.28),
)  # fmt: skip


def draw_ground(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A background without an insect, float32 [3, H, W], about 0 to 1."""
    kinds = [kind for kind, _ in GROUNDS]
    shares = [share for _, share in GROUNDS]
    return kinds[int(rng.choice(len(kinds), p=shares))](rng, height, width)


def leaf(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A leaf from near: a midrib, side veins, quilted between them; at times with its edge."""
    green = varied(rng, LEAF_GREENS[int(rng.integers(len(LEAF_GREENS)))], 0.2)
    along, across = _axes(rng, height, width)
    side = np.abs(across)
    spacing, slant = rng.uniform(20, 42), rng.uniform(0.5, 1.1)
    wobble = 5.0 * noise(rng, height, width, 50)
    phase = (along - slant * side + 0.002 * side * side + wobble) / spacing
    phase += np.where(across > 0, 0.5, 0.0)
    gap = np.abs(phase - np.round(phase)) * spacing
    veins = 0.8 * np.exp(-((gap / rng.uniform(0.9, 1.6)) ** 2))
    veins = np.maximum(veins, np.exp(-((across / rng.uniform(1.5, 3.2)) ** 2)))
    quilt = 0.07 * np.cos(2 * np.pi * phase)
    mottle = 0.09 * fractal(rng, height, width, (70, 24, 8, 3))
    scene = ink(green) * (1.0 - quilt + mottle)
    pale = ink(mixed(green, (0.8, 0.85, 0.55), 0.55))
    scene += (rng.uniform(0.4, 0.9) * veins) * (pale - scene)
    scene = _spoiled(rng, scene) if rng.random() < 0.35 else scene
    return _edged(rng, scene, along, side) if rng.random() < 0.35 else scene


def blades(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Blades of rice or grass, one over the other, before something dark."""
    heading = rng.uniform(0, math.pi)
    green = LEAF_GREENS[int(rng.integers(len(LEAF_GREENS)))]
    lit = 1 + 0.07 * fractal(rng, height, width, (30, 6))
    topmost = np.zeros((height, width), np.intp)
    count = int(rng.integers(4, 8))
    for number in range(1, count + 1):
        along, across = _axes(rng, height, width, heading + rng.normal(0, 0.2))
        across += rng.uniform(-1, 1) * 0.0008 * along * along
        half = rng.uniform(14, 40)
        q, side = across / half, 1.0 if rng.random() < 0.5 else -1.0
        ridges = 0.05 * np.cos(q * rng.uniform(14, 26)) + 0.18 * np.exp(-((q * 14) ** 2))
        beyond = np.abs(across) - half
        lit *= 1.0 - 0.55 * np.exp(-np.maximum(beyond, 0) / 7)
        inside = beyond < 0
        lit[inside] = (0.95 + 0.22 * side * q + ridges)[inside]
        topmost[inside] = number
    tones = np.array([varied(rng, green, 0.25) for _ in range(count + 1)], np.float32).T
    scene = np.where(topmost == 0, _backdrop(rng, height, width), tones[:, topmost])
    return scene * lit


def soil(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Soil: crumbs and grains, lit from one side."""
    tone = ink(varied(rng, SOILS[int(rng.integers(len(SOILS)))], 0.2))
    crumbs = np.abs(noise(rng, height, width, rng.uniform(14, 26)))
    relief = 2.2 * crumbs + fractal(rng, height, width, (60, 9, 4))
    down, right = np.gradient(relief)
    angle = rng.uniform(0, 2 * math.pi)
    slope = math.cos(angle) * right + math.sin(angle) * down
    lit = 0.85 + 0.55 * np.tanh(1.3 * slope) + 0.1 * (relief - 1.5)
    grain = soft_step(noise(rng, height, width, 3) - 1.6, 0.3)
    scene = tone * lit * (1 + 0.06 * noise(rng, height, width, 2))
    return scene + 0.35 * grain * (tone + 0.15)


def petal(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A petal: pale or bright, with fine lines that run together."""
    tone = ink(varied(rng, PETALS[int(rng.integers(len(PETALS)))], 0.12))
    along, across = _axes(rng, height, width)
    reach = along + rng.uniform(0.9, 1.6) * max(height, width)
    fan = across / reach * rng.uniform(60, 110)
    lines = np.cos(fan + 1.5 * noise(rng, height, width, 60))
    fold = fractal(rng, height, width, (90, 40))
    return tone * (0.95 + 0.05 * lines + 0.09 * fold)


GROUNDS: tuple[tuple[Callable[[np.random.Generator, int, int], np.ndarray], float], ...] = (
    (leaf, 0.5),
    (blades, 0.2),
    (soil, 0.17),
    (petal, 0.13),
)
"""Every ground, with its share of the photos."""


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Smooth noise, float32 [H, W], mean 0, spread about 0.7; one random value per cell."""
    rows, columns = math.ceil(height / cell) + 2, math.ceil(width / cell) + 2
    values = rng.standard_normal((rows, columns), dtype=np.float32)
    box = (0.5, 0.5, 0.5 + width / cell, 0.5 + height / cell)
    grid = Image.fromarray(values)
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC, box), np.float32)


def fractal(
    rng: np.random.Generator, height: int, width: int, cells: tuple[float, ...]
) -> np.ndarray:
    """Noise of several cell sizes on top of each other, each as strong as the others."""
    total = np.zeros((height, width), np.float32)
    for cell in cells:
        total += noise(rng, height, width, cell)
    return total


def _axes(
    rng: np.random.Generator, height: int, width: int, heading: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels along and across a line through somewhere near the middle, float32 [H, W]."""
    angle = rng.uniform(0, 2 * math.pi) if heading is None else heading
    down = np.arange(height, dtype=np.float32)[:, None] - np.float32(height * rng.uniform(0.1, 0.9))
    right = np.arange(width, dtype=np.float32) - np.float32(width * rng.uniform(0.1, 0.9))
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return right * cosine + down * sine, down * cosine - right * sine


def _backdrop(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Far greens and browns, out of focus."""
    dark = varied(rng, (0.12, 0.17, 0.08), 0.4)
    light = varied(rng, LEAF_GREENS[int(rng.integers(len(LEAF_GREENS)))], 0.3)
    share = soft_step(noise(rng, height, width, rng.uniform(40, 90)), 1.2)
    return ink(dark) * (1 - share) + ink(light) * share


def _spoiled(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    """The leaf with withered spots, which have a yellow rim."""
    _, height, width = scene.shape
    field = noise(rng, height, width, rng.uniform(16, 40)) - rng.uniform(0.9, 1.5)
    rim, core = soft_step(field + 0.15, 0.2), soft_step(field, 0.12)
    brown = ink(varied(rng, (0.42, 0.3, 0.16), 0.3))
    scene = scene + 0.6 * rim * (ink((0.7, 0.62, 0.25)) - scene)
    return scene + 0.9 * core * (brown - scene)


def _edged(
    rng: np.random.Generator, scene: np.ndarray, along: np.ndarray, side: np.ndarray
) -> np.ndarray:
    """The leaf with its edge in the picture, before something far."""
    _, height, width = scene.shape
    middle = 0.45 * max(height, width)
    reach = rng.uniform(0.7, 1.0) * middle - 0.0016 * along * along
    teeth = rng.uniform(0, 2.5) * np.cos(along * rng.uniform(0.25, 0.5))
    edge = reach + teeth - side
    inside = np.clip(edge + 0.5, 0, 1)
    shadow = 1 - 0.4 * np.exp(-np.maximum(-edge, 0) / 9)
    return scene * inside + (1 - inside) * _backdrop(rng, height, width) * shadow
