"""Image size and views of the feature pass: the largest that the time allows.

Features of larger images tell more, a little beyond the size the network was trained at (FixRes,
Touvron et al. 2019, arXiv:1906.06423): over five folds of 1,428 pest photos the loss fell from
0.312 at 224 pixels to 0.296 at 256, and hardly further at 320 (0.291), with half as many pixels
again. A mirrored view doubles the time and adds nothing to more than a few images per class:
accuracy at 256 pixels was 0.912 without and 0.908 with it (benchmarks/features.py).
"""

from dataclasses import dataclass

from lacewing.models.catalog import ModelInfo
from lacewing.values import Choice

LARGEST = 8 / 7
"""Of the native side: 256 pixels for a network of 224."""
SMALLEST = 4 / 7
STEP = 32
"""Pixels between two sizes: the stride of most networks."""
FEW_PER_CLASS = 10
"""Training images per class, in the mean, below which a mirrored view is worth its time."""
PASS_SHARE = 0.4
"""Of the budget, for the feature pass: the rest goes to decoding, fitting, judging, fine-tuning."""
WHOLE_SHARE = 0.85
"""Of a budget that is too short for fine-tuning: what the pass and all that follows may take."""


@dataclass(frozen=True)
class Pass:
    """How often each training image is seen, and how large."""

    size: int
    """Side in pixels."""
    views: int
    """1: as it is; 2: mirrored too."""


@dataclass(frozen=True)
class Speed:
    """Images per second of forward-only passes, measured at one size."""

    size: int
    images_per_second: float
    remembered: bool = False
    """Whether an earlier plan measured it."""

    def seconds(self, images: int, size: int) -> float:
        """What a pass over images of another size takes: in proportion to their pixels."""
        return images / self.images_per_second * (size / self.size) ** 2


@dataclass(frozen=True)
class Allowance:
    """What a feature pass may take of the seconds that a run has left."""

    left: float
    judging: Speed
    """Of passes in full precision."""
    judged: int
    """Images that are judged after it."""
    beside: float
    """Seconds of all else, whatever the size."""

    def at(self, size: int) -> float:
        """Seconds: its share, or all that judging leaves. A size that has only the latter is far
        from leaving any for fine-tuning, whose epochs cost more than a pass each."""
        judging = self.judging.seconds(self.judged, size)
        return max(PASS_SHARE * self.left, WHOLE_SHARE * self.left - self.beside - judging)


def choose_pass(
    info: ModelInfo, images: int, views: int, speed: Speed, allowance: Allowance
) -> Choice[Pass]:
    """The largest pass over `images` that is allowed; the smallest if none is."""
    for size in sizes_of_pass(info):
        option = Pass(size, views)
        needed = speed.seconds(images * option.views, option.size)
        if needed <= allowance.at(size):
            break
    times = "once" if option.views == 1 else "twice (also mirrored)"
    known = ", as remembered" if speed.remembered else ""
    reason = f"each image {times} through the network takes about {needed:.0f} s{known}"
    evidence = {"forward_images_per_second": speed.images_per_second, "at_pixels": speed.size}
    return Choice(option, reason, "measured", evidence)


def sizes_of_pass(info: ModelInfo) -> list[int]:
    """All sides that the network allows, the largest first; one built for a size keeps it."""
    return [info.native_size] if info.fixed_size or info.built_for_size else sizes_for(info)


def views_for(images: int, classes: int) -> int:
    """How often each of so many training images is seen: 2 means mirrored too."""
    return 2 if images < FEW_PER_CLASS * classes else 1


def sizes_for(info: ModelInfo) -> list[int]:
    """Sides around the network's own, the largest first."""
    largest = max(info.min_size, int(info.native_size * LARGEST))
    return sides(info, least_side(info), largest) or [info.native_size]


def least_side(info: ModelInfo) -> int:
    """The smallest side worth trying: what is much smaller than in pretraining looks strange."""
    return max(info.min_size, int(info.native_size * SMALLEST))


def sides(info: ModelInfo, smallest: float, largest: float) -> list[int]:
    """Sides within these bounds, the largest first, in steps that the network accepts."""
    step = STEP if STEP % info.size_multiple == 0 else info.size_multiple
    return [side for side in range(step, int(largest) + 1, step) if side >= smallest][::-1]
