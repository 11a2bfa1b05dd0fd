"""Job: what a plan must know of the images, the network and the optimiser. Plain values."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Job:
    """The work to be planned."""

    training_images: int
    classes: int
    model: str
    native_size: int
    """Side of the input in pixels that the network was designed for."""
    min_size: int
    """Smallest side that it accepts."""
    fixed_size: bool
    """Whether it accepts its native size only."""
    built_for_size: bool = False
    """Whether it is made anew for each size, and then accepts that one only."""
    size_multiple: int = 1
    """The side must be a multiple of this."""
    pretrained: bool
    optimizer: str
    default_learning_rate: float
    """For `REFERENCE_BATCH` images per step, where none is asked."""
    optimizer_kernels: tuple[str, ...]
    """Of foreach and fused: those the optimiser has."""
    optimizer_advice: str | None = None
    average_bytes: int = 0
    """Of an average of the weights, if one is kept."""
    cache_bytes: Callable[[int], int] = lambda _: 0
    """What all decoded images would take at an image size."""
    device_bytes: Callable[[int], int] = lambda _: 0
    """What those of training would, which alone may lie in a device's memory."""
    disk_bytes: int = 0
    """Room for decoded images on the disk."""
    readers: int = 0
    """Threads that reading the images takes at least: a server lets each of them wait."""

    def kept_bytes(self, size: int, eval_size: int) -> int:
        """What decoded images take that are trained on at one size and validated at another."""
        if size == eval_size:
            return self.cache_bytes(size)
        validation = self.cache_bytes(eval_size) - self.device_bytes(eval_size)
        return self.device_bytes(size) + validation


REFERENCE_BATCH = 32
"""The batch size that a default learning rate is meant for."""
