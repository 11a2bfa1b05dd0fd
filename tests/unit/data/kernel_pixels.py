"""The Triton kernels against tensor operations: on a CUDA device, or interpreted on the CPU.

`test_kernel.py` starts this with TRITON_INTERPRET=1, which must be set before torch loads Triton;
benchmarks/gpu/run.sh does without it.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.data import kernel
from lacewing.data.augment import AugmentConfig, Parameters, draw, jitter
from lacewing.data.batch import Loading
from lacewing.data.kernel_fault import kernel_fault
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
from lacewing.data.resample import Table, lie_on, resample
from lacewing.data.train_loader import TrainLoader

DEVICE = torch.device("cpu" if os.environ.get("TRITON_INTERPRET") else "cuda")
SHAPES = ((40, 50), (130, 70), (25, 61))
"""Heights and widths: of one sample per output pixel, of several, and of a wide image."""
SIZE = 24
CHANGES = (
    AugmentConfig(),
    AugmentConfig(rotation=180, min_crop=0.05),
    AugmentConfig(enabled=False),
    AugmentConfig(trivial=True),
)


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in SHAPES]
    lengths = np.array([image.size for image in images])
    spare = np.zeros(3 * 200, np.uint8)
    flat = torch.from_numpy(np.concatenate([*(image.ravel() for image in images), spare]))
    return Table(flat.to(DEVICE), lengths.cumsum() - lengths, np.array(SHAPES)[:, 1])


def packed_there(parameters, starts, lines, size=SIZE):
    packed = kernel.pack(parameters, starts, lines, size)
    return replace(packed, buffer=packed.buffer.to(DEVICE))


def drawn(change) -> Parameters:
    heights, widths = np.array(SHAPES).T
    samples = np.arange(7, 7 + len(SHAPES))
    return draw(change, seed=3, epoch=1, samples=samples, heights=heights, widths=widths, size=SIZE)


@pytest.mark.parametrize("change", CHANGES)
def test_resampled_pixels_are_the_same_to_the_bit_and_the_jitter_to_rounding(table, change):
    parameters = drawn(change)
    packed = packed_there(parameters, table.starts, table.widths)
    found = kernel.vary(table.flat, packed, SIZE)
    expected = resample(table, parameters.affine, parameters.heights, parameters.widths, SIZE)
    if not (parameters.jitter != 1).any():
        assert torch.equal(found, expected)
    else:
        expected = jitter(expected, torch.from_numpy(parameters.jitter).to(DEVICE))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_an_image_is_the_same_in_any_batch(table):
    parameters = drawn(AugmentConfig())
    whole = kernel.vary(table.flat, packed_there(parameters, table.starts, table.widths), SIZE)
    for number in range(len(SHAPES)):
        rows = np.array([number])
        one = packed_there(parameters.of(rows), table.starts[rows], table.widths[rows])
        assert torch.equal(kernel.vary(table.flat, one, SIZE)[0], whole[number])


def test_every_field_lies_where_the_compiled_kernels_read_fastest():
    for change, size in ((AugmentConfig(), 15), (AugmentConfig(min_crop=0.05), 23)):
        heights, widths = np.array(SHAPES).T
        parameters = draw(
            change, seed=0, epoch=0, samples=np.arange(3), heights=heights, widths=widths,
            size=size,
        )  # fmt: skip
        canvas = torch.zeros(3, 130, 70, 3)
        packed = packed_there(parameters, *lie_on(canvas), size)
        begin = packed.buffer.data_ptr()
        for field in (packed.facts, packed.steps, packed.jitter):
            assert (field.data_ptr() - begin) % 16 == 0


def test_it_finds_no_fault_in_them():
    assert kernel_fault(DEVICE) is None


def test_it_finds_wrong_pixels(monkeypatch):
    right = kernel.vary
    monkeypatch.setattr(kernel, "vary", lambda *given: right(*given).flip(3))
    assert kernel_fault(DEVICE) == "their pixels are wrong"


@pytest.mark.parametrize(("keep", "workers"), [("ram", 0), ("device", 2)])
def test_a_loader_gives_the_same_batches_by_kernel(class_folders, tmp_path, keep, workers):
    class_folders(tmp_path / "photos", {"ants": 4, "bees": 4})
    index = open_images(tmp_path / "photos", val_share=0, test_share=0, cache_dir=tmp_path / "c")
    rule = Preprocessing(image_size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))

    def batches(by_kernel):
        loader = TrainLoader(
            index,
            PixelStore(index, rule, keep=keep),
            AugmentConfig(trivial=True, erasing=0.5, mixup=0.4),
            batch_size=4,
            seed=0,
            loading=Loading(
                device=DEVICE, augment_device=DEVICE, workers=workers, by_kernel=by_kernel
            ),
        )  # fmt: skip
        return list(loader.epoch(0))

    for one, two in zip(batches(False), batches(True), strict=True):
        # a tone curve may make a whole step of a rounding
        assert (one.images - two.images).abs().mean() < 1e-4
        assert torch.equal(one.labels, two.labels)
