"""pt2: torch's own format for whole graphs, written by `torch.export`."""

import warnings
from pathlib import Path

import numpy as np
import torch

from lacewing.deploy.export.exporter import Runner, Source


def write(source: Source, folder: Path) -> None:
    """Write model.pt2 for any number of images at once."""
    example = torch.zeros((2, source.image_size, source.image_size, 3), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations while it traces
        program = torch.export.export(
            source.model,
            (example,),
            dynamic_shapes={"squares": {0: torch.export.Dim("N")}},
        )
        torch.export.save(program, str(folder / "model.pt2"))


def open_runner(path: Path) -> Runner:
    """Run a pt2 file on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(str(path)).module()

    def run(squares: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(squares)).numpy()

    return run
