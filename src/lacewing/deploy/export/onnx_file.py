"""ONNX: written by torch's exporter, run by onnxruntime."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import torch

from lacewing.deploy.export.exporter import Runner, Source
from lacewing.deploy.extras import require
from lacewing.errors import UserError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "images", "probabilities"
OLDEST_TORCH = (2, 6)
"""The first release whose `torch.onnx.export` has the exporter built on `torch.export`."""


def write(source: Source, folder: Path) -> None:
    """Write model.onnx, one file with any number of images at once.

    Raises MissingExtraError, and UserError where this torch is too old.
    """
    require(PACKAGES, "export", "Writing ONNX")
    check_torch(torch.__version__)
    example = torch.zeros((2, source.image_size, source.image_size, 3), dtype=torch.uint8)
    # the exporter prints its progress, and warns of its own dependencies
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            source.model,
            (example,),
            str(folder / "model.onnx"),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"squares": {0: torch.export.Dim("N")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def check_torch(version: str) -> None:
    """Raise UserError for a torch whose exporter is another one."""
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        needed = ".".join(map(str, OLDEST_TORCH))
        raise UserError(
            f"Writing ONNX needs torch {needed} or newer, and this is {version}: export in "
            "another environment, the run folder is all it takes."
        )


def open_runner(path: Path) -> Runner:
    """Run an ONNX file on the CPU, with as many threads as torch uses."""
    require(("onnxruntime",), "export", "Running ONNX")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def run(squares: np.ndarray) -> np.ndarray:
        return np.asarray(session.run([OUTPUT], {INPUT: squares})[0])

    return run
