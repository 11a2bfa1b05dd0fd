"""How much memory the run may take, and where decoded images are kept."""

from lacewing.data.pixel_place import VARIABLE
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
    allowed, processes, said = pixel_bytes(machine), machine.processes, format_bytes(need)
    place = place_of(need, allowed, disk, processes)
    if place == "none":
        rooms = f"RAM gives {format_bytes(allowed)}, disk {format_bytes(disk)}"
        reason = f"{said}; {rooms} ({VARIABLE})"
    elif place == "ram":
        reason = f"decoded once and kept: {said} of RAM"
    elif processes > 1:
        reason = f"decoded once for {processes} processes: {said} on the disk"
    else:
        reason = f"decoded once and kept: {said}, too much for RAM"
    evidence = {"need_bytes": need, "allowed_bytes": allowed, "disk_bytes": disk}
    return Choice(place, reason, "rule", evidence)


def place_of(need: float, allowed: float, disk: float, processes: int) -> str:
    """ram, disk or none, for so many bytes, by the bytes that RAM and the disk may give."""
    if processes > 1 and need <= disk:
        return "disk"
    if need <= allowed:
        return "ram"
    return "disk" if need <= disk else "none"


def place_of_part(pixels: Choice[str], need: int, processes: int) -> str:
    """Where the rules, whose choice is given, keep `need` bytes of it; the rest lies elsewhere."""
    known = pixels.evidence
    allowed, disk = float(known.get("allowed_bytes", 0)), float(known.get("disk_bytes", 0))
    return place_of(need, allowed, disk, processes)
