"""Whether torch.compile earns its cost back before the run ends."""

from dataclasses import dataclass

from lacewing.planning.rules.compile import COST_SECONDS
from lacewing.values import format_seconds

LIKELY_SHARE = {"cpu": 0.1}
"""Of a step's time: what compiling is likely to save, by kind of device. On two CPU cores it
saved nothing for resnet18 and mobilenetv3."""
GPU_SHARE = 0.25
WORTH_TRYING = 1.5
"""Times its cost: what compiling must be likely to save to be tried."""


@dataclass(frozen=True)
class Payback:
    """What compiling costs and what it saves in the rest of the run, in seconds."""

    cost_seconds: float
    saving_seconds: float
    measured: bool = False

    @property
    def worth_trying(self) -> bool:
        """Whether the saving is likely to be well above the cost."""
        return self.saving_seconds > WORTH_TRYING * self.cost_seconds

    @property
    def pays(self) -> bool:
        """Whether the saving is above the cost."""
        return self.saving_seconds > self.cost_seconds

    def sentence(self) -> str:
        """`"would cost about 45 s to save about 3 s"`."""
        cost, saving = (format_seconds(abs(s)) for s in (self.cost_seconds, self.saving_seconds))
        if not self.measured:
            return f"would cost about {cost} to save about {saving}"
        verb = "saves" if self.saving_seconds >= 0 else "loses"
        return f"costs {cost} and {verb} {saving} in this run, as measured"


def likely(kind: str, run_seconds: float, known_cost: float | None) -> Payback:
    """Before it is tried: by a likely share of `run_seconds`, the passes of the whole run."""
    share = LIKELY_SHARE.get(kind, GPU_SHARE)
    return Payback(COST_SECONDS if known_cost is None else known_cost, share * run_seconds)


def measured(cost_seconds: float, before: float, after: float, passes: int) -> Payback:
    """After it was tried: seconds of a pass before and after, and how many there will be."""
    return Payback(cost_seconds, (before - after) * passes, measured=True)
