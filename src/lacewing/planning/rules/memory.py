"""How much memory the run may take, and where decoded images are kept."""

from collections.abc import Callable

from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import Tier
from lacewing.values import Choice, format_bytes

CACHE_SHARE = 0.25
"""Share of the free RAM that decoded images may take; training needs the rest."""


def choose_share(asked: float | None, tier: Tier) -> Choice[float]:
    """Share of the free memory."""
    if asked is not None:
        return Choice(asked, "asked for", "user")
    return Choice(tier.memory_share, "the tier's share; the rest is for others", "rule")


def choose_bytes(share: Choice[float], device: Device, machine: Machine) -> Choice[int | None]:
    """The same in bytes, of what is free and allowed."""
    free = machine.memory_free_bytes if device.kind == "cpu" else device.free_bytes
    if free is None:
        return Choice(None, f"{device.kind} does not tell its memory", "fallback")
    where = "RAM" if device.kind == "cpu" else "device memory"
    reason = f"{share.value:g} of {format_bytes(free)} of free {where}"
    return Choice(int(free * share.value), reason, share.source, {"free_bytes": free})


def choose_pixels(
    cache_bytes: Callable[[int], int], image_size: int, machine: Machine
) -> Choice[str]:
    """Keep decoded images in RAM if they fit."""
    need = cache_bytes(image_size)
    allowed = machine.memory_free_bytes * CACHE_SHARE
    evidence = {"need_bytes": need, "allowed_bytes": allowed}
    if need <= allowed:
        reason = f"decoded images take {format_bytes(need)} of RAM; each is decoded once"
        return Choice("ram", reason, "rule", evidence)
    reason = f"decoded images would take {format_bytes(need)}, over {format_bytes(allowed)} of RAM"
    return Choice("none", reason, "rule", evidence)
