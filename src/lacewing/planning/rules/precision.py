"""Precision of the passes, and the order of dimensions in memory."""

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.performance_config import Tier
from lacewing.values import Choice

REDUCED = ("bf16", "fp16", "tf32")
"""In the order of preference: bf16 has the range of fp32 and needs no loss scaling."""


def choose(asked: str | None, device: Device, tier: Tier) -> Choice[str]:
    """For training: mixed precision where the tier has it and the device passed the test in it.

    Raises DeviceError for a precision that did not.
    """
    if asked is not None:
        return _asked(asked, device)
    evidence = {"passed": ", ".join(device.precisions)}
    reduced = [precision for precision in REDUCED if precision in device.precisions]
    if not reduced:
        return Choice("fp32", "the only one that passed its test on this device", "rule", evidence)
    if not tier.mixed_precision:
        reason = f"{reduced[0]} slows some networks: not before it is measured"
        return Choice("fp32", reason, "rule", evidence)
    return Choice(reduced[0], "passed its test on this device", "rule", evidence)


def choose_for_evaluation(asked: str | None, training: Choice[str], device: Device) -> Choice[str]:
    """For forward-only passes: as in training, but bf16 on the CPUs that have it.

    Forward-only passes of all eight networks that were measured on a CPU with AVX512-BF16 ran
    1.3 to 2.6 times as fast in it; training gained for five only.
    """
    if asked is not None:
        return _asked(asked, device)
    if device.kind == "cpu" and "bf16" in device.precisions:
        return Choice("bf16", "every network that was timed ran forward faster in it", "rule")
    return Choice(training.value, "as in training", "rule")


def choose_memory_format(
    asked: str | None, device: Device, capabilities: Capabilities, precision: str = "fp32"
) -> Choice[str]:
    """channels_last where it is right; it is faster for most convolutional networks.

    Raises DeviceError for a format in which the device computes wrong results.
    """
    right = right_formats(device, capabilities, precision)
    if asked is not None:
        if asked not in right:
            raise DeviceError(
                f"--memory-format {asked} can't be trusted on {device.kind}: "
                f"use {' or '.join(right)}, or leave it out."
            )
        return Choice(asked, "asked for", "user")
    if "channels_last" not in right:
        if "channels_last" in capabilities.memory_formats:
            return Choice("contiguous", f"channels_last failed its test in {precision}", "rule")
        return Choice("contiguous", f"channels_last can't be trusted on {device.kind}", "rule")
    return Choice("channels_last", "most convolutions run faster in it", "rule")


def right_formats(device: Device, capabilities: Capabilities, precision: str) -> tuple[str, ...]:
    """The memory formats in which the device computes right in a precision, contiguous first."""
    return tuple(f for f in capabilities.memory_formats if device.is_right(precision, f))


def choose_format_for_evaluation(training: Choice[str]) -> Choice[str]:
    """As in training: the weights are the same tensors."""
    reason = "asked for" if training.source == "user" else "as in training"
    return Choice(training.value, reason, training.source)


def _asked(precision: str, device: Device) -> Choice[str]:
    if precision not in device.precisions:
        raise DeviceError(
            f"--precision {precision} did not pass its test on {device.name}: "
            f"use {' or '.join(device.precisions)}, or leave it out."
        )
    return Choice(precision, "asked for", "user")
