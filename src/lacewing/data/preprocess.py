"""The one consistent preprocessing of validation, test, prediction and export."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a photo becomes a network's input. Stored with the weights, used everywhere.

    The image is turned upright, made RGB, resized so that its shorter side is
    `resize_size` (anti-aliased), cropped to the central square of `image_size` pixels,
    scaled to 0..1 and normalised with `mean` and `std`.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"
    """bilinear or bicubic."""
    crop_fraction: float = 0.875
    """`image_size` as a share of the resized shorter side."""

    @property
    def resize_size(self) -> int:
        """Pixels of the shorter side before the central crop."""
        return round(self.image_size / self.crop_fraction)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Preprocessing":
        """What `as_dict` took apart."""
        return cls(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})
