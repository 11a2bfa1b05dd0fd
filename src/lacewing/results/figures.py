"""The pictures of a run: confusion matrix and curves, as PNG. No display, no pyplot state.

Matplotlib takes a second to load: who draws imports this file then.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lacewing.results.course import best_row
from lacewing.results.seriation import NUMBERS_UP_TO, order_in_picture, shorten
from lacewing.store.atomic import replacing

MOST_INCHES = 40.0
"""Of the matrix's side: a larger picture would take gigabytes."""
GREENS = LinearSegmentedColormap.from_list("lacewing", ["#ffffff", "#a8d5a2", "#2f7d4f", "#0b3d2a"])
TRAIN, VALIDATION, BEST = "#8a8f98", "#1f7a4d", "#c2571a"


def confusion_png(path: Path, confusion: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a confusion matrix int64 [C, C]: each row in shares of its true class.

    Up to 20 classes the cells show their counts. Beyond, classes that are confused stand side
    by side (`order_by_confusion`), so that groups of them show as blocks on the diagonal. Some
    three hundred have room for their names.
    """
    count = len(classes)
    small = count <= NUMBERS_UP_TO
    order = order_in_picture(confusion)
    matrix = confusion[np.ix_(order, order)]
    support = matrix.sum(axis=1, keepdims=True)
    cell = 0.52 if small else min(0.3, max(0.135, 14 / count))
    side = min(MOST_INCHES, max(3.2, count * cell))
    figure = Figure(figsize=(side + 3.2, side + 2.2), layout="constrained")
    axes = figure.add_subplot()
    # The square root makes a confusion of a few per cent visible beside a full diagonal.
    drawn = axes.imshow(
        (matrix / np.maximum(support, 1)).astype(np.float32),
        cmap=GREENS,
        norm=PowerNorm(0.5, vmin=0, vmax=1),
    )
    if count * cell <= MOST_INCHES:
        names = [shorten(classes[label]) for label in order.tolist()]
        _label_classes(axes, names, min(9, 48 * cell))
    else:  # no room for names
        axes.set_xticks([])
        axes.set_yticks([])
    if small:
        _write_counts(axes, matrix)
    size = 12 if small else 16
    title = f"Confusion matrix: {int(confusion.sum()):,} images, {count} classes"
    axes.set_title(title, pad=12, fontsize=size, fontweight="bold")
    axes.set_xlabel("predicted class", fontsize=size - 1)
    axes.set_ylabel("true class", fontsize=size - 1)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6 if small else 0.3, pad=0.02,
                          ticks=[0, 0.05, 0.2, 0.5, 1])  # fmt: skip
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.set_label("share of the true class's images")
    _save(figure, path, dpi=150)


def curves_png(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Draw loss and accuracy over the epochs from the rows of metrics.jsonl, the best marked."""
    rows = list(rows)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_curves(left, rows, "loss")
    _draw_curves(right, rows, "accuracy")
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _save(figure, path, dpi=130)


def _label_classes(axes: Axes, names: list[str], size: float) -> None:
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0, pad=3)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#e9ecef", linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_color("#c9ced4")


def _write_counts(axes: Axes, matrix: np.ndarray) -> None:
    """The counts in their cells; nothing where nothing was counted."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(matrix):
        ink = "white" if shares[row, column] > 0.3 else "#1d2a24"
        text = f"{matrix[row, column]}"
        axes.text(column, row, text, ha="center", va="center", color=ink,
                  fontsize=9 if len(text) < 5 else 7)  # fmt: skip


def _draw_curves(axes: Axes, rows: list[dict[str, Any]], what: str) -> None:
    epochs = [row["epoch"] for row in rows]
    for name, kind, color in (("training", "train", TRAIN), ("validation", "val", VALIDATION)):
        values = [_number(row.get(f"{kind}_{what}")) for row in rows]
        axes.plot(epochs, values, color=color, label=name, linewidth=1.8, marker="o",
                  markersize=3.5 if len(rows) <= 40 else 0)  # fmt: skip
    best = best_row(rows)
    if best:
        value = _number(best.get(f"val_{what}"))
        axes.axvline(best["epoch"], color=BEST, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(best["epoch"], value, "o", markersize=8, color=BEST, markerfacecolor="none",
                  markeredgewidth=1.8, label=f"best: epoch {best['epoch']}")  # fmt: skip
    axes.set_title(what.capitalize(), loc="left", fontweight="bold")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e9ecef", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _save(figure: Figure, path: Path, dpi: int) -> None:
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class may have a dollar sign in its name
    with warnings.catch_warnings(), replacing(path) as temporary:
        # Names in scripts that the bundled font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        # The layout leaves no room for the title above a square picture: "tight" makes it.
        figure.savefig(
            temporary, format="png", dpi=dpi, facecolor="white", bbox_inches="tight", pad_inches=0.2
        )
