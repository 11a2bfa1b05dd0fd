"""Photos of one colour, and a network that names the colour."""

from pathlib import Path

import pytest
from PIL import Image
from torch import nn

from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.predict import Predictor
from lacewing.hardware.cpu import CpuBackend

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class NamesColours(nn.Module):
    """Logits [N, 3]: ten times the mean of each channel of [N, 3, S, S]."""

    def forward(self, images):
        return 10 * images.mean((2, 3))


@pytest.fixture
def photo(tmp_path):
    """`photo("red")` writes a JPEG of that colour and returns its path."""

    def make(colour: str, name: str | None = None) -> Path:
        path = tmp_path / (name or f"{colour}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 12), COLOURS[colour]).save(path)
        return path

    return make


@pytest.fixture
def predictor():
    """A predictor of the colours, on the CPU."""
    return Predictor(
        model=NamesColours(),
        classes=tuple(COLOURS),
        preprocessing=Preprocessing(image_size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        backend=CpuBackend(),
        threads=2,
    )
