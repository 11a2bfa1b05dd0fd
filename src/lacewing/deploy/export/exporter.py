"""What an export format must provide, and what it starts from."""

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
    licence: str | None = None
    """The hub's identifier of the licence that the owner chose, for formats with a model card."""


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
    has_card: bool = False
    """Whether it writes a model card, in which a licence can stand."""
