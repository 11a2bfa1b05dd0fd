"""Findings: everything a trial measured, as plain data that can be remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.race import Lane
from lacewing.planning.trial.ways import Way


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One way, and the median seconds of its passes; None where it was not timed."""

    way: Way
    seconds: float | None = None
    out: str = ""
    """Why it is out."""

    @property
    def rate(self) -> float | None:
        """Images per second."""
        return self.way.images / self.seconds if self.seconds else None


@dataclass(frozen=True, kw_only=True)
class Varied:
    """What it takes to vary an image between the steps."""

    by: str
    """A value of the plan's `augment_on`."""
    seconds: float | None = None
    """None where it is out."""
    out: str = ""
    """Why."""

    @property
    def rate(self) -> float | None:
        """Images per second."""
        return 1 / self.seconds if self.seconds else None


@dataclass(frozen=True, kw_only=True)
class CompileTime:
    """What compiling cost, and what a pass then took."""

    mode: str = "default"
    """See `engine.execution.Execution.compile_mode`."""
    cost_seconds: float
    pass_seconds: float | None
    """Of as many images as a pass of the best way; None where it did not work."""
    plain_seconds: float | None = None
    """Of passes without it that ran in turn with these; None where none did."""
    out: str = ""
    """Why it is out, if it ran at all."""


@dataclass(frozen=True, kw_only=True)
class Fed:
    """The loop with a number of threads that prepare batches ahead."""

    workers: int
    seconds: float | None
    """Per image, all in all; None where it was not timed."""
    out: str = ""
    """Why it is out."""

    @property
    def rate(self) -> float | None:
        """Images per second."""
        return 1 / self.seconds if self.seconds else None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was measured."""

    best: Timed
    """The way to train."""
    training: tuple[Timed, ...]
    best_forward: Timed
    forward: tuple[Timed, ...]
    plain_seconds: float
    """Per image of a forward-only pass in full precision."""
    sizes: tuple[Timed, ...] = ()
    """The best way at several micro-batches."""
    average_seconds: float = 0.0
    """Per step, of the average of the weights; 0 where none is kept."""
    fed: tuple[Fed, ...] = ()
    """The best way, fed by several numbers of threads, the fewest first."""
    memory: MemoryModel | None = None
    memory_measured: bool = False
    """Whether the memory model rests on measured peaks and is not only counted."""
    snapshot_bytes: int = 0
    """Of a copy of weights, statistics and optimiser state, as a checkpoint is written from."""
    base_bytes: int = 0
    """Of memory that the process took before there was a network."""
    varied: tuple[Varied, ...] = ()
    """By tensor operations and by kernels, where both were tried."""
    augment_seconds: float = 0.0
    """Per image, in the thread that trains."""
    prepare_seconds: float = 0.0
    """Per image once it is decoded, in one of the threads that decode."""
    decode_seconds: float = 0.0
    """Per image, in one thread."""
    cut_at_bytes: int | None = None
    """The memory that was allowed, where with more of it more could have been tried; else None."""
    accumulation: int = 1
    """Passes of a step for which compiling was tried."""
    compile_tried: tuple[CompileTime, ...] = ()
    """In each mode, in passes of the best way's images."""
    compile_left_seconds: float = 0.0
    """What measuring might yet have taken when compiling's turn came."""
    compile_cost_seconds: Mapping[str, float] = field(default_factory=dict)
    """What compiling took in an earlier run, by mode, where that is known."""
    fastest_seconds: float = 0.0
    """Per image of a training pass in the races: by it the length of the run was judged."""
    seconds: float = 0.0
    """What measuring took."""
    allowed_seconds: float = 0.0
    """What it might have taken."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Findings":
        """What `as_dict` took apart. Raises KeyError, TypeError or ValueError."""
        return cls(
            **{
                **fields,
                "best": timed(fields["best"]),
                "best_forward": timed(fields["best_forward"]),
                **{
                    name: tuple(timed(one) for one in fields[name])
                    for name in ("training", "forward", "sizes")
                },
                "varied": tuple(Varied(**one) for one in fields["varied"]),
                "fed": tuple(Fed(**one) for one in fields["fed"]),
                "memory": memory(fields["memory"]),
                "compile_tried": tuple(CompileTime(**one) for one in fields["compile_tried"]),
            }
        )


def timed(fields: dict[str, Any]) -> Timed:
    """A Timed that `asdict` took apart."""
    return Timed(**{**fields, "way": Way(**fields["way"])})


def memory(fields: dict[str, Any] | None) -> MemoryModel | None:
    """A MemoryModel that `asdict` took apart."""
    if fields is None:
        return None
    points = tuple((int(size), int(peak)) for size, peak in fields["points"])
    return MemoryModel(**{**fields, "points": points})


def of_lanes(lanes: Sequence[Lane[Way]]) -> tuple[Timed, ...]:
    """What a race found."""
    return tuple(Timed(way=lane.key, seconds=lane.median, out=lane.out) for lane in lanes)
