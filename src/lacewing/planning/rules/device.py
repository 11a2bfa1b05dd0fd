"""Which device, and which tier of the table it falls in."""

from lacewing.errors import DeviceError
from lacewing.hardware.backends import parse_address
from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import (
    HIGH_FROM_BYTES,
    MID_FROM_BYTES,
    NOMINAL_TOLERANCE,
)
from lacewing.values import Choice, format_bytes


def find_device(machine: Machine, address: str) -> Device:
    """The machine's device of that address. Raises DeviceError with what there is instead."""
    wanted = parse_address(address)
    for device in machine.devices:
        if (device.kind, device.index) == wanted:
            return device
    why = "; ".join(f"{r.name}: {r.reason}" for r in machine.rejected if r.kind == wanted[0])
    there = ", ".join(device.address for device in machine.devices)
    raise DeviceError(
        f"This machine has no device {address}{f' ({why})' if why else ''}: "
        f"use --device auto or one of {there}."
    )


def choose(asked: str | None, machine: Machine) -> Choice[str]:
    """The device asked for, else the first that passed its test. Raises DeviceError."""
    if asked is not None:
        return Choice(find_device(machine, asked).address, "asked for", "user")
    device = machine.devices[0]
    if device.kind != "cpu":
        return Choice(device.address, f"{device.name} passed its test", "rule")
    # what was found and then failed has a name of its own; so does a precision that the CPU lacks
    failed = [item for item in machine.rejected if item.kind not in (item.name, "cpu")]
    reason = f"{failed[0].name} failed its test" if failed else "no GPU was found"
    evidence = {f"not used: {item.name}": item.reason for item in machine.rejected}
    return Choice(device.address, reason, "fallback", evidence)


def choose_tier(device: Device) -> Choice[str]:
    """The tier of the table: by the device's memory, as its maker counts it."""
    if device.kind == "cpu":
        return Choice("cpu", "no GPU is used", "rule")
    if device.kind == "directml":
        return Choice("directml", "DirectML neither tells its memory nor has autocast", "rule")
    total = device.total_bytes
    if total is None:
        return Choice("low", f"{device.name} does not tell its memory", "fallback")
    size = format_bytes(total)
    evidence = {"total_bytes": total}
    if total >= HIGH_FROM_BYTES * NOMINAL_TOLERANCE:
        return Choice("high", f"{size} of device memory: 8 GB or more", "rule", evidence)
    if total >= MID_FROM_BYTES * NOMINAL_TOLERANCE:
        return Choice("mid", f"{size} of device memory: 4 to 8 GB", "rule", evidence)
    return Choice("low", f"{size} of device memory: under 4 GB", "rule", evidence)
