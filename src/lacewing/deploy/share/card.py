"""README.md: the model card of a shared model, written from its run folder.

Its parts follow Mitchell et al., "Model Cards for Model Reporting" (arXiv:1810.03993). It names
no path of the machine that trained.
"""

import math
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import lacewing
from lacewing.deploy.confidence import none_below
from lacewing.models.bundle import Bundle, read_bundle_fields
from lacewing.models.catalog import find_model
from lacewing.results.pieces import Pieces, read_pieces
from lacewing.store.run import Run
from lacewing.values import format_seconds

SPLITS = {"test": "test", "val": "validation"}
WEAKEST = 10
"""Classes that the table of the weakest shows."""


def model_card(run: Run, licence: str | None = None) -> str:
    """The card as Markdown, with the header that the hub reads; without a licence it names none."""
    environment = Environment(
        loader=PackageLoader("lacewing.deploy.share"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    template = environment.get_template("card.md.j2")
    known = content(read_pieces(run), read_bundle_fields(run.model), run)
    return template.render(known | {"licence": licence})


def content(pieces: Pieces, bundle: Bundle, run: Run) -> dict[str, Any]:
    """Everything that the template shows."""
    info = find_model(bundle.model)
    figures = pieces.figures
    return {
        "version": lacewing.__version__,
        "architecture": info.architecture,
        "of_timm": info.library == "timm",
        "classes": bundle.classes,
        "size": bundle.preprocessing.image_size,
        "mirror": bundle.mirror,
        "data": pieces.dataset.get("name") or "unnamed images",
        "images": pieces.dataset.get("images") or {},
        "figures": figures,
        "split": SPLITS[pieces.split],
        "guess": most_frequent(figures),
        "weakest": weakest(figures),
        "training": training(pieces),
        "start": start(pieces.config),
        "low_confidence": none_below(bundle),
        "has_picture": run.confusion.is_file(),
    }


def cell(text: object) -> str:
    """A name on one line, safe within a table and without Markdown's or HTML's meaning."""
    line = " ".join(str(text).split())
    for sign in "\\`*_[]|<>":
        line = line.replace(sign, {"<": "&lt;", ">": "&gt;"}.get(sign, f"\\{sign}"))
    return line


def most_frequent(figures: dict[str, Any]) -> float | None:
    """What always naming the most frequent class would reach, 0 to 1."""
    if not figures:
        return None
    return float(max(one["support"] for one in figures["classes"]) / figures["images"])


def weakest(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The classes with the lowest recall that were tested at all, the lowest first."""
    tested = [one for one in figures.get("classes", []) if one["support"]]
    return sorted(tested, key=lambda one: (one["recall"], one["f1"]))[:WEAKEST]


def training(pieces: Pieces) -> str:
    """How long it was trained, a clause; "" where the run doesn't say."""
    seconds = pieces.results.get("training", {}).get("seconds")
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return ""
    decisions = pieces.trained.get("decisions", {})
    device = decisions.get("device", {}).get("value", "one device")
    return f"{format_seconds(seconds)} on {device}"


def start(config: dict[str, Any]) -> str:
    """What the weights began as, a clause."""
    if config.get("load_model") or config.get("weights"):
        return "weights of the trainer's own choice, whose licence the trainer knows"
    if config.get("pretrained"):
        return (
            "weights that were trained on ImageNet; their publisher's licence and ImageNet's terms "
            "apply to them"
        )
    return "random weights"
