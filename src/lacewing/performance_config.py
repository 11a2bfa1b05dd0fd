"""The tiers as data: bounds and factors for each class of hardware, no logic.

A tier gives bounds and a safe start; inside them a measurement may choose. A user's TOML
file overrides single values:

    [low]
    batch_share = [0.5, 0.8]
    image_sizes = [160]
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lacewing.errors import ConfigError
from lacewing.fields import Reader, boolean, number, whole
from lacewing.values import GIB, nearest


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Bounds and factors for one class of hardware."""

    batch_share: tuple[float, float]
    """Micro-batch as a share of the requested batch: smallest and largest."""
    default_batch: int
    """Batch size where none is requested."""
    mixed_precision: bool
    """Whether a rule may choose mixed precision without having measured it."""
    compile: bool
    """Whether torch.compile may be tried, to be taken where it is measured to pay."""
    image_sizes: tuple[int, ...]
    """Sides of the network's input in pixels that fit this tier. The first is taken; the others are
    for --image-size, since what a larger side gains no trial can tell."""
    learning_rate_factor: float
    memory_share: float
    """Share of the memory that is free and allowed: the GPU's, or RAM on the CPU."""
    workers: int
    """Most decoding threads worth having."""
    prefetch: int
    """Batches prepared ahead, at least."""


TIERS: dict[str, Tier] = {
    "high": Tier(
        batch_share=(1.0, 1.0),
        default_batch=64,
        mixed_precision=True,
        compile=True,
        image_sizes=(224, 256),
        learning_rate_factor=1.0,
        memory_share=0.8,
        workers=8,
        prefetch=4,
    ),
    "mid": Tier(
        batch_share=(0.7, 0.7),
        default_batch=32,
        mixed_precision=True,
        compile=True,
        image_sizes=(224,),
        learning_rate_factor=1.0,
        memory_share=0.8,
        workers=4,
        prefetch=2,
    ),
    "low": Tier(
        batch_share=(0.3, 0.5),
        default_batch=16,
        mixed_precision=True,
        compile=True,
        image_sizes=(128, 196),
        learning_rate_factor=1.0,
        memory_share=0.8,
        workers=2,
        prefetch=2,
    ),
    "directml": Tier(
        # The low tier for a device whose memory can't be asked and whose autocast does nothing.
        batch_share=(0.3, 0.3),
        default_batch=8,
        mixed_precision=False,
        compile=False,
        image_sizes=(196, 128),
        learning_rate_factor=0.5,
        memory_share=0.8,
        workers=2,
        prefetch=2,
    ),
    "cpu": Tier(
        # Reduced precision pays on some processors for some networks only, so no rule chooses it.
        # The original's learning-rate factor of 0.1 is not taken over: the linear rule already
        # lowers the rate with the batch.
        batch_share=(0.2, 0.4),
        default_batch=16,
        mixed_precision=False,
        compile=True,
        image_sizes=(128,),
        learning_rate_factor=1.0,
        memory_share=0.5,
        workers=8,
        # varied batches, floats: four times a decoded one's bytes
        prefetch=1,
    ),
}

HIGH_FROM_BYTES = 8 * GIB
"""A GPU with this much memory or more is in the high tier."""
MID_FROM_BYTES = 4 * GIB
"""A GPU with this much memory, and less than the high tier's, is in the mid tier."""
NOMINAL_TOLERANCE = 0.92
"""A card sold as 8 GB reports 7.6 to 8.0 GiB: compare with this share of the nominal size."""
SMALL_RAM_BYTES = 8 * GIB
"""Below this much usable RAM, the CPU tier takes the lower end of its batch share."""
SMALL_GPU_BYTES = 2.5e9
"""Below this much device memory, the low tier takes the lower end of its batch share."""
LEAST_BATCH_FOR_BATCHNORM = 4
"""BatchNorm's statistics over fewer images are too noisy; a smaller batch must be asked for."""
EVAL_BATCH = (8, 64)
"""Bounds of a forward-only pass's images: fewer leave a device idle, more gain nothing."""
LARGE_EVAL_BATCH = {"cuda": 256, "xpu": 256}
"""Images of one on kinds of devices with memory of their own, where it is known: a GPU takes about
as long for few as for many."""
EVAL_TO_INPUT = 40
"""Times the bytes of its input, what an image takes in a forward-only pass that was not measured:
on a CPU 10 to 60 were, 30 in most networks."""
CACHE_SHARE = 0.25
"""Share of the free RAM that decoded images may take; training needs the rest."""
AHEAD_SHARE = 0.1
"""Share of the RAM that a run may take on a CPU, for batches that its threads make ahead."""


def load_tiers(file: Path | None) -> dict[str, Tier]:
    """The tier table, with the values of a user's TOML file in place of ours.

    Raises ConfigError naming the file, the tier and the value.
    """
    if file is None:
        return TIERS
    tiers = dict(TIERS)
    for name, values in _read_toml(file).items():
        if name not in TIERS or not isinstance(values, dict):
            hint = nearest(name, list(TIERS)) or f": the tiers are {', '.join(TIERS)}."
            raise ConfigError(f"The tier file {file} names an unknown tier {name!r}{hint}")
        checked = {key: _checked(file, name, key, value) for key, value in values.items()}
        tiers[name] = replace(TIERS[name], **checked)
    return tiers


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"There is no tier file {file}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"The tier file {file} can't be read: {error}.") from None


def _checked(file: Path, tier: str, key: str, value: Any) -> Any:
    """A value of the user's file, of the type that the table has. Raises ConfigError."""
    where = f"The tier file {file}, [{tier}] {key}"
    if key not in READERS:
        hint = nearest(key, list(READERS)) or f": a tier has {', '.join(READERS)}."
        raise ConfigError(f"{where}: there is no such value{hint}")
    try:
        return READERS[key].read(value)
    except ValueError as error:
        raise ConfigError(f"{where} {error}, but it was {value!r}.") from None


def _read_shares(value: Any) -> tuple[float, float]:
    """Two shares, or one that is both."""
    shares = value if isinstance(value, list) else [value, value]
    share = number(above=0, at_most=1)
    try:
        low, high = (share.read(item) for item in shares)
        if low > high:
            raise ValueError
    except ValueError:
        raise ValueError(
            "must be two shares like [0.3, 0.5], above 0 and at most 1, the smaller first"
        ) from None
    return low, high


def _read_sizes(value: Any) -> tuple[int, ...]:
    """One or more sides in pixels."""
    sizes = value if isinstance(value, list) else [value]
    side = whole(at_least=16)
    try:
        if not sizes:
            raise ValueError
        return tuple(side.read(item) for item in sizes)
    except ValueError:
        raise ValueError("must be sizes in pixels like [128, 196], each at least 16") from None


READERS: dict[str, Reader] = {
    "batch_share": Reader("[LOW, HIGH]", _read_shares),
    "default_batch": whole(at_least=1),
    "mixed_precision": boolean(),
    "compile": boolean(),
    "image_sizes": Reader("[PIXELS, ...]", _read_sizes),
    "learning_rate_factor": number(above=0),
    "memory_share": number(above=0, at_most=1),
    "workers": whole(),
    "prefetch": whole(at_least=1),
}
"""How each value of a user's tier file is read."""
