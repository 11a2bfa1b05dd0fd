"""Progressive resizing: training images grow over the epochs, so that the early ones cost less.

Tan and Le 2021, "EfficientNetV2: Smaller models and faster training" (arXiv:2104.00298), section
4, without the augmentation that grows along. Batch and learning rate stay. A side depends on
nothing but the epoch and the length of the run, so a resumed run has the sides of a whole one.
"""

from dataclasses import replace
from itertools import groupby

from lacewing.config import TrainConfig
from lacewing.errors import ModelError
from lacewing.models.catalog import ModelInfo
from lacewing.planning.plan import Plan
from lacewing.values import Choice

START = 0.6
"""The first side is no smaller than this share of the last. EfficientNetV2 begins at 0.43 of it,
but trains from scratch: pretrained weights have learnt things at their size."""
FULL_SHARE = 1 / 3
"""Of the epochs, at the end, at the full size."""
STEP = 32
"""Pixels between two sides, if the network accepts that: the stride of most."""


def sides_of(config: TrainConfig, info: ModelInfo, full: int) -> tuple[int, ...]:
    """Side of each epoch's training images, which end at `full` pixels; () if none is to grow."""
    if not config.progressive_resizing:
        return ()
    return growing_sides(full, config.epochs, info.min_size, info.size_multiple)


def check_network(config: TrainConfig, info: ModelInfo) -> None:
    """Raise ModelError where images are to grow and the network takes one size only."""
    if config.progressive_resizing and (info.fixed_size or info.built_for_size):
        raise ModelError(
            f"{info.name} takes images of one size only, so they can't grow: leave out "
            "--progressive-resizing, or use another --model."
        )


def with_growth_said(plan: Plan, sides: tuple[int, ...]) -> Plan:
    """The plan whose image size tells of the epochs' sides, if there are any."""
    if not sides:
        return plan
    size, shares = plan.image_size, work_shares(sides)
    told = Choice(
        size.value,
        f"{size.reason}; {in_words(sides)}",
        size.source,
        {**size.evidence, "work_share": round(sum(shares) / len(shares), 3)},
    )
    return replace(plan, image_size=told)


def growing_sides(full: int, epochs: int, least: int, multiple: int) -> tuple[int, ...]:
    """Side in pixels of the training images in each epoch, never smaller than in the one before.

    least: the smallest side that the network accepts; multiple: a side must be a multiple of it,
    as `full` is.
    """
    step = -(-STEP // multiple) * multiple
    smallest = max(least, START * full)
    smaller = [side for side in range(full - step, 0, -step) if side >= smallest][::-1]
    early = int(epochs * (1 - FULL_SHARE)) if smaller else 0
    sides = [smaller[epoch * len(smaller) // early] for epoch in range(early)]
    return (*sides, *[full] * (epochs - early))


def work_shares(sides: tuple[int, ...]) -> tuple[float, ...]:
    """What each epoch's steps take of those at the last side: in proportion to their pixels."""
    return tuple((side / sides[-1]) ** 2 for side in sides)


def in_words(sides: tuple[int, ...]) -> str:
    """`"96 pixels in epochs 1-2, 128 in 3-4, 160 from 5 on"`; why, where they don't grow."""
    if len(set(sides)) == 1:
        return f"training images don't grow: {no_room(len(sides), sides[-1])}"
    parts: list[str] = []
    first = 1
    for side, epochs in groupby(sides):
        last = first + len(list(epochs)) - 1
        unit, name = (" pixels", f"epoch{'s' * (last > first)} ") if not parts else ("", "")
        place = f"in {name}{first}" + (f"-{last}" if last > first else "")
        parts.append(f"{side}{unit} {place if last < len(sides) else f'from {first} on'}")
        first = last + 1
    shares = work_shares(sides)
    return f"{', '.join(parts)}: {sum(shares) / len(shares):.0%} of the work at the last size"


def no_room(epochs: int, side: int) -> str:
    """Why images don't grow, a clause."""
    return "there is one epoch" if epochs == 1 else f"{side} pixels leave no room below"
