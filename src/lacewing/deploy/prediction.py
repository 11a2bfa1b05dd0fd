"""What a model sees on an image, as plain data; no torch at import."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Prediction:
    """What the model sees on one image; the most probable class first.

    `error` says why a file could not be read; it then has no classes.
    """

    path: Path
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    none_of_these: bool = False
    """Whether even the first class is so doubtful that the image may show none of them."""
    error: str | None = None
