"""Measured: what the trial found, as it stands with the plan. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Forecast and candidates."""

    forecast: Mapping[str, float] = field(default_factory=dict)
    """first_epoch_seconds, epoch_seconds, epochs, judge_seconds, run_seconds, peak_bytes: those
    that are known, of a recipe the last alone. An epoch holds its validation."""
    candidates: tuple[Mapping[str, float | str], ...] = ()
    """What was tried: pass, way, images_per_second or bytes, note (why one is out), and chosen."""
    seconds: float = 0.0
    """What the trial took; what it once took, where it was remembered."""
    remembered: bool = False
    """Whether it was made at an earlier plan of the same work on the same machine."""
    work: str = ""
    """Of what work and machine it tells, as `planning.trial.same_work` has it."""
