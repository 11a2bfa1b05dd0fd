"""config.json: what timm, and transformers through it, must know to build a trained network.

The format is that of timm's own repositories on the Hugging Face hub.
"""

import math
from typing import Any

from lacewing.data.preprocess import Preprocessing
from lacewing.errors import ModelError
from lacewing.models.bundle import Bundle
from lacewing.models.catalog import find_model
from lacewing.models.networks import original_network, timm_settings
from lacewing.values import first_line


def hub_config(bundle: Bundle) -> dict[str, Any]:
    """The content of config.json, plain values. Raises ModelError for a name unknown here.

    A network that is not timm's gets class names and preprocessing alone, which describe it;
    only lacewing builds it.
    """
    info = find_model(bundle.model)
    inputs = pretrained_cfg(bundle.preprocessing, len(bundle.classes))
    described = {"num_classes": len(bundle.classes), "label_names": list(bundle.classes)}
    if info.library != "timm":
        return {**described, "pretrained_cfg": inputs}
    settings = timm_settings(info.architecture)
    of_network = {
        "first_conv": settings.first_conv,
        "classifier": settings.classifier,
        "fixed_input_size": info.built_for_size or info.fixed_size,
    }
    size = bundle.preprocessing.image_size
    return {
        # the tag behind the dot names the weights it began with, which these are no longer
        "architecture": info.architecture.partition(".")[0],
        "num_features": original_network("timm", info.architecture).num_features,
        **described,
        **({"model_args": {"img_size": size}} if info.built_for_size else {}),
        "pretrained_cfg": inputs | of_network,
    }


def pretrained_cfg(rule: Preprocessing, classes: int) -> dict[str, Any]:
    """timm's description of the inputs, of which its own transforms are made."""
    return {
        "custom_load": False,
        "num_classes": classes,
        "input_size": [3, rule.image_size, rule.image_size],
        "interpolation": rule.interpolation,
        "crop_pct": crop_share(rule),
        "crop_mode": "center",
        "mean": list(rule.mean),
        "std": list(rule.std),
    }


def crop_share(rule: Preprocessing) -> float:
    """The share of which timm, which rounds down, makes the same `resize_size` as we do."""
    if math.floor(rule.image_size / rule.crop_fraction) == rule.resize_size:
        return rule.crop_fraction
    return rule.image_size / (rule.resize_size + 0.5)


def timm_network(config: dict[str, Any], weights: str) -> Any:
    """The network as timm itself builds and fills it from config.json and a file of weights.

    Raises ModelError where the installed timm can't.
    """
    import timm

    try:
        return timm.create_model(
            config["architecture"],
            pretrained=True,
            num_classes=config["num_classes"],
            pretrained_cfg={**config["pretrained_cfg"], "file": weights},
            **config.get("model_args", {}),
        ).eval()
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"timm {timm.__version__} can't build {config['architecture']} from its own "
            f"description ({first_line(error)}): share the run with another timm."
        ) from error
