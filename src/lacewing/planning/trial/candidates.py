"""All that was tried, as rows of plain values: for `--explain` and the report."""

from collections.abc import Mapping

from lacewing.planning.plan import Plan
from lacewing.planning.trial.findings import CompileTime, Fed, Findings, Timed, Varied
from lacewing.values import counted, format_bytes, format_seconds

Row = Mapping[str, float | str]
"""See `planning.measured.Measured`."""


def candidate_rows(findings: Findings, plan: Plan) -> tuple[Row, ...]:
    """Ways, micro-batches, decoding threads, compiling and peaks of memory, if they were tried."""
    best, forward = findings.best.way, findings.best_forward.way
    micro, workers, mode = plan.micro_batch.value, plan.workers.value, plan.compile.value
    varied_by = plan.augment_on.value
    points = findings.memory.points if findings.memory else ()
    return (
        *(of_way("training", one, one.way == best) for one in findings.training),
        *(of_way("micro-batch", one, one.way.images == micro) for one in findings.sizes),
        *(of_way("forward only", one, one.way == forward) for one in findings.forward),
        *(of_varying(one, one.by == varied_by) for one in findings.varied),
        *(of_threads(one, one.workers == workers) for one in findings.fed),
        *(of_compiling(one, best.images, one.mode == mode) for one in findings.compile_tried),
        *(of_memory(images, peak) for images, peak in points),
    )


def of_way(what: str, one: Timed, is_chosen: bool) -> Row:
    """A way to run a pass."""
    return row(what, label(one), one.rate, one.out, is_chosen)


def of_varying(one: Varied, is_chosen: bool) -> Row:
    """Images varied between the steps, without the network."""
    return row("varying", one.by, one.rate, one.out, is_chosen)


def of_threads(one: Fed, is_chosen: bool) -> Row:
    """The loop with a number of decoding threads."""
    return row("decoding threads", counted(one.workers, "thread"), one.rate, one.out, is_chosen)


def of_compiling(one: CompileTime, images: int, is_chosen: bool) -> Row:
    """A mode of torch.compile, by passes of so many images."""
    way = f"{one.mode}, {format_seconds(one.cost_seconds)} to compile"
    rate = images / one.pass_seconds if one.pass_seconds else None
    return row(
        "torch.compile", way, rate, one.out or ("" if rate else "it did not work"), is_chosen
    )


def of_memory(images: int, peak: int) -> Row:
    """The peak of a step in passes of so many images."""
    note = f"{format_bytes(peak)} of memory"
    return {"pass": "memory", "way": f"passes of {images} images", "bytes": peak, "note": note}


def row(what: str, way: str, rate: float | None, note: str, is_chosen: bool) -> Row:
    """One candidate, with its rate if it has one, and marked if it is the plan's."""
    rated = {} if rate is None else {"images_per_second": round(rate, 2)}
    marked = {"chosen": True} if is_chosen else {}
    return {"pass": what, "way": way, **rated, "note": note, **marked}


def label(one: Timed) -> str:
    """All that tells a way from the others."""
    way = one.way
    return f"{way.describe()} {way.kernel}, {counted(way.threads, 'thread')}, {way.images} images"
