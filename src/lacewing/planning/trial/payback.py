"""Whether torch.compile earns its cost back before the run ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from lacewing.engine.execution import GRAPH_MODES
from lacewing.planning.rules.compile import usual_seconds
from lacewing.planning.trial.findings import CompileTime, Findings
from lacewing.values import Choice, format_seconds

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

    def sentence(self, left: float = 0.0) -> str:
        """`"costs 40 s and saves 2 min 0 s in this run, as measured"`.

        Where it was not measured, why: `left` is the seconds that measuring had for it.
        """
        cost, saving = (format_seconds(abs(s)) for s in (self.cost_seconds, self.saving_seconds))
        if self.measured:
            verb = "saves" if self.saving_seconds >= 0 else "loses"
            return f"costs {cost} and {verb} {saving} in this run, as measured"
        if self.worth_trying and left < self.cost_seconds:
            had = format_seconds(max(0.0, left))
            return f"not tried: it takes about {cost}, and measuring had {had} left"
        if self.pays:
            return f"not tried: it may save about {saving}, for about {cost}"
        return f"would cost about {cost} to save about {saving}"

    def evidence(self) -> dict[str, float]:
        """The figures."""
        return {
            "cost_seconds": round(self.cost_seconds, 1),
            "saving_seconds": round(self.saving_seconds, 1),
        }


def likely(kind: str, run_seconds: float, cost_seconds: float) -> Payback:
    """Before it is tried: by a likely share of `run_seconds`, the passes of the whole run."""
    return Payback(cost_seconds, LIKELY_SHARE.get(kind, GPU_SHARE) * run_seconds)


def measured(cost_seconds: float, before: float, after: float, passes: int) -> Payback:
    """After it was tried: seconds of a pass before and after, and how many there will be."""
    return Payback(cost_seconds, (before - after) * passes, measured=True)


def cheapest(tried: Sequence[CompileTime], passes: int) -> CompileTime | None:
    """The mode that takes the least of the run, compiling included; the first if none works."""

    def taken(one: CompileTime) -> float:
        each = float("inf") if one.pass_seconds is None else one.pass_seconds
        return one.cost_seconds + passes * each

    return min(tried, key=taken, default=None)


def usable(modes: Sequence[str], accumulation: int) -> tuple[str, ...]:
    """The modes that serve steps of so many passes."""
    return tuple(mode for mode in modes if accumulation == 1 or mode not in GRAPH_MODES)


def choose(
    kind: str,
    open_modes: Sequence[str],
    findings: Findings,
    run_seconds: float,
    images: int,
    accumulation: int,
) -> Choice[str]:
    """On in the cheapest mode that was timed, if it pays in a run over `images`; else off.

    `run_seconds` is what the passes of the whole run take without it, `accumulation` of them a
    step. Of `open_modes`, the first that serves such steps is what might have been tried.
    """
    best = findings.best
    passes = round(images / best.way.images)
    modes = usable([one.mode for one in findings.compile_tried], accumulation)
    compiled = cheapest([one for one in findings.compile_tried if one.mode in modes], passes)
    if compiled is None or best.seconds is None:
        first = usable(open_modes, accumulation)[0]
        cost = findings.compile_cost_seconds.get(first, usual_seconds(first))
        weighed = likely(kind, run_seconds, cost)
        reason = weighed.sentence(findings.compile_left_seconds)
        return Choice("off", reason, "rule", weighed.evidence())
    if compiled.pass_seconds is None:
        return Choice("off", compiled.out or "it did not work when it was tried", "measured")
    before = compiled.plain_seconds or best.seconds
    weighed = measured(compiled.cost_seconds, before, compiled.pass_seconds, passes)
    mode = compiled.mode if weighed.pays else "off"
    return Choice(mode, weighed.sentence(), "measured", weighed.evidence())
