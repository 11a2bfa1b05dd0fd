"""The export formats, and what each of them must provide."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacewing.deploy.export.graph import Deployable
from lacewing.store.run import Run

Runner = Callable[[np.ndarray], np.ndarray]
"""Runs an exported model: uint8 [N, S, S, 3] to float32 [N, classes], for any N from 1 on."""

CLOSE = 1e-4
"""Largest difference of a probability that rounding may make: the fourth decimal."""


@dataclass(frozen=True)
class Source:
    """What an exporter starts from."""

    model: Deployable
    """On the CPU, in eval mode."""
    image_size: int
    """S in pixels."""
    training_squares: Callable[[], np.ndarray]
    """Reads some training images, uint8 [n, S, S, 3]. Raises DataError if they are gone."""
    run: Run
    """Whose model it is."""


def nothing(folder: Path) -> None:
    """Most formats have nothing left to do."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """One format: how it is written and run, and how near to the original it must come."""

    file: str
    """Name of the model's file in the folder of the export."""
    write: Callable[[Source, Path], None]
    """Writes the model into a folder that exists and is empty."""
    open: Callable[[Path], Runner]
    """Makes the written file ready to run, by the runtime that its users have."""
    finish: Callable[[Path], None] = nothing
    """The last step, when the sidecar stands beside the model."""
    max_difference: float | None = CLOSE
    """Of any probability, from the original's; None where rounding is the point."""
    min_agreement: float = 0.0
    """Share of images on which the best class must be the original's."""
    self_contained: bool = True
    """Whether normalisation and softmax are inside; else the file is the network alone."""


def _onnx() -> Exporter:
    from lacewing.deploy.export import onnx_file

    return Exporter(file="model.onnx", write=onnx_file.write, open=onnx_file.open_runner)


def _onnx_int8() -> Exporter:
    from lacewing.deploy.export import onnx_file, onnx_int8

    return Exporter(
        file="model.onnx",
        write=onnx_int8.write,
        open=onnx_file.open_runner,
        max_difference=None,
        min_agreement=0.95,
    )


def _torchscript() -> Exporter:
    from lacewing.deploy.export import torchscript

    return Exporter(file="model.ts", write=torchscript.write, open=torchscript.open_runner)


def _pt2() -> Exporter:
    from lacewing.deploy.export import pt2

    return Exporter(file="model.pt2", write=pt2.write, open=pt2.open_runner)


def _web() -> Exporter:
    from lacewing.deploy.export import onnx_file
    from lacewing.deploy.web.folder import finish, write

    return Exporter(
        file="model.onnx",
        write=write,
        open=onnx_file.open_runner,
        finish=finish,
    )


def _hub() -> Exporter:
    from lacewing.deploy.share import folder

    return Exporter(
        file=folder.WEIGHTS, write=folder.write, open=folder.open_runner, self_contained=False
    )


EXPORTERS: dict[str, Callable[[], Exporter]] = {
    "onnx": _onnx,
    "onnx-int8": _onnx_int8,
    "torchscript": _torchscript,
    "pt2": _pt2,
    "web": _web,
    "hub": _hub,
}
"""Every format. A new one is one file, and one function and one line here."""
