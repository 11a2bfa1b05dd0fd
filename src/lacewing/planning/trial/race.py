"""Which of several ways is the fastest: interleaved rounds, medians, successive halving.

Each round runs every way once, so that a machine that is busy for a moment slows all of them
alike. What is clearly slower is dropped early (successive halving: Jamieson and Talwalkar 2016).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

ROUNDS = 5
LEAST_ROUNDS = 3
"""With a single way left, so many make its median worth having."""
HALVING_ROUND = 2
DROP_ABOVE = 1.3
"""Times the fastest, after HALVING_ROUND rounds."""
HOPELESS, LONG_SECONDS = 6.0, 0.5
"""A warm-up of so many times the fastest's, and so many seconds: the way is not timed at all.
Warm-ups hold costs that come once only, and short ones the noise of a busy machine."""
NO_TIME = "there was no time left to begin with it"
LEAST_BEGUN = 2
"""However little time there is, so that there is something to compare."""
WORTH = 0.97
"""A later way must take at most this share of an earlier one's time to be preferred to it."""
WORTH_OF_DETAILS = 0.93
"""The same for what changes little, raced in few rounds: their noise is larger than most gains."""


@dataclass
class Lane(Generic[Key]):
    """One way: its times in seconds, or why it is out."""

    key: Key
    warmup: float | None = None
    seconds: list[float] = field(default_factory=list)
    out: str = ""

    @property
    def median(self) -> float | None:
        """Seconds of a typical run, of two the shorter: noise only adds. None without any."""
        return median_low(self.seconds) if self.seconds else None


def race(
    keys: Sequence[Key],
    run: Callable[[Key], float | str],
    has_time: Callable[[], bool] = lambda: True,
    rounds: int = ROUNDS,
    *,
    warm_ups: Sequence[Key] = (),
) -> list[Lane[Key]]:
    """Time every key and return the lanes in the order of the keys.

    `run` gives the seconds of one run, or the reason for which a key is out. Every key that
    is not out gets one timed run, however little time there is; none whose warm-up was hopeless.
    Where warm-ups take long whatever the key, `warm_ups` are the keys in the order in which to
    begin them: at the least until two work, and further while there is time.
    """
    lanes = [Lane(key) for key in keys]
    by_key = {lane.key: lane for lane in lanes}
    for lane in [by_key[key] for key in warm_ups] or lanes:
        begun = [one for one in lanes if one.warmup is not None and not one.out]
        if warm_ups and len(begun) >= LEAST_BEGUN and not has_time():
            lane.out = NO_TIME
        else:
            _warm_up(lane, lanes, run, gives_up=not warm_ups)
    for number in range(rounds):
        racing = [lane for lane in lanes if not lane.out]
        if number >= LEAST_ROUNDS and len(racing) == 1:
            break
        # to and fro: a machine that slows down favours nobody
        for lane in racing if number % 2 == 0 else reversed(racing):
            if number and not has_time():
                return lanes
            _record(lane, run(lane.key))
        if number + 1 == HALVING_ROUND:
            _drop_slow(lanes)
    return lanes


def _warm_up(
    lane: Lane[Key], lanes: list[Lane[Key]], run: Callable[[Key], float | str], *, gives_up: bool
) -> None:
    result = run(lane.key)
    if isinstance(result, str):
        lane.out = result
        return
    lane.warmup = result
    best = min(o.warmup for o in lanes if o.warmup is not None and not o.out)
    if gives_up and result > HOPELESS * best and result > LONG_SECONDS:
        lane.out = f"its first pass took {result / best:.0f} times as long as the fastest"


def _record(lane: Lane[Key], result: float | str) -> None:
    if isinstance(result, str):
        lane.out = result
    else:
        lane.seconds.append(result)


def _drop_slow(lanes: list[Lane[Key]]) -> None:
    racing = [lane for lane in lanes if lane.median is not None and not lane.out]
    best = min((lane.median or 0.0 for lane in racing), default=0.0)
    for lane in racing:
        if best and lane.median and lane.median > DROP_ABOVE * best:
            lane.out = f"slower by {lane.median / best - 1:.0%} after {HALVING_ROUND} rounds"


def winner(lanes: Sequence[Lane[Key]], worth: float = WORTH) -> Lane[Key] | None:
    """The fastest lane; an earlier one unless a later one is faster by more than the noise."""
    best: Lane[Key] | None = None
    for lane in lanes:
        if lane.out or lane.median is None:
            continue
        if best is None or best.median is None or lane.median < worth * best.median:
            best = lane
    return best
