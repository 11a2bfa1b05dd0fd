"""Painting: parts and strokes onto a transparent layer, a layer and its shadow onto a scene."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lacewing.data.sample.look import ink
from lacewing.data.sample.shapes import STEPS, Colour, Insect, Part, Stroke

OVERSAMPLING = 3
"""Strokes are drawn this much larger, then averaged down: smooth edges."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Colour times opacity, float32 [3, H, W], and opacity, float32 [H, W]; both 0 to 1."""

    colour: np.ndarray
    opacity: np.ndarray


@dataclass(frozen=True, eq=False)
class Frame:
    """Where a body's frame lies in the picture: pixel = origin + matrix @ (x, y)."""

    matrix: np.ndarray
    """float64 [2, 2], pixels per body length."""
    origin: np.ndarray
    """float64 [2], the middle of the body: column and row."""


@dataclass(frozen=True, eq=False)
class Light:
    """Where the light comes from."""

    direction: np.ndarray
    """Unit vector, float64 [3]: right, down, towards the camera."""
    ambient: float
    """Share of the light that comes from everywhere, 0 to 1."""


def paint_insect(height: int, width: int, insect: Insect, frame: Frame, light: Light) -> Layer:
    """An insect on a layer of its own."""
    layer = Layer(np.zeros((3, height, width), np.float32), np.zeros((height, width), np.float32))
    paint_strokes(layer, insect.strokes, insect.limb_colour, frame)
    for part in insect.parts:
        paint_part(layer, part, frame, light)
    return layer


def paint_part(layer: Layer, part: Part, frame: Frame, light: Light) -> None:
    """Paint a part over what is on the layer, in place."""
    matrix, start = _place(part, frame)
    window = _window(part, matrix, start, layer.opacity.shape)
    if window is None:
        return
    rows, columns = window
    inverse = np.linalg.inv(matrix).astype(np.float32)
    down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(start[1])
    right = np.arange(columns.start, columns.stop, dtype=np.float32) - np.float32(start[0])
    along = inverse[0, 0] * right + inverse[0, 1] * down
    across = inverse[1, 0] * right + inverse[1, 1] * down
    colour, opacity = _shade(part, matrix, along, across, light)
    _over(layer, window, colour, opacity)


def paint_strokes(layer: Layer, strokes: tuple[Stroke, ...], colour: Colour, frame: Frame) -> None:
    """Paint strokes of one colour over what is on the layer, in place."""
    height, width = layer.opacity.shape
    mask = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    pen = ImageDraw.Draw(mask)
    scale = OVERSAMPLING * math.sqrt(abs(np.linalg.det(frame.matrix)))
    for stroke in strokes:
        places = (np.array(stroke.points) @ frame.matrix.T + frame.origin + 0.5) * OVERSAMPLING
        points = [(float(x), float(y)) for x, y in places]
        pen.line(points, fill=255, width=max(2, round(stroke.width * scale)), joint="curve")
        if stroke.knob:
            _disc(pen, points[-1], stroke.knob * scale)
    box = mask.getbbox()
    if box is None:
        return
    left, top = box[0] // OVERSAMPLING, box[1] // OVERSAMPLING
    right, bottom = -(-box[2] // OVERSAMPLING), -(-box[3] // OVERSAMPLING)
    whole = (left * OVERSAMPLING, top * OVERSAMPLING, right * OVERSAMPLING, bottom * OVERSAMPLING)
    opacity = np.asarray(mask.reduce(OVERSAMPLING, whole), np.float32) / 255
    tone = ink(colour) * (0.8 + 0.35 * opacity)
    _over(layer, (slice(top, bottom), slice(left, right)), tone, opacity)


def put(scene: np.ndarray, layer: Layer, light: Light, distance: float) -> np.ndarray:
    """The scene, float32 [3, H, W], with a layer on it that stands `distance` pixels above.

    The layer throws a soft shadow away from the light, and darkens the ground beneath it.
    """
    slant = light.direction[:2] / max(0.3, light.direction[2])
    mask = Image.fromarray((layer.opacity * 255).astype(np.uint8))
    small = mask.reduce(2)
    thrown = small.filter(ImageFilter.GaussianBlur(0.18 * distance + 0.4)).resize(
        mask.size, Image.Resampling.BILINEAR
    )
    contact = small.filter(ImageFilter.BoxBlur(1)).resize(mask.size, Image.Resampling.BILINEAR)
    moved = Image.new("L", mask.size)
    moved.paste(thrown, (round(-slant[0] * distance), round(-slant[1] * distance)))
    dark = np.asarray(ImageChops.lighter(moved, contact), np.float32)
    shade = 1.0 - (1.0 - light.ambient) * (0.75 / 255) * dark
    return scene * (shade * (1.0 - layer.opacity)) + layer.colour


def _disc(pen: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float) -> None:
    x, y = centre
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _place(part: Part, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Part to picture: pixel = start + matrix @ (along, across)."""
    cosine, sine = math.cos(part.angle), math.sin(part.angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return frame.matrix @ turn, frame.origin + frame.matrix @ np.array(part.base)


def _window(
    part: Part, matrix: np.ndarray, start: np.ndarray, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """The rows and columns that a part may touch; None if it lies outside the picture."""
    sides = (-float(part.right.max()), float(part.left.max()))
    corners = np.array([(along, side) for along in (0.0, part.length) for side in sides])
    places = start + corners @ matrix.T
    low = np.maximum(np.floor(places.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(places.max(axis=0)).astype(int) + 2, shape[::-1])
    if (low >= high).any():
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])


def _shade(
    part: Part, matrix: np.ndarray, along: np.ndarray, across: np.ndarray, light: Light
) -> tuple[np.ndarray, np.ndarray]:
    """Colour [3, h, w] and opacity [h, w] of a part at places of its own frame."""
    t = np.clip(along / part.length, 0.0, 1.0)
    step = (t * (STEPS - 1)).astype(np.int32)
    is_left = across > 0
    outline = np.where(is_left, part.left[step], part.right[step])
    slopes = [np.diff(side, append=0) * (STEPS / part.length) for side in (part.left, part.right)]
    slope = np.clip(np.where(is_left, slopes[0][step], slopes[1][step]), -4.0, 4.0)
    steepness = 1.0 / np.sqrt(1.0 + slope * slope)
    pixels = math.sqrt(abs(np.linalg.det(matrix)))
    inside = np.clip((outline - np.abs(across)) * steepness * pixels + 0.5, 0.0, 1.0)
    inside *= np.clip((part.length / 2 - np.abs(along - part.length / 2)) * pixels + 0.5, 0, 1)
    q = np.clip(across / np.maximum(outline, 1e-4), -1.0, 1.0)
    weight = part.pattern(t, q)
    colour = _colour(part, t, q, weight)
    lit, shine = _light(part, matrix, q, slope, steepness, light)
    return colour * lit + shine, inside * (part.opacity + (1.0 - part.opacity) * 0.7 * weight)


def _colour(part: Part, t: np.ndarray, q: np.ndarray, weight: np.ndarray) -> np.ndarray:
    base, mark = ink(part.colour), ink(part.mark)
    depth = np.ones_like(t)
    if part.rings:
        depth -= 0.35 * (0.5 + 0.5 * np.cos(2 * math.pi * part.rings * t)) ** 6
    if part.grooves:
        depth -= 0.3 * (0.5 + 0.5 * np.cos(2 * math.pi * part.grooves * q)) ** 4
    if part.suture:
        depth -= 0.45 * np.exp(-((q * 22.0) ** 2))
    return (base + weight * (mark - base)) * depth


def _light(
    part: Part,
    matrix: np.ndarray,
    q: np.ndarray,
    slope: np.ndarray,
    steepness: np.ndarray,
    light: Light,
) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse light and highlight [h, w] after B. T. Phong, "Illumination for computer
    generated pictures" (1975), with the half vector of J. F. Blinn (1977)."""
    axes = matrix / np.linalg.norm(matrix, axis=0)
    x, y = -slope * steepness * part.relief, q * steepness * part.relief
    up = np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))
    half = light.direction + np.array((0.0, 0.0, 1.0))
    half /= np.linalg.norm(half)
    diffuse, halfway = (
        x * float(vector[:2] @ axes[:, 0]) + y * float(vector[:2] @ axes[:, 1])
        + up * float(vector[2])
        for vector in (light.direction, half)
    )  # fmt: skip
    lit = light.ambient + (1.15 - light.ambient) * np.maximum(diffuse, 0.0)
    shine = part.gloss * np.maximum(halfway, 0.0) ** 24
    return lit * (0.72 + 0.28 * up), shine


def _over(
    layer: Layer, window: tuple[slice, slice], colour: np.ndarray, opacity: np.ndarray
) -> None:
    rest = 1.0 - opacity
    rows, columns = window
    layer.colour[:, rows, columns] *= rest
    layer.colour[:, rows, columns] += colour * opacity
    layer.opacity[window] *= rest
    layer.opacity[window] += opacity
