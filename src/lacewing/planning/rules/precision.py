"""Precision of the forward pass, and the order of dimensions in memory."""

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.performance_config import Tier
from lacewing.values import Choice


def choose(asked: str | None, device: Device, tier: Tier) -> Choice[str]:
    """Mixed precision where the tier has it and the device passed the test in it."""
    passed = ", ".join(device.precisions)
    if asked is not None:
        if asked not in device.precisions:
            raise DeviceError(
                f"--precision {asked} did not pass its test on {device.name}: "
                f"use one of {passed}, or leave it out."
            )
        return Choice(asked, "asked for", "user")
    if device.kind == "cpu":
        return Choice(
            "fp32",
            "bf16 doubles some networks' speed on some CPUs and slows others: fp32 until measured",
            "rule",
            {"passed": passed},
        )
    if not tier.mixed_precision:
        return Choice("fp32", "this tier has no mixed precision", "rule", {"passed": passed})
    for precision in ("bf16", "fp16", "tf32"):
        if precision in device.precisions:
            reason = f"{precision} passed its test on {device.name}"
            return Choice(precision, reason, "rule", {"passed": passed})
    reason = f"no reduced precision passed its test on {device.name}"
    return Choice("fp32", reason, "fallback", {"passed": passed})


def choose_memory_format(
    asked: str | None, device: Device, capabilities: Capabilities
) -> Choice[str]:
    """channels_last where it is right; it is faster for most convolutional networks."""
    right = capabilities.memory_formats
    if asked is not None:
        if asked not in right:
            raise DeviceError(
                f"--memory-format {asked} gives wrong results on {device.kind}: "
                f"use {' or '.join(right)}."
            )
        return Choice(asked, "asked for", "user")
    if "channels_last" not in right:
        return Choice("contiguous", f"channels_last gives wrong results on {device.kind}", "rule")
    return Choice("channels_last", "convolutions run faster in it on most devices", "rule")
