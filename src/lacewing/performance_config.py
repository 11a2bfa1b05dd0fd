"""The tiers as data: bounds and factors for each class of hardware, no logic.

A tier gives bounds and a safe start; inside them a measurement may choose. A user's TOML
file overrides single values:

    [low]
    batch_share = [0.5, 0.8]
    image_sizes = [160]
"""

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lacewing.errors import ConfigError
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
    """Whether torch.compile may be chosen at all."""
    image_sizes: tuple[int, ...]
    """Sides of the network's input in pixels that fit this tier; the first is the default."""
    learning_rate_factor: float
    memory_share: float
    """Share of the memory that is free and allowed: the GPU's, or RAM on the CPU."""
    workers: int
    """Most loader processes worth having."""
    prefetch: int
    """Batches that each of them prepares ahead."""
    persistent_workers: bool


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
        persistent_workers=True,
    ),
    "mid": Tier(
        batch_share=(0.7, 0.7),
        default_batch=32,
        mixed_precision=True,
        compile=False,
        image_sizes=(224,),
        learning_rate_factor=1.0,
        memory_share=0.8,
        workers=4,
        prefetch=2,
        persistent_workers=True,
    ),
    "low": Tier(
        batch_share=(0.3, 0.5),
        default_batch=16,
        mixed_precision=True,
        compile=False,
        image_sizes=(128, 196),
        learning_rate_factor=1.0,
        memory_share=0.8,
        workers=2,
        prefetch=2,
        persistent_workers=False,
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
        persistent_workers=False,
    ),
    "cpu": Tier(
        batch_share=(0.2, 0.4),
        default_batch=16,
        mixed_precision=False,
        compile=False,
        image_sizes=(128,),
        learning_rate_factor=1.0,
        memory_share=0.5,
        workers=4,
        prefetch=2,
        persistent_workers=False,
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
LEAST_BATCH_FOR_BATCHNORM = 4
"""BatchNorm's statistics over fewer images are too noisy; a smaller batch must be asked for."""


def load_tiers(file: Path | None) -> dict[str, Tier]:
    """The tier table, with the values of a user's TOML file in place of ours."""
    if file is None:
        return TIERS
    try:
        loaded = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no tier file {file}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The tier file {file} can't be read: {error}.") from None
    tiers = dict(TIERS)
    for name, values in loaded.items():
        if name not in TIERS or not isinstance(values, dict):
            hint = nearest(name, list(TIERS)) or f"; the tiers are {', '.join(TIERS)}."
            raise ConfigError(f"The tier file {file} names an unknown tier [{name}]{hint}")
        tiers[name] = replace(
            TIERS[name],
            **{key: _checked(file, name, key, value) for key, value in values.items()},
        )
    return tiers


def _checked(file: Path, tier: str, key: str, value: Any) -> Any:
    """A value of the user's file, of the type that the table has. Raises ConfigError."""
    where = f"The tier file {file}, [{tier}] {key}"
    known = [field.name for field in fields(Tier)]
    if key not in known:
        raise ConfigError(f"{where}: no such value{nearest(key, known) or '.'}")
    ours = getattr(TIERS[tier], key)
    value = tuple(value) if isinstance(value, list) else value
    if key == "batch_share" and isinstance(value, float | int):
        value = (value, value)
    if key == "batch_share":
        good = (
            isinstance(value, tuple)
            and len(value) == 2
            and all(_is_number(share) for share in value)
            and 0 < value[0] <= value[1] <= 1
        )
        wanted = "two shares like [0.3, 0.5], above 0 and at most 1, the smaller first"
    elif key == "image_sizes":
        good = (
            isinstance(value, tuple)
            and bool(value)
            and all(isinstance(size, int) and size >= 16 for size in value)
        )
        wanted = "sizes in pixels like [128, 196], each at least 16"
    elif isinstance(ours, bool):
        good, wanted = isinstance(value, bool), "true or false"
    elif isinstance(ours, int):
        least = 0 if key == "workers" else 1
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        wanted = f"a whole number of at least {least}"
    else:
        most = 1 if key == "memory_share" else float("inf")
        good, wanted = _is_number(value) and 0 < value <= most, "a number above 0"
        wanted += " and at most 1" if most == 1 else ""
    if not good:
        raise ConfigError(f"{where} must be {wanted}, but it was {value!r}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
