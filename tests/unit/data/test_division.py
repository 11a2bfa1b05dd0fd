"""Division: what a CPU can tell of it, where no device is at hand that divides otherwise."""

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lacewing.data.batch import normalisation, normalised, to_float
from lacewing.data.division import divide
from lacewing.data.preprocess import Preprocessing
from lacewing.data.resample.batch import mean_of
from lacewing.data.trivial import TONES

ELSEWHERE = torch.device("meta")
"""Not the CPU, and there everywhere; it computes nothing."""


class Divisors(TorchFunctionMode):
    """Notes what is divided by."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function.__name__ in ("div", "div_", "__truediv__", "__itruediv__"):
            self.seen.append(args[1])
        return function(*args, **(kwargs or {}))


def squares(dtype):
    return torch.empty((2, 8, 8, 3), dtype=dtype, device=ELSEWHERE)


def normalise():
    scale = normalisation(Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.2,) * 3), ELSEWHERE)
    return normalised(squares(torch.float32).permute(0, 3, 1, 2), scale)


def tone(kind):
    strengths = torch.empty((2, 1, 1, 1), device=ELSEWHERE)
    return lambda: TONES[kind](squares(torch.float32).permute(0, 3, 1, 2), strengths)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: to_float(squares(torch.uint8)),
        lambda: mean_of(lambda _: squares(torch.float32), iter([None]), 4),
        normalise,
        tone("posterize"),
        tone("autocontrast"),
        tone("equalize"),
    ],
    ids=["to_float", "mean_of", "normalised", "posterize", "autocontrast", "equalize"],
)
def test_pixels_are_divided_by_what_lies_on_their_device(compute):
    """By a number on the CPU, CUDA does not divide: it multiplies by the reciprocal."""
    with Divisors() as divisors:
        assert compute().device == ELSEWHERE
    assert divisors.seen
    assert all(isinstance(by, Tensor) and by.device == ELSEWHERE for by in divisors.seen)


def test_each_quotient_is_rounded_once():
    values = torch.arange(256.0)
    expected = (values.double() / 255).float()
    assert torch.equal(divide(values.clone(), 255.0), expected)
    assert not torch.equal(values * (1 / torch.tensor(255.0)), expected), "the test tells"
