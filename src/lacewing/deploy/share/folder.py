"""The export `hub`: a folder of weights, description and model card, as the hub wants them."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from lacewing.deploy.export.exporter import Runner, Source
from lacewing.deploy.export.graph import Deployable
from lacewing.deploy.predict import load_predictor
from lacewing.deploy.share.card import model_card
from lacewing.deploy.share.timm_config import hub_config, timm_network
from lacewing.models.bundle import load_model, read_bundle_fields, save_model
from lacewing.models.bundle_fields import fields_in
from lacewing.models.mirrored import Mirrored
from lacewing.store.atomic import write_text
from lacewing.store.run import write_json

WEIGHTS, CONFIG, CARD, PICTURE = "model.safetensors", "config.json", "README.md", "confusion.png"


def write(source: Source, folder: Path) -> None:
    """Write weights, config.json, README.md, and the confusion matrix if the run has one.

    Raises ModelError, see `hub_config`.
    """
    run = source.run
    bundle = load_model(run.model)
    # written anew: transformers reads no file that doesn't name its framework
    save_model(folder / WEIGHTS, bundle.state, fields_in(run.model) or {}, framework="pt")
    write_json(folder / CONFIG, hub_config(bundle))
    if run.confusion.is_file():
        shutil.copyfile(run.confusion, folder / PICTURE)
    write_text(folder / CARD, model_card(run, source.licence))


def open_runner(weights: Path) -> Runner:
    """Run the folder as its readers will: by timm, or by lacewing where timm has no such network.

    Squares uint8 [N, S, S, 3] to probabilities float32 [N, classes]. Of a mirrored model the
    weights are of one pass; its reader takes the mean of two, as the card says.
    """
    config = json.loads((weights.parent / CONFIG).read_text(encoding="utf-8"))
    if "architecture" not in config:
        return load_predictor(weights, "cpu").probabilities
    bundle = read_bundle_fields(weights)
    network = timm_network(config, str(weights))
    seeing = Mirrored(network) if bundle.mirror else network
    whole = Deployable(seeing, bundle.preprocessing).eval()

    def run(squares: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return whole(torch.from_numpy(squares)).numpy()

    return run
