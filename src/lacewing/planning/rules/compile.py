"""torch.compile: never by a rule, only where it was measured to pay for itself."""

from lacewing.config import TrainConfig
from lacewing.errors import DeviceError
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.performance_config import Tier
from lacewing.values import Choice

COST_SECONDS = 60.0
"""What compiling a network's forward and backward pass takes: 29 to 79 s were measured."""
GRAPHS_SECONDS = 15.0
"""The same of `cudagraphs`, which makes no kernels: to trace both passes took 9 to 26 s on a busy
CPU. On a GPU it was not measured."""
TRITON_FROM = (7, 0)
"""Compute capability from which Triton makes kernels for a CUDA device."""


def choose(
    asked: str | None,
    tier: Tier,
    capabilities: Capabilities,
    device: Device,
    *,
    anew_for: str | None = None,
) -> Choice[str]:
    """Off, unless asked for: what it saves differs too much, so the trial decides where it may.

    It may not where the network would be compiled again and again (`anew_for`).

    Raises DeviceError where it is asked for and the device can't have it.
    """
    modes = possible_modes(capabilities, device)
    if asked is not None:
        if asked not in modes:
            raise DeviceError(
                f"--compile {asked} does not work on {device.name} ({device.kind}): "
                f"use --compile {' or '.join(modes)}, or leave it out."
            )
        return Choice(asked, "asked for", "user")
    if modes == ("off",):
        return Choice("off", "torch.compile does not work on this device", "rule")
    if anew_for:
        return Choice("off", f"{anew_for} would cost it", "rule")
    if not tier.compile:
        return Choice("off", "the tier leaves it out", "rule")
    return Choice("off", "not before it is measured to pay for itself", "rule")


def is_open(
    choice: Choice[str],
    tier: Tier,
    capabilities: Capabilities,
    device: Device,
    anew_for: str | None,
) -> bool:
    """Whether the trial may try it where it was not asked for; see `choose`."""
    is_asked = choice.source == "user"
    return not is_asked and tier.compile and not anew_for and is_possible(capabilities, device)


def compiled_anew(config: TrainConfig) -> str | None:
    """For what the network would be compiled again and again, as words; None if for nothing."""
    if config.progressive_resizing:
        return "each size that training images grow through"
    if config.gradual_unfreezing:
        return "each set of layers that learn"
    return None


def usual_seconds(mode: str) -> float:
    """What compiling in a mode takes where nothing is known of the network."""
    return GRAPHS_SECONDS if mode == "cudagraphs" else COST_SECONDS


def possible_modes(capabilities: Capabilities, device: Device) -> tuple[str, ...]:
    """The modes that the device can have."""
    if not is_possible(capabilities, device):
        return ("off",)
    graphs = ("cudagraphs",) if "cudagraphs" in capabilities.compile_modes else ()
    return ("off", "default", "reduce-overhead", *graphs)


def is_possible(capabilities: Capabilities, device: Device) -> bool:
    """Whether torch.compile can make kernels for the device at all."""
    capability = device.details.get("compute capability")
    if capability is not None and tuple(map(int, capability.split("."))) < TRITON_FROM:
        return False
    return capabilities.compile
