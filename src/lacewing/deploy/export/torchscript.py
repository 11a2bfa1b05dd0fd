"""TorchScript: a traced graph that libtorch runs without Python."""

import warnings
from pathlib import Path

import numpy as np
import torch

from lacewing.deploy.export.exporter import Runner, Source


def write(source: Source, folder: Path) -> None:
    """Write model.ts for any number of images at once."""
    example = torch.zeros((2, source.image_size, source.image_size, 3), dtype=torch.uint8)
    # newer releases of torch warn that pt2 is to take its place; libtorch programs still need it
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(torch.jit.trace(source.model, example))
        torch.jit.save(traced, str(folder / "model.ts"))


def open_runner(path: Path) -> Runner:
    """Run a TorchScript file on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(str(path), map_location="cpu")

    def run(squares: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(squares)).numpy()

    return run
