"""torch.compile: only where it can pay for itself."""

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Capabilities
from lacewing.performance_config import Tier
from lacewing.values import Choice

COST_SECONDS = 60.0
"""What compiling a network's forward and backward pass takes: 29 to 79 s were measured."""
SAVING_SECONDS_PER_STEP = 0.01
"""What a step may save on a GPU; a guess until it is measured on this machine."""


def choose(
    asked: str | None, tier: Tier, capabilities: Capabilities, device_kind: str, total_steps: int
) -> Choice[str]:
    """On the tiers that allow it, if the run is long enough to earn its cost back."""
    if asked is not None:
        if asked != "off" and not capabilities.compile:
            raise DeviceError(
                f"--compile {asked} does not work on {device_kind}: use --compile off."
            )
        return Choice(asked, "asked for", "user")
    if not tier.compile or not capabilities.compile:
        return Choice("off", "this tier does not compile: it rarely pays there", "rule")
    saving = total_steps * SAVING_SECONDS_PER_STEP
    arithmetic = (
        f"would cost about {COST_SECONDS:.0f} s and may save {saving:.0f} s "
        f"over {total_steps:,} steps"
    )
    evidence = {"cost_seconds": COST_SECONDS, "saving_seconds": saving}
    mode = "default" if saving > COST_SECONDS else "off"
    return Choice(mode, arithmetic, "rule", evidence)
