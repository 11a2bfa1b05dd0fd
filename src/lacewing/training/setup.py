"""From a configuration to a plan: check the words, find machine and images, decide."""

from dataclasses import dataclass, replace
from pathlib import Path

from lacewing import console
from lacewing.config import TrainConfig, require_data
from lacewing.data.cache import cache_folder
from lacewing.data.folds import fold_of
from lacewing.data.index import ImageIndex
from lacewing.data.member import remote_of
from lacewing.data.open import open_images
from lacewing.data.pixel_place import pixel_limit
from lacewing.data.pixels import kept_bytes
from lacewing.data.remote.server import READERS
from lacewing.data.sample import draw_sample
from lacewing.data.subset import MIN_PER_CLASS, draw_subset
from lacewing.engine.optimizers import find_optimizer, optimizer_advice
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS, parse_address
from lacewing.hardware.inspect import inspect
from lacewing.hardware.machine import Machine
from lacewing.models.build import preprocessing_for
from lacewing.models.catalog import ModelInfo, find_model
from lacewing.models.weights import Weights, fetch_weights, for_classes, read_weights_file
from lacewing.performance_config import Tier, load_tiers
from lacewing.planning.asked import check_asked
from lacewing.planning.check import check_compiles_once, check_plan, check_work
from lacewing.planning.document import load_plan
from lacewing.planning.growth import check_network
from lacewing.planning.job import Job
from lacewing.planning.make import make_plan, notes_of
from lacewing.planning.plan import Plan
from lacewing.planning.processes import of_one
from lacewing.planning.rules.device import find_device
from lacewing.planning.rules.image_size import check_judged
from lacewing.planning.trial.fitting import WEIGHT_BYTES


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first step."""

    asked: TrainConfig
    """The words that were given."""
    config: TrainConfig
    """The words that are carried out: a recipe decides some more."""
    info: ModelInfo
    weights: Weights | None
    machine: Machine
    index: ImageIndex
    plan: Plan
    networks: tuple[tuple[str, str, str, str, str], ...] = ()
    """With --model auto: each candidate's name, quality, speed, time and note."""
    processes: int = 1
    """That carry it out together."""


@dataclass(frozen=True)
class Seen:
    """What was looked at before the network is known."""

    tiers: dict[str, Tier]
    machine: Machine
    index: ImageIndex


def prepare(
    config: TrainConfig, backends: BackendTable = BACKENDS, seen: Seen | None = None
) -> Prepared:
    """Find out and decide everything that a run needs, the quick checks first.

    Raises a UserError for the first thing that can't be done.
    """
    tiers = check_words(config)
    info = find_model(config.model)
    check_network(config, info)
    weights = starting_weights(config, info)
    seen = seen or look(config, tiers, backends)
    if weights is not None:
        weights = for_classes(weights, seen.index.classes)
    job = job_of(config, info, weights, seen.index)
    plan = decide(config, seen.machine, job, seen.tiers, backends)
    return Prepared(config, config, info, weights, seen.machine, seen.index, plan)


def look(
    config: TrainConfig,
    tiers: dict[str, Tier],
    backends: BackendTable = BACKENDS,
    machine: Machine | None = None,
) -> Seen:
    """The machine, if it is not given, and the images.

    Raises a UserError for what can't be found.
    """
    machine = machine or inspect(config.device, backends, config.output)
    return Seen(tiers, machine, find_images(config, machine))


def check_words(config: TrainConfig) -> dict[str, Tier]:
    """The tier table; raises a UserError for names and files that can't be right."""
    require_data(config)
    find_optimizer(config.optimizer)
    if config.device not in (None, "auto"):
        parse_address(config.device)
    if config.plan is not None:
        load_plan(config.plan)
    return load_tiers(config.tiers)


def starting_weights(config: TrainConfig, info: ModelInfo) -> Weights | None:
    """What the network starts from; None for random weights. Raises WeightsError."""
    if isinstance(config.load_model, Path):
        return read_weights_file(config.load_model, info)
    if config.weights is not None:
        return read_weights_file(config.weights, info)
    return fetch_weights(info) if config.pretrained else None


def find_images(config: TrainConfig, machine: Machine) -> ImageIndex:
    """The data set with its splits; shows progress while it is scanned."""
    assert config.data is not None
    with console.progress("reading the images") as update:
        index = open_images(
            config.data,
            data_root=config.data_root,
            images=config.images,
            val_share=config.val_share,
            test_share=config.test_share,
            seed=config.seed,
            threads=machine.cores.value,
            progress=update,
            draw_sample=draw_sample,
        )
    if config.sample is not None:
        least = config.min_per_class or MIN_PER_CLASS
        index = draw_subset(index, config.sample, least, config.seed)
    if config.folds is not None and config.fold is not None:
        index = fold_of(index, config.folds, config.fold, config.seed)
    return index


def job_of(config: TrainConfig, info: ModelInfo, weights: Weights | None, index: ImageIndex) -> Job:
    """What the plan must know of the work."""
    optimizer = find_optimizer(config.optimizer)
    training = index.split("train")
    kept = index.without("test")

    def side(size: int) -> int:
        return preprocessing_for(info, size, None).resize_size

    return Job(
        training_images=len(training),
        classes=len(index.classes),
        model=info.name,
        native_size=info.native_size,
        min_size=info.min_size,
        fixed_size=info.fixed_size,
        built_for_size=info.built_for_size,
        size_multiple=info.size_multiple,
        pretrained=weights is not None,
        optimizer=optimizer.name,
        default_learning_rate=optimizer.default_learning_rate(weights is not None),
        optimizer_kernels=optimizer.kernels,
        optimizer_advice=optimizer_advice(config.optimizer, config.weight_decay),
        average_bytes=WEIGHT_BYTES * info.parameters if config.ema else 0,
        disk_bytes=room_on_disk(),
        readers=READERS if len(index) and remote_of(index.path(0)) is not None else 0,
        cache_bytes=lambda size: kept_bytes(kept, side(size)),
        device_bytes=lambda size: kept_bytes(training, side(size)),
    )


def room_on_disk() -> int:
    """Bytes that decoded images may take on the disk; 0 where it can't be asked."""
    try:
        return pixel_limit(cache_folder() / "pixels")
    except OSError:
        return 0


def decide(
    config: TrainConfig,
    machine: Machine,
    job: Job,
    tiers: dict[str, Tier],
    backends: BackendTable = BACKENDS,
) -> Plan:
    """The plan file to the letter, if one was given; else what the rules say.

    Raises a UserError for a file that can't be obeyed, or not together with the flags.
    """
    if config.plan is None:
        return make_plan(config, machine, job, tiers, backends)
    plan = obeyed(of_one(load_plan(config.plan)))
    check_asked(config, plan, job, tiers[plan.tier.value])
    check_compiles_once(config, plan)
    check_work(plan, job)
    check_judged(config.eval_size, plan.image_size.value, job)
    for note in check_plan(plan, machine, backends):
        console.note(note)
    # the file's notes are of the run that it was made for
    return replace(plan, notes=notes_of(job, find_device(machine, plan.device.value)))


def obeyed(plan: Plan) -> Plan:
    """A plan file's plan: its decoding threads are as if asked for, so that judging has as many."""
    return replace(plan, workers=replace(plan.workers, source="user"))
