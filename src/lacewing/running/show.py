"""Machine, data and plan, on the screen."""

from lacewing import console
from lacewing.data.index import ImageIndex
from lacewing.data.subset import times_larger
from lacewing.hardware.describe import short_rows, verdict
from lacewing.hardware.machine import Machine
from lacewing.planning.document import plan_rows
from lacewing.planning.plan import Plan
from lacewing.results.projection import project_forecast
from lacewing.training.setup import Prepared
from lacewing.training.trial import show_trial
from lacewing.values import format_seconds

WIDE = 120
"""Columns of a screen from which on the plan's flags have one of their own."""
OTHER_TRAINING = (
    "-bz, --accumulate, -lr and -optim mean classic training; beside --recipe finetune they change "
    "this plan."
)


def shown(prepared: Prepared) -> Prepared:
    """The same; machine, data and plan are on the screen."""
    show(prepared)
    return prepared


def show(prepared: Prepared) -> None:
    """Machine, data and plan, on the screen."""
    show_machine(prepared.machine)
    show_data(prepared.index)
    if prepared.networks:
        console.heading("Networks")
        console.table(("network", "ImageNet", "images/s", "time", ""), prepared.networks)
    console.heading("Plan")
    show_decisions(prepared.plan)
    if is_chosen(prepared):
        console.note(OTHER_TRAINING)
    for note in prepared.plan.notes:
        console.note(note)
    if prepared.config.is_classic or prepared.config.explain:
        show_trial(prepared.plan, prepared.config.explain)  # a recipe knows its epochs later
        show_all_images(prepared)


def show_decisions(plan: Plan) -> None:
    """The plan's table; on a narrow screen each reason has the flags behind it, in brackets."""
    rows = plan_rows(plan)
    if console.width() >= WIDE:
        console.table(("decision", "value", "why", "source", "changed by"), rows)
        return
    narrow = [(name, value, f"{why} ({flags})", source) for name, value, why, source, flags in rows]
    console.table(("decision", "value", "why (changed by)", "source"), narrow)


def is_chosen(prepared: Prepared) -> bool:
    """Whether the recipe was chosen because nothing classic was asked for, nor a plan file."""
    is_auto = prepared.asked.recipe == "auto" and prepared.asked.plan is None
    return is_auto and prepared.config.recipe != "classic"


def show_machine(machine: Machine) -> None:
    """The short table that opens every run."""
    console.heading("Machine")
    console.pairs(short_rows(machine))
    console.say(verdict(machine))


def show_data(index: ImageIndex) -> None:
    """What was recognised, how much there is, what was left out."""
    console.heading("Data")
    counts = ", ".join(f"{int(index.counts(s).sum()):,} {s}" for s in ("train", "val", "test"))
    console.pairs(
        (
            ("data set", f"{index.name}: {index.layout}"),
            ("classes", str(len(index.classes))),
            ("images", counts),
        )
    )
    for note in index.notes:
        console.note(note)
    for excluded in index.excluded[:5]:
        console.say(f"  left out: {excluded.path} ({excluded.reason})")
    if len(index.excluded) > 5:
        console.say(f"  ... and {len(index.excluded) - 5} more, all in dataset.json")


def show_all_images(prepared: Prepared) -> None:
    """What the run would take without --sample, where there is one and the trial has timed it."""
    times, measured = times_larger(prepared.index), prepared.plan.measured
    if times is None or measured is None:
        return
    seconds = project_forecast(measured.forecast, times)
    if seconds is not None:
        console.pairs((("all images", f"the run would take about {format_seconds(seconds)}"),))
