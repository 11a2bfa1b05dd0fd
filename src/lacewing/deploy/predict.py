"""Predictor: a trained model, ready to name what is on a photo. It needs nothing of training."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from lacewing.data.ahead import ahead
from lacewing.data.batch import normalised_squares
from lacewing.data.eval_loader import PIECE
from lacewing.data.pixels import central_square, load_pixels
from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.confidence import LOW_CONFIDENCE, none_below
from lacewing.deploy.find_model import model_file
from lacewing.deploy.prediction import Prediction
from lacewing.engine.execution import Execution
from lacewing.engine.inference import in_halves
from lacewing.engine.prepare import FORMATS, prepare_model, to_format
from lacewing.engine.step import eval_step
from lacewing.errors import ConfigError
from lacewing.hardware.backend import Backend
from lacewing.hardware.backends import backend_for
from lacewing.hardware.inspect import inspect
from lacewing.hardware.limits import usable_cores
from lacewing.models.bundle import load_model, restore_model
from lacewing.parsing import parse_yaml
from lacewing.performance_config import EVAL_BATCH, LARGE_EVAL_BATCH
from lacewing.store.run import Run

BATCH = 32
"""Images of one pass through the network, where no plan of a run is at hand."""
PRECISION = "fp32"
"""So that a prediction is the same on every device, up to rounding."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A network in eval mode on its device, with the preprocessing it was trained with."""

    model: nn.Module
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    backend: Backend
    device_index: int = 0
    threads: int = 1
    """Threads that decode images."""
    batch: int = BATCH
    """Images of one pass."""
    memory_format: str = "contiguous"
    """In which the images of a pass lie; the weights do too."""
    none_below: float = LOW_CONFIDENCE
    """Below this probability of the best class, an image may show none of them."""

    def predict(
        self,
        paths: Iterable[str | Path],
        top_k: int = 5,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """A prediction for each file, in their order, with at most `top_k` classes each.

        A file that can't be read becomes a prediction with an error. `progress` gets the
        images done and in total. Raises ConfigError if `top_k` is below 1.
        """
        if top_k < 1:
            raise ConfigError(f"top_k must be at least 1, but it was {top_k}.")
        files = [Path(path) for path in paths]
        # a thread reads a chunk: several are to have work
        size = min(self.batch, PIECE)
        chunks = [files[start : start + size] for start in range(0, len(files), size)]
        result: list[Prediction] = []
        for chunk, read in zip(
            chunks, ahead(chunks, self._read, self.threads, prefetch=2), strict=True
        ):
            result += self._name(chunk, read, top_k)
            if progress is not None:
                progress(len(result), len(files))
        return result

    def probabilities(self, squares: np.ndarray) -> np.ndarray:
        """float32 [N, classes] of preprocessed images, uint8 [N, S, S, 3]."""
        images = normalised_squares(squares, self.preprocessing)
        return in_halves(self._logits, images, self.backend).softmax(1).numpy()

    def _read(self, chunk: list[Path]) -> list[np.ndarray | str]:
        return [read_square(path, self.preprocessing) for path in chunk]

    def _name(
        self, chunk: list[Path], read: list[np.ndarray | str], top_k: int
    ) -> list[Prediction]:
        squares = [one for one in read if not isinstance(one, str)]
        rows = iter(self.probabilities(np.stack(squares)) if squares else ())
        return [
            Prediction(path, error=one)
            if isinstance(one, str)
            else self._ranked(path, next(rows), top_k)
            for path, one in zip(chunk, read, strict=True)
        ]

    def _ranked(self, path: Path, row: np.ndarray, top_k: int) -> Prediction:
        best = np.argsort(-row, kind="stable")[:top_k]
        return Prediction(
            path,
            tuple(self.classes[label] for label in best),
            tuple(float(row[label]) for label in best),
            none_of_these=bool(row[best[0]] < self.none_below),
        )

    def _logits(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of images, both on the CPU."""
        moved = images.to(self.backend.torch_device(self.device_index))
        there = to_format(moved, self.memory_format)
        return eval_step(self.model, there, lambda: self.backend.autocast(PRECISION)).cpu()


def read_square(path: Path, preprocessing: Preprocessing) -> np.ndarray | str:
    """A file's central square, uint8 [S, S, 3], or why it can't be read."""
    try:
        return central_square(load_pixels(path, preprocessing), preprocessing.image_size)
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)


def load_predictor(path: Path, device: str | None = "auto") -> Predictor:
    """The model of a place that `model_file` knows, on the best device or the given one.

    Raises RunError or WeightsError if there is no model, DeviceError for the device.
    """
    bundle = load_model(model_file(path))
    backend, index = backend_for(device_address(device))
    cores = usable_cores().value
    backend.configure(PRECISION, threads=cores, deterministic=False)
    # the plan may be a GPU's
    most = LARGE_EVAL_BATCH.get(backend.kind, EVAL_BATCH[1])
    execution = Execution(
        device=f"{backend.kind}:{index}",
        precision=PRECISION,
        memory_format=planned_format(path, backend.kind),
    )
    return Predictor(
        model=prepare_model(restore_model(bundle), execution, backend.torch_device(index)),
        classes=tuple(bundle.classes),
        preprocessing=bundle.preprocessing,
        backend=backend,
        device_index=index,
        threads=cores,
        batch=max(1, min(planned_batch(path), most) // (2 if bundle.mirror else 1)),
        memory_format=execution.memory_format,
        none_below=none_below(bundle),
    )


def planned_batch(path: Path) -> int:
    """The images of a forward-only pass by the plan of a run folder; BATCH where there is none."""
    images = decided(path, "eval_batch")
    return max(1, images) if isinstance(images, int) else BATCH


def planned_format(path: Path, kind: str) -> str:
    """The memory format of forward-only passes by the plan of a run folder.

    Contiguous where there is no plan, or one for another kind of device.
    """
    memory_format = decided(path, "eval_memory_format")
    is_for_it = str(decided(path, "device")).partition(":")[0] == kind
    return memory_format if is_for_it and memory_format in tuple(FORMATS) else "contiguous"


def decided(path: Path, name: str) -> Any:
    """The value of one decision of a run folder's plan; None where there is none to be read.

    Only single values are read, so the rooms that make plans are not imported.
    """
    try:
        decisions = parse_yaml(Run(path).current_plan.read_text(encoding="utf-8"))["decisions"]
        return decisions[name]["value"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def device_address(device: str | None) -> str:
    """The address of the device to use; every one but the CPU is tested. Raises DeviceError."""
    if device == "cpu":
        return device
    machine = inspect(device)
    return machine.devices[0].address if device in (None, "auto") else str(device)
