"""Geometry of the report's vector pictures, in plain numbers: the template draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lacewing.results.course import best_row
from lacewing.results.seriation import NUMBERS_UP_TO, order_in_picture, shorten
from lacewing.values import format_bytes

WIDTH, HEIGHT = 520, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 28
"""Margins of a panel of curves, in its own units."""
BAR_STEP = 36
"""From one bar to the next, with its label above it."""
SHADES = 10
"""Steps of a matrix cell's opacity."""
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """One panel of curves over the epochs; places are in a box of WIDTH x HEIGHT."""

    title: str
    lines: tuple[tuple[str, str], ...]
    """Name and SVG path of each line; a value that is not finite leaves a gap."""
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    best: tuple[float, float, str] | None
    """Place of the best epoch on the validation line, and its value in words."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One candidate: a label, and below it a bar, or a note where nothing was measured."""

    top: int
    label: str
    width: float
    value: str
    """In words; "" where there is none."""
    note: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Bars:
    """What was tried for one decision; places are in a box of WIDTH x `height`."""

    title: str
    unit: str
    height: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A confusion matrix in units of one cell."""

    names: tuple[str, ...]
    """The classes in their order in the picture, shortened."""
    full_names: tuple[str, ...]
    shades: tuple[tuple[float, str], ...]
    """Opacity, and the SVG path of all cells that have it."""
    counts: tuple[tuple[int, int, int, bool], ...]
    """Column, row, images, and whether the cell is dark; for every cell that is not empty."""
    support: tuple[int, ...]
    with_numbers: bool


def curves(rows: Sequence[Row], what: str) -> Curves:
    """The panel of `loss` or `accuracy` of the rows of metrics.jsonl (at least one)."""
    epochs = [int(row["epoch"]) for row in rows]
    lines = {
        name: [_number(row.get(f"{kind}_{what}")) for row in rows]
        for name, kind in (("training", "train"), ("validation", "val"))
    }
    finite = [value for values in lines.values() for value in values if math.isfinite(value)]
    low, high = _padded(min(finite, default=0.0), max(finite, default=1.0))
    share = what == "accuracy"

    def x(epoch: float) -> float:
        span = max(1, epochs[-1] - epochs[0])
        return round(LEFT + (epoch - epochs[0]) / span * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    return Curves(
        title=what.capitalize(),
        lines=tuple((name, _path(epochs, values, x, y)) for name, values in lines.items()),
        x_ticks=tuple((x(tick), f"{tick:g}") for tick in _whole_ticks(epochs[0], epochs[-1])),
        y_ticks=tuple((y(tick), _label(tick, share)) for tick in nice_ticks(low, high)),
        best=_best(rows, what, x, y),
    )


def rate_curve(found: Row) -> Curves:
    """The panel of a learning-rate search: the loss over the logarithm of the rate."""
    rates, losses = list(found["rates"]), [float(loss) for loss in found["losses"]]
    low, high = _padded(min(losses), min(max(losses), 3 * losses[0]))
    first, last = math.log10(rates[0]), math.log10(rates[-1])

    def x(rate: float) -> float:
        share = (math.log10(rate) - first) / ((last - first) or 1.0)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(loss: float) -> float:
        share = (high - min(loss, high)) / (high - low)
        return round(TOP + share * (HEIGHT - TOP - BOTTOM), 1)

    powers = range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)
    chosen = float(found["chosen"])
    return Curves(
        title="Learning-rate search",
        lines=(("training", _path(rates, losses, x, y)),),
        x_ticks=tuple((x(10.0**power), f"1e{power}") for power in powers),
        y_ticks=tuple((y(tick), _label(tick, False)) for tick in nice_ticks(low, high)),
        best=(x(chosen), y(losses[rates.index(chosen)]), f"{chosen:.2g}"),
    )


def bars(candidates: Sequence[Row]) -> tuple[Bars, ...]:
    """A panel for each kind of pass among a plan's candidates, in their order."""
    kinds = dict.fromkeys(str(row.get("pass", "")) for row in candidates)
    return tuple(_bars(kind, [r for r in candidates if r.get("pass") == kind]) for kind in kinds)


def _bars(kind: str, rows: Sequence[Row]) -> Bars:
    of_memory = any("bytes" in row for row in rows)
    values = [_number(row.get("bytes" if of_memory else "images_per_second")) for row in rows]
    most = max((value for value in values if math.isfinite(value)), default=0.0) or 1.0
    say = format_bytes if of_memory else "{:,.1f}".format
    return Bars(
        title=kind.capitalize(),
        unit="peak of a step" if of_memory else "images per second",
        height=len(rows) * BAR_STEP,
        bars=tuple(
            Bar(
                top=place * BAR_STEP,
                label=str(row.get("way", "")),
                width=round(value / most * WIDTH, 1) if math.isfinite(value) else 0.0,
                value=say(value) if math.isfinite(value) else "",
                note=str(row.get("note", "")),
                chosen=bool(row.get("chosen")),
            )
            for place, (row, value) in enumerate(zip(rows, values, strict=True))
        ),
    )


def matrix(confusion: np.ndarray, classes: Sequence[str]) -> Matrix:
    """The picture of a confusion matrix int64 [C, C], in the order of `confusion_png`."""
    order = order_in_picture(confusion)
    cells = confusion[np.ix_(order, order)]
    support = cells.sum(axis=1)
    # As in the PNG: the square root makes rare confusions visible.
    strength = np.sqrt(cells / np.maximum(support[:, None], 1))
    shade = np.ceil(strength * SHADES).astype(int)
    full = tuple(classes[label] for label in order.tolist())
    return Matrix(
        names=tuple(shorten(name, 30) for name in full),
        full_names=full,
        shades=tuple(
            (step / SHADES, "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(shade == step)))
            for step in range(1, SHADES + 1)
            if (shade == step).any()
        ),
        counts=tuple(
            (int(x), int(y), int(cells[y, x]), bool(strength[y, x] > 0.6))
            for y, x in np.argwhere(cells)
        ),
        support=tuple(int(count) for count in support),
        with_numbers=len(classes) <= NUMBERS_UP_TO,
    )


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from `low` to `high`, which must differ."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(position * step, 10) for position in range(first, last + 1)]


def _whole_ticks(first: int, last: int) -> list[float]:
    if first == last:
        return [first]
    inner = [tick for tick in nice_ticks(first, last, 6) if tick == int(tick) and tick > first]
    return [first, *inner]


def _path(epochs: Sequence[int], values: Sequence[float], x: Any, y: Any) -> str:
    parts, pen_up = [], True
    for epoch, value in zip(epochs, values, strict=True):
        if not math.isfinite(value):
            pen_up = True
            continue
        # A line of no length shows as a dot: an epoch that stands alone is seen.
        parts.append(f"M{x(epoch)} {y(value)}h0" if pen_up else f"L{x(epoch)} {y(value)}")
        pen_up = False
    return "".join(parts)


def _best(rows: Sequence[Row], what: str, x: Any, y: Any) -> tuple[float, float, str] | None:
    row = best_row(rows)
    value = _number(row.get(f"val_{what}")) if row else math.nan
    if row is None or not math.isfinite(value):
        return None
    text = f"{value:.1%}" if what == "accuracy" else f"{value:.3f}"
    return x(row["epoch"]), y(value), f"epoch {row['epoch']}: {text}"


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def _label(value: float, share: bool) -> str:
    return f"{value * 100:.4g}%" if share else f"{value:.4g}"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
