"""After the race: the memory that the winner takes, its micro-batch, and torch.compile."""

from dataclasses import replace
from statistics import median

from lacewing.engine.prepare import CompiledModel, compile_model
from lacewing.planning.rules.compile import is_possible
from lacewing.planning.trial import history, memory, payback, sizes
from lacewing.planning.trial.context import Trial, TrialError
from lacewing.planning.trial.findings import CompileTime, Timed
from lacewing.planning.trial.memory import MemoryModel
from lacewing.planning.trial.passes import guarded
from lacewing.planning.trial.peaks import Task, peaks_here, peaks_in_child, sizes_for, two_steps
from lacewing.planning.trial.ways import Way, reference

SAFE_SHARE = 0.4
"""Of the allowed memory: a run that is counted on to take less is measured in this process."""
COUNTED_SHARE = 0.9
"""Of the allowed memory: what passes of the trial may be counted on to take."""
COUNTING_IMAGES = 2
COMPILED_PASSES = 3
SIZES_SECONDS = 10.0
"""For trying micro-batches where `--batch-size auto` asks for it, whatever is left."""


def images_that_fit(trial: Trial) -> int:
    """Images of a timed pass: the plan's micro-batch, or what the memory is counted on to hold."""
    micro, allowed = trial.plan.micro_batch.value, trial.plan.memory_bytes.value
    if allowed is None:
        return micro
    counted = count_memory(trial, reference(trial.plan))
    return max(1, min(micro, counted.largest(int(COUNTED_SHARE * allowed))))


def count_memory(trial: Trial, way: Way) -> MemoryModel:
    """The memory that a way is counted on to take. Raises TrialError if it can't run at all."""
    bench = trial.bench
    bench.configure(way)
    images, labels = bench.batch(min(COUNTING_IMAGES, trial.plan.micro_batch.value))
    found = guarded(
        bench,
        lambda: memory.counted(
            bench.copy(way.memory_format),
            images,
            labels,
            bench.loss,
            lambda: bench.backend.autocast(way.precision),
        ),
    )
    if isinstance(found, str):
        raise TrialError(found)
    return found


def weigh_memory(trial: Trial, way: Way) -> tuple[MemoryModel, bool]:
    """What the way takes, and whether it was measured or only counted.

    On the CPU, what may come near the limit is measured in a child process.
    """
    counted = count_memory(trial, way)
    micro, allowed = trial.plan.micro_batch.value, trial.plan.memory_bytes.value
    is_safe = allowed is None or counted.bytes_for(micro) < SAFE_SHARE * allowed
    if trial.bench.backend.kind != "cpu":
        points = peaks_here(trial.bench, way, sizes_for(micro), trial.base_bytes, allowed)
    elif is_safe and trial.config.batch_size != "auto":
        peak = two_steps(trial.bench, replace(way, images=micro))
        points = {} if peak is None else {micro: peak - trial.base_bytes}
    else:
        points = peaks_in_child(task_of(trial, way)).training
    if not points:
        return counted, False
    return memory.fit(points, counted.image_bytes), True


def task_of(trial: Trial, way: Way) -> Task:
    """What a child is asked to measure."""
    fields = {**vars(way)}
    del fields["images"]
    return Task(
        model=trial.job.model,
        classes=trial.job.classes,
        image_size=trial.plan.image_size.value,
        optimizer=trial.config.optimizer,
        way=fields,
        sizes=sizes_for(trial.plan.micro_batch.value),
        allowed=trial.plan.memory_bytes.value,
    )


def try_sizes(trial: Trial, way: Way, most: int) -> list[Timed]:
    """The way at the micro-batches that are open, up to what the memory holds."""
    open_sizes = sizes.open_sizes(trial.plan, trial.config, trial.tier, trial.job)

    def run(sized: Way) -> float | str:
        found = guarded(trial.bench, lambda: trial.bench.train(sized))
        return found if isinstance(found, str) else found.seconds

    began, until = trial.budget.spent, trial.budget.until(0.9)

    def has_time() -> bool:
        # whoever asks for a measured size waits for it
        is_asked = trial.config.batch_size == "auto"
        return until() or (is_asked and trial.budget.spent - began < SIZES_SECONDS)

    return sizes.climb(way, open_sizes, run, has_time, most)


def try_compile(trial: Trial, best: Timed) -> CompileTime | None:
    """What compiling costs and gives, if it is open and likely to pay; else None."""
    device, plan = trial.device, trial.plan
    capabilities = trial.bench.backend.capabilities
    is_open = plan.compile.source != "user" and is_possible(capabilities, device)
    if not is_open or best.seconds is None:
        return None
    known = history.compile_seconds(trial.job.model, plan.device.value)
    likely = payback.likely(device.kind, trial.budget.passes * best.seconds, known)
    if not likely.worth_trying or likely.cost_seconds > trial.budget.left:
        return None
    found = time_compiled(trial, best.way)
    history.remember_compile(trial.job.model, plan.device.value, found.cost_seconds)
    return found


def time_compiled(trial: Trial, way: Way) -> CompileTime:
    """Compile the way's network and time its passes."""
    bench, clock = trial.bench, trial.budget.clock
    bench.optimizer(way)  # over the weights, which both forms share
    network = bench.copy(way.memory_format)
    started = clock()
    compiled = compile_model(network, "default", lambda _: None)
    bench.copies[way.memory_format] = compiled
    first = guarded(bench, lambda: bench.train(way))
    cost = clock() - started
    passes = [guarded(bench, lambda: bench.train(way)) for _ in range(COMPILED_PASSES)]
    seconds = [found.seconds for found in passes if not isinstance(found, str)]
    works = isinstance(compiled, CompiledModel) and compiled.is_compiled and seconds
    bench.copies[way.memory_format] = network
    if isinstance(first, str) or not works:
        return CompileTime(cost_seconds=cost, pass_seconds=None)
    return CompileTime(cost_seconds=cost - median(seconds), pass_seconds=median(seconds))
