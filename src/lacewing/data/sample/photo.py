"""One photo of the sample: some ground, an insect or a few, light, lens and sensor."""

import math

import numpy as np
from PIL import Image, ImageFilter

from lacewing.data.sample.ground import draw_ground, fractal
from lacewing.data.sample.look import ink
from lacewing.data.sample.paint import Frame, Light, paint_insect, put
from lacewing.data.sample.patterns import soft_step
from lacewing.data.sample.species import Species, draw_individual


def draw_photo(species: Species, chance: tuple[int, int, int], size: int) -> Image.Image:
    """The photo of a species that `chance` (seed, class, number) names.

    The shorter side has `size` pixels or up to 15 % more, the longer one up to a third more.
    """
    rng = np.random.default_rng(chance)
    height, width = _sides(rng, size)
    light = _draw_light(rng)
    scene = _blur(draw_ground(rng, height, width), rng.uniform(0.0, 1.6))
    for frame in _draw_frames(rng, species, height, width):
        layer = paint_insect(height, width, draw_individual(species, rng), frame, light)
        lift = 0.06 * math.sqrt(abs(np.linalg.det(frame.matrix)))
        scene = put(scene, layer, light, lift)
    return _expose(rng, scene)


def _sides(rng: np.random.Generator, size: int) -> tuple[int, int]:
    short = round(size * rng.uniform(1.0, 1.15))
    long = round(short * rng.choice([1.0, 1.125, 1.25, 4 / 3]))
    return (short, long) if rng.random() < 0.7 else (long, short)


def _draw_light(rng: np.random.Generator) -> Light:
    around, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.6, 1.2)
    flat = math.cos(height)
    direction = (flat * math.cos(around), flat * math.sin(around), math.sin(height))
    return Light(np.array(direction), rng.uniform(0.35, 0.6))


def _draw_frames(
    rng: np.random.Generator, species: Species, height: int, width: int
) -> list[Frame]:
    """Where the insects sit: mostly one; aphids keep company, in a ring around the middle."""
    shares = (0.35, 0.3, 0.2, 0.15) if species.plan == "aphid" else (0.88, 0.12, 0.0, 0.0)
    count = 1 + int(rng.choice(4, p=shares))
    length = rng.uniform(0.56, 0.8) / count**0.5
    first, ring = rng.uniform(0, 2 * math.pi), 0.0 if count == 1 else 0.28
    frames = []
    for number in range(count):
        around = first + 2 * math.pi * number / count
        spot = np.array((math.cos(around), math.sin(around))) * ring + rng.uniform(-0.08, 0.08, 2)
        pixels = length * min(height, width) * rng.uniform(0.85, 1.1)
        origin = (0.5 + spot) * (width, height)
        frames.append(Frame(pixels * _pose(rng, species.slenderness), origin))
    return frames


def _pose(rng: np.random.Generator, slenderness: float) -> np.ndarray:
    """Turned by any angle, and tilted: shortened a little along some other direction."""
    turn, tilt = _rotation(rng.uniform(0, 2 * math.pi)), _rotation(rng.uniform(0, math.pi))
    shorten = tilt @ np.diag((1.0, rng.uniform(0.78, 1.0))) @ tilt.T
    return shorten @ turn @ np.diag((slenderness**0.5, slenderness**-0.5))


def _rotation(angle: float) -> np.ndarray:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def _expose(rng: np.random.Generator, scene: np.ndarray) -> Image.Image:
    """Uneven light, a lens that blurs, a sensor that tints and makes noise."""
    _, height, width = scene.shape
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right = np.linspace(-1, 1, width, dtype=np.float32)
    slope = rng.uniform(-0.22, 0.22, 2).astype(np.float32)
    lit = 1.0 + slope[0] * down + slope[1] * right - rng.uniform(0, 0.18) * (down**2 + right**2)
    if rng.random() < 0.3:
        dapple = soft_step(fractal(rng, height, width, (70, 35)) - 0.3, 0.3)
        lit *= 1.0 - rng.uniform(0.2, 0.5) * dapple
    tint = rng.uniform(0.82, 1.2) * rng.uniform(0.94, 1.06, 3)
    exposed = _blur(scene * lit * ink(tint), rng.uniform(0, 0.9))
    grain = rng.standard_normal((height, width), dtype=np.float32)
    return _picture(exposed + rng.uniform(0.004, 0.025) * grain)


def _blur(scene: np.ndarray, radius: float) -> np.ndarray:
    """A scene, float32 [3, H, W], out of focus; every point becomes a square of that radius."""
    if radius < 0.25:
        return scene
    blurred = _picture(scene).filter(ImageFilter.BoxBlur(radius))
    return np.stack([np.asarray(plane, np.float32) for plane in blurred.split()]) / 255


def _picture(scene: np.ndarray) -> Image.Image:
    pixels = np.clip(scene * 255 + 0.5, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in pixels])
