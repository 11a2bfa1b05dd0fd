"""model.json: all that a program must know to use an exported model, beside it."""

from typing import Any

import lacewing
from lacewing.deploy.confidence import none_below
from lacewing.deploy.export.compare import Comparison
from lacewing.deploy.export.exporter import Exporter
from lacewing.models.bundle import Bundle

NAME = "model.json"
MIRRORED = ", of the mean of these and of the mirror image's, which is the model's answer"


def sidecar(
    format: str, exporter: Exporter, bundle: Bundle, comparison: Comparison
) -> dict[str, Any]:
    """The content of model.json, plain values."""
    describe = whole_graph if exporter.self_contained else bare_network
    return {
        "made_by": f"lacewing {lacewing.__version__}",
        "format": format,
        "file": exporter.file,
        "model": bundle.model,
        "classes": list(bundle.classes),
        "class_ids": list(bundle.class_ids),
        **describe(bundle),
        "low_confidence": none_below(bundle),
        "comparison": comparison.as_dict(),
    }


def whole_graph(bundle: Bundle) -> dict[str, Any]:
    """What goes in and out where the preprocessing is inside, from pixels to probabilities."""
    side = bundle.preprocessing.image_size
    return {
        "input": {
            "name": "images",
            "type": "uint8",
            "shape": ["N", side, side, 3],
            "meaning": "RGB pixels, 0 to 255, of squares prepared as `preprocessing` says",
        },
        "output": {
            "name": "probabilities",
            "type": "float32",
            "shape": ["N", len(bundle.classes)],
            "meaning": "one probability for each of `classes`, in their order; they add up to 1",
        },
        "preprocessing": resize_rule(bundle) | {"inside_the_model": normalisation(bundle)},
    }


def bare_network(bundle: Bundle) -> dict[str, Any]:
    """What goes in and out of the network alone, from normalised images to logits."""
    side = bundle.preprocessing.image_size
    return {
        "input": {
            "name": "images",
            "type": "float32",
            "shape": ["N", 3, side, side],
            "meaning": "RGB, prepared and normalised as `preprocessing` says",
        },
        "output": {
            "name": "logits",
            "type": "float32",
            "shape": ["N", len(bundle.classes)],
            "meaning": "one for each of `classes`, in their order; softmax makes them "
            "probabilities" + (MIRRORED if bundle.mirror else ""),
        },
        "preprocessing": resize_rule(bundle) | {"normalise": normalisation(bundle)},
    }


def resize_rule(bundle: Bundle) -> dict[str, Any]:
    """How a photo becomes a square, which every program does before the model."""
    rule = bundle.preprocessing
    return {
        "resize_size": rule.resize_size,
        "image_size": rule.image_size,
        "interpolation": rule.interpolation,
        "steps": [
            "turn the photo upright by its EXIF orientation and make it RGB, on white where it "
            "is transparent",
            f"resize it with anti-aliasing ({rule.interpolation}, as Pillow does) so that its "
            f"shorter side has {rule.resize_size} pixels and its aspect ratio stays",
            f"cut out the central square of {rule.image_size} pixels",
        ],
    }


def normalisation(bundle: Bundle) -> dict[str, Any]:
    """From pixels to what the network's layers see."""
    rule = bundle.preprocessing
    return {"scale": "divided by 255", "mean": list(rule.mean), "std": list(rule.std)}
