"""ONNX in whole numbers of 8 bits: a quarter of the size, and faster where the CPU helps.

Static quantisation (Jacob et al. 2018, arXiv:1712.05877): the range of each layer's input is
measured on training images. Convolutions and matrix products are quantised; everything
between them stays in float32, which costs little time and keeps the accuracy.

The layers next to the input are the sensitive ones: they see few channels of wide ranges, and
their errors pass through all that follows. So they stay in float32, as few as possible: one
share after the other is tried until the network names its training images as before.
"""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lacewing.deploy.export import onnx_file
from lacewing.deploy.export.compare import in_batches
from lacewing.deploy.export.exporter import Source
from lacewing.deploy.extras import require

QUANTISED = ("Conv", "Gemm", "MatMul")
FLOAT_SHARES = (0.0, 1 / 8, 1 / 4, 1 / 2)
"""Shares of the layers, from the input on, that may stay in float32; tried in this order."""
WANTED_AGREEMENT = 0.98
"""Share of the training images whose best class must stay the same."""
BATCH = 8
"""Calibration images at once: the values of every layer are kept for each of them."""


def write(source: Source, folder: Path) -> None:
    """Write model.onnx, quantised with ranges seen on training images.

    Raises MissingExtraError, and DataError where the training images are gone.
    """
    require(onnx_file.PACKAGES, "export", "Writing ONNX")
    squares = source.training_squares()
    with tempfile.TemporaryDirectory() as place:
        onnx_file.write(source, Path(place))
        whole = Path(place) / "model.onnx"
        expected = in_batches(onnx_file.open_runner(whole), squares).argmax(1)
        prepared, target = Path(place) / "prepared.onnx", folder / "model.onnx"
        prepare(whole, prepared)
        layers = layer_names(prepared)
        for share in FLOAT_SHARES:
            quantise(prepared, target, squares, layers[: round(share * len(layers))])
            found = in_batches(onnx_file.open_runner(target), squares).argmax(1)
            if (found == expected).mean() >= WANTED_AGREEMENT:
                return


def prepare(whole: Path, prepared: Path) -> None:
    """Fold what can be folded, so that each layer is quantised as it will run."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with quiet():
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)


def layer_names(model: Path) -> list[str]:
    """The layers that can be quantised, from the input to the output."""
    import onnx

    nodes = onnx.load(str(model), load_external_data=False).graph.node
    return [node.name for node in nodes if node.op_type in QUANTISED]


def quantise(prepared: Path, target: Path, squares: np.ndarray, in_float: list[str]) -> None:
    """Quantise a prepared file into `target`, but for the layers named in `in_float`.

    Weights have 7 bits and a scale per channel: processors without VNNI add two products of
    8 bits into 16 and would overflow, so that 8 bits give other answers there than here.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with quiet():
        quantize_static(
            str(prepared),
            str(target),
            reader(squares),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=in_float,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence onnxruntime's advice on how to prepare a model, which is followed already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def reader(squares: np.ndarray) -> Any:
    """onnxruntime's CalibrationDataReader over squares uint8 [n, S, S, 3]."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches: Iterator[np.ndarray] = iter(
                squares[start : start + BATCH] for start in range(0, len(squares), BATCH)
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {onnx_file.INPUT: batch}

    return Reader()
