"""How much memory the run may take, and where decoded images are kept."""

from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import CACHE_SHARE, Tier
from lacewing.values import Choice, format_bytes


def choose_share(asked: float | None, tier: Tier) -> Choice[float]:
    """Share of the free memory."""
    if asked is not None:
        return Choice(asked, "asked for", "user")
    return Choice(tier.memory_share, "the tier's; the rest is left to others", "rule")


def choose_bytes(share: Choice[float], device: Device, machine: Machine) -> Choice[int | None]:
    """The same in bytes, of what is free and allowed."""
    free = free_bytes(device, machine)
    if free is None:
        return Choice(None, f"{device.kind} does not tell its memory", "fallback")
    where = "RAM" if device.kind == "cpu" else "device memory"
    beside = beside_pixels(machine)
    if device.kind != "cpu" and device.is_ram and beside < free:
        free, where = beside, "RAM beside decoded images"
    reason = f"{share.value:g} x {format_bytes(free)} of free {where}"
    return Choice(int(free * share.value), reason, share.source, {"free_bytes": free})


def free_bytes(device: Device, machine: Machine) -> int | None:
    """What is free where the network computes; None where the device can't tell."""
    return machine.memory_free_bytes if device.kind == "cpu" else device.free_bytes


def beside_pixels(machine: Machine) -> int:
    """What of the free RAM is left where decoded images take all that they may.

    A GPU that computes in RAM gets its share of this. The CPU's own share leaves them room.
    """
    return machine.memory_free_bytes - pixel_bytes(machine)


def pixel_bytes(machine: Machine) -> int:
    """The share of the free RAM that decoded images may take."""
    return int(machine.memory_free_bytes * CACHE_SHARE)


def choose_pixels(need: int, disk: int, machine: Machine) -> Choice[str]:
    """Keep decoded images in RAM if they fit its share, else on the disk, else nowhere.

    Several processes of a host share what lies on the disk. In RAM each would have its own, and
    decode most images again, since in each epoch it has other ones.
    `disk` is the room there, in bytes: see `data.pixel_place.pixel_limit`.
    """
    allowed = pixel_bytes(machine)
    evidence = {"need_bytes": need, "allowed_bytes": allowed, "disk_bytes": disk}
    if machine.processes > 1 and need <= disk:
        reason = f"decoded once for {machine.processes} processes: {format_bytes(need)} on the disk"
        return Choice("disk", reason, "rule", evidence)
    if need <= allowed:
        reason = f"decoded once and kept: {format_bytes(need)} of RAM"
        return Choice("ram", reason, "rule", evidence)
    if need <= disk:
        reason = f"decoded once and kept: {format_bytes(need)}, too much for RAM"
        return Choice("disk", reason, "rule", evidence)
    rooms = f"RAM may give {format_bytes(allowed)}, the disk {format_bytes(disk)}"
    reason = f"{format_bytes(need)} decoded: {rooms}"
    return Choice("none", reason, "rule", evidence)
