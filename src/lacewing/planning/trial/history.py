"""What earlier trials found: one file per question, below the cache folder."""

import json
from dataclasses import asdict
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lacewing.config import TrainConfig
from lacewing.data.cache import cache_folder
from lacewing.data.index import ImageIndex
from lacewing.hardware.machine import Machine
from lacewing.parsing import parse_json
from lacewing.performance_config import Tier
from lacewing.planning.job import Job
from lacewing.planning.norms import keeps_statistics
from lacewing.planning.plan import Plan
from lacewing.planning.rules.device import find_device
from lacewing.planning.trial.findings import Findings
from lacewing.store.atomic import write_text

VERSION = 16
"""Of the trial: what an older one found is not used."""
COSTS = "compile-seconds.json"
NETWORKS = ("timm", "torchvision")
"""The packages that networks and optimisers come from."""
FLAGS = (
    "clip_norm", "dropout", "augment", "min_crop", "rotation", "flip", "color_jitter",
    "trivial_augment", "erasing", "mixup", "cutmix", "focal", "logit_adjustment", "layer_decay",
    "momentum", "ema", "deterministic", "progressive_resizing", "gradual_unfreezing", "eval_size",
)  # fmt: skip
"""What changes the time of a step or a pass, and is no decision of a plan."""


def fingerprint(machine: Machine, address: str) -> dict[str, Any]:
    """What makes a machine and its software the same for a trial: no amount that changes hourly."""
    device = find_device(machine, address)
    return {
        "device": [device.name, device.kind, device.index, device.total_bytes],
        "passed": [device.precisions, device.pairs],
        "failed_kernels": sorted(device.failed_kernels),
        "cpu": [machine.cpu, machine.cpu_features, machine.cores.value],
        "software": [machine.system, machine.python, machine.torch],
        "networks": [version(name) for name in NETWORKS],
    }


def data_of(index: ImageIndex) -> str:
    """A data set's name with the mean pixels and bytes of its images, by which opening one takes
    its time; to two digits, so that they hardly change with the images that are drawn of it."""
    width, height = (index.table[name].cast(pa.float64()) for name in ("width", "height"))
    pixels, size = (pc.mean(values).as_py() or 0.0 for values in
                    (pc.multiply(width, height), index.table["bytes"]))  # fmt: skip
    return f"{index.name}: {pixels:.1e} pixels, {size:.1e} bytes"


def key_of(
    plan: Plan, config: TrainConfig, machine: Machine, job: Job, tier: Tier, data: str
) -> str:
    """The name of a question: machine, work, and what the user has fixed.

    `data` is what `data_of` says of the images.
    """
    # not eval_batch, which may go by the memory that is free
    decided = ("image_size", "batch", "micro_batch", "accumulation", "threads",
               "optimizer_kernel", "workers", "pixels")  # fmt: skip
    asked = (*FLAGS, "precision", "memory_format", "threads", "compile", "batch_size", "accumulate",
             "epochs", "workers", "memory_share", "decay_norms", "head_rate")  # fmt: skip
    question = {
        "version": VERSION,
        "machine": fingerprint(machine, plan.device.value),
        "work": [job.model, job.classes, job.optimizer, job.training_images, job.pretrained, data],
        "tier": asdict(tier),
        "plan": {name: getattr(plan, name).value for name in decided},
        "asked": {name: str(getattr(config, name)) for name in asked},
        "norms": keeps_statistics(config, job.pretrained, plan.micro_batch.value),
    }
    return digest(question)


def recall(key: str) -> Findings | None:
    """What was found for a question; None if nothing that can be read."""
    try:
        text = _file(key).read_text(encoding="utf-8")
        return Findings.from_dict(parse_json(text))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(key: str, findings: Findings) -> None:
    """Keep it for the next plan; a cache that can't be written is done without."""
    write_found(_file(key), findings.as_dict())


def compile_seconds(plan: Plan, machine: Machine, model: str, mode: str) -> float | None:
    """What compiling a network once took at the plan's image size, on its device with these
    versions; None if it is not known."""
    value = _costs().get(_compiled(plan, machine, model, mode))
    return float(value) if isinstance(value, int | float) else None


def remember_compile(plan: Plan, machine: Machine, model: str, mode: str, seconds: float) -> None:
    """Keep what compiling took."""
    write_found(_folder() / COSTS, {**_costs(), _compiled(plan, machine, model, mode): seconds})


def _compiled(plan: Plan, machine: Machine, model: str, mode: str) -> str:
    # Inductor takes about as long in each of its modes
    compiler = "cudagraphs" if mode == "cudagraphs" else "inductor"
    size, address = plan.image_size.value, plan.device.value
    return f"{model} {size} {address} {compiler} {digest(fingerprint(machine, address))}"


def digest(value: Any) -> str:
    """A name for plain values: the same values, the same name."""
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _costs() -> dict[str, Any]:
    try:
        found = parse_json((_folder() / COSTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folder() -> Path:
    return cache_folder() / "trials"


def _file(key: str) -> Path:
    return _folder() / f"{key}.json"


def write_found(path: Path, value: dict[str, Any] | list[Any]) -> None:
    """Keep plain values as JSON; a cache that can't be written is done without."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(value, indent=1) + "\n")
    except OSError:
        return
