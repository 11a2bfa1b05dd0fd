"""The trial between plan and run: measure, or remember what was measured, and refine the plan."""

from dataclasses import replace

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.data.decoded import missing_share
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.lost import device_watched
from lacewing.models.build import preprocessing_for
from lacewing.performance_config import load_tiers
from lacewing.planning.document import candidate_table, forecast_rows
from lacewing.planning.growth import sides_of, work_shares
from lacewing.planning.plan import Plan
from lacewing.planning.rules.compile import compiled_anew, is_open
from lacewing.planning.rules.device import find_device
from lacewing.planning.trial import history
from lacewing.planning.trial.context import TrialError
from lacewing.planning.trial.forecast import Amounts, larger_in_evaluation
from lacewing.planning.trial.measure import is_enough, measure
from lacewing.planning.trial.refine import Asked, refine
from lacewing.planning.trial.same_work import is_of, work_of
from lacewing.planning.trial.stage import Work
from lacewing.training.events import EventLog
from lacewing.training.setup import Prepared, job_of


def with_trial(prepared: Prepared, backends: BackendTable = BACKENDS) -> Prepared:
    """The plan with what was measured in it; as it is where nothing is to be measured.

    A plan from a file is obeyed as it is, and keeps what was measured for the same work.

    Raises PlanError where not even a single image fits the memory, DeviceLostError where the device
    stops working.
    """
    if prepared.config.plan is not None:
        plan = with_own_forecast(prepared)
    elif is_wanted(prepared.config):
        plan = signed(prepared, refined(prepared, backends))
    else:
        return prepared
    return replace(prepared, plan=plan if prepared.config.is_classic else without_times(plan))


def is_wanted(config: TrainConfig) -> bool:
    """Whether there is to be a trial: a head on frozen features takes no training step."""
    return config.trial and config.recipe != "features"


def with_own_forecast(prepared: Prepared) -> Plan:
    """A plan file's plan, without what was measured for other work or on another machine."""
    plan, measured = prepared.plan, prepared.plan.measured
    if measured is None:
        return plan
    if is_of(measured, work_here(prepared, plan), amounts_of(prepared).epochs):
        return replace(plan, measured=replace(measured, remembered=True))
    note = (
        f"The forecast in {prepared.config.plan} is left out: it was not measured for this work, "
        "as it is now, on this machine."
    )
    return replace(plan, measured=None, notes=(*plan.notes, note))


def without_times(plan: Plan) -> Plan:
    """The plan of a recipe, which decides its epochs and their images later: of what is forecast,
    the memory is left."""
    if plan.measured is None:
        return plan
    forecast = {k: v for k, v in plan.measured.forecast.items() if k == "peak_bytes"}
    return replace(plan, measured=replace(plan.measured, forecast=forecast))


def work_here(prepared: Prepared, plan: Plan) -> str:
    """Of what work and machine a forecast is that is made here, as a digest."""
    config, data = prepared.config, history.data_of(prepared.index)
    job = job_of(config, prepared.info, prepared.weights, prepared.index)
    return work_of(plan, config, prepared.machine, job, amounts_of(prepared), data)


def signed(prepared: Prepared, plan: Plan) -> Plan:
    """The plan, whose forecast says of what work it is."""
    if plan.measured is None:
        return plan
    return replace(plan, measured=replace(plan.measured, work=work_here(prepared, plan)))


def refined(prepared: Prepared, backends: BackendTable) -> Plan:
    """The refined plan; the rules' with a note where the trial failed."""
    config, index, plan = prepared.config, prepared.index, prepared.plan
    machine, processes = prepared.machine, prepared.processes
    job = job_of(config, prepared.info, prepared.weights, index)
    tier = load_tiers(config.tiers)[plan.tier.value]
    device = find_device(machine, plan.device.value)
    capabilities = backends[device.kind]().capabilities
    can_compile = is_open(plan.compile, tier, capabilities, device, compiled_anew(config))
    asked = Asked(
        config=config,
        job=job,
        tier=tier,
        # what lies on the disk comes and goes, and the work stays the same
        amounts=replace(amounts_of(prepared), undecoded=undecoded_shares(prepared)),
        cores=machine.cores.value,
        compile_modes=capabilities.compile_modes if can_compile else (),
        own_memory=capabilities.pinned_memory,
    )
    key = history.key_of(plan, config, machine, job, tier, history.data_of(index))
    known = history.recall(key)
    modes = asked.compile_modes
    if known is not None and is_enough(known, plan, config, machine, job, modes, processes):
        return refine(plan, known, asked, remembered=True)
    work = Work(index, prepared.info, prepared.weights)
    remedy = "check it and its driver, or use --device cpu"
    try:
        with device_watched(plan.device.value, remedy, backends):
            found = measure(plan, config, machine, job, tier, work, backends, processes=processes)
    except TrialError as error:
        note = f"The trial could measure nothing ({error}): the rules' choices stand."
        return replace(plan, notes=(*plan.notes, note))
    history.remember(key, found)
    return refine(plan, found, asked)


def amounts_of(prepared: Prepared) -> Amounts:
    """Images of each split, epochs, and the processes that share them."""
    index, config, size = prepared.index, prepared.config, prepared.plan.image_size.value
    epochs = min(config.epochs, config.limit_epochs or config.epochs)
    sides = sides_of(config, prepared.info, size)
    return Amounts(
        training=len(index.split("train")),
        validation=len(index.split("val")),
        test=len(index.split("test")),
        epochs=epochs,
        processes=prepared.processes,
        work_shares=work_shares(sides)[:epochs],
        eval_share=larger_in_evaluation(config.eval_size, size),
        judges=config.evaluate,
    )


def undecoded_shares(prepared: Prepared) -> tuple[float, float]:
    """Of training and of validation, the share of the images that the first epoch decodes."""
    if prepared.plan.pixels.value != "disk":
        return 1.0, 1.0
    size = prepared.plan.image_size.value
    training, validation = (
        missing_share(
            prepared.index.split(name), preprocessing_for(prepared.info, side, prepared.weights)
        )
        for name, side in (("train", size), ("val", prepared.config.eval_size or size))
    )
    return training, validation


def record_forecast(plan: Plan, events: EventLog) -> None:
    """Write down what the trial expects, to be held against what happens."""
    if plan.measured is not None:
        rows = "; ".join(f"{what}: {value}" for what, value in forecast_rows(plan.measured))
        events.record("forecast", rows, **plan.measured.forecast)


def show_trial(plan: Plan, explain: bool) -> None:
    """The forecast, and all candidates where they are asked for."""
    if plan.measured is None:
        return
    console.heading("Forecast")
    console.pairs(forecast_rows(plan.measured))
    if explain:
        console.heading("Candidates")
        console.table(("pass", "way", "images/s", "note"), candidate_table(plan.measured))
