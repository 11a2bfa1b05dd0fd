"""Find every device of this machine, test each, and say what else there is to work with."""

import gc
import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from lacewing.errors import DeviceError
from lacewing.hardware import limits
from lacewing.hardware.allocator import give_back
from lacewing.hardware.backend import Backend, BackendTable, NotHere
from lacewing.hardware.backends import BACKENDS, parse_address
from lacewing.hardware.directml import is_plausible as directml_is_plausible
from lacewing.hardware.machine import Device, Machine, Rejected
from lacewing.hardware.probe import Findings, probe, probe_in_child
from lacewing.hardware.processor import cpu_features, cpu_name

CHILDREN_AT_ONCE = 4
REMEDIES = {
    "cuda": "install a current driver for the GPU and a CUDA (or, for AMD, ROCm) build of PyTorch",
    "xpu": "install Intel's current GPU driver and the XPU build of PyTorch",
    "mps": "run on an Apple-silicon Mac with PyTorch's build for it",
    "directml": "install torch-directml (Windows, Python up to 3.12)",
    "cpu": "reinstall PyTorch",
}


@dataclass(frozen=True)
class _Found:
    """What a search gave: devices that passed, and what did not."""

    devices: tuple[Device, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def inspect(
    wanted: str | None = None,
    backends: BackendTable = BACKENDS,
    run_folder: Path = Path(),
) -> Machine:
    """This machine, with every device tested, the preferred first and the CPU last.

    With `wanted` (an address like "cuda:1") only that kind is looked for, and the CPU.
    Raises DeviceError if the wanted device is not here or failed its test. Disk space is
    that of `run_folder`.
    """
    gc.collect()  # an earlier run's network
    give_back()  # what this process keeps from before is free
    address = None if wanted in (None, "auto") else wanted
    kinds = _kinds(address, backends)
    found = [_search(kind, backends) for kind in kinds]
    devices = tuple(device for one in found for device in one.devices)
    rejected = tuple(item for one in found for item in one.rejected)
    if address is not None:
        _require(address, devices, rejected)
    if not devices or devices[-1].kind != "cpu":
        why = "; ".join(item.reason for item in rejected if item.kind == "cpu")
        raise DeviceError(f"The CPU failed its test ({why}): {REMEDIES['cpu']}.")
    return Machine(
        devices=devices,
        rejected=rejected,
        cores=limits.usable_cores(),
        host_cores=limits.host_cores(),
        memory=limits.usable_memory(),
        memory_free_bytes=limits.free_memory(),
        shared_memory_bytes=limits.shared_memory_free(),
        open_files=limits.open_files(),
        disk_free_bytes=limits.disk_free(run_folder),
        cpu=cpu_name(),
        cpu_features=cpu_features(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=str(torch.__version__),
    )


def _kinds(address: str | None, backends: BackendTable) -> list[str]:
    """The kinds to look for, in the order of preference. Raises DeviceError."""
    if address is not None:
        kind, _ = parse_address(address)
        return [name for name in backends if name in (kind, "cpu")]
    skip_directml = backends.get("directml") is BACKENDS["directml"] and not directml_is_plausible()
    return [name for name in backends if not (name == "directml" and skip_directml)]


def _search(kind: str, backends: BackendTable) -> _Found:
    """Find and test the devices of one kind."""
    backend = backends[kind]()
    try:
        names = backend.find()
    except NotHere as error:
        return _Found(rejected=(Rejected(kind=kind, name=kind, reason=str(error)),))
    except Exception as error:  # a driver's library raises anything at all
        reason = f"looking for it failed ({type(error).__name__}: {error})"
        return _Found(rejected=(Rejected(kind=kind, name=kind, reason=reason),))
    backend.empty_cache()  # a child would find what this process keeps unused to be taken
    # a driver may take its process down: every real device but the CPU gets one of its own
    if kind != "cpu" and backends[kind] is BACKENDS.get(kind):
        with ThreadPoolExecutor(CHILDREN_AT_ONCE) as pool:
            findings = list(pool.map(lambda index: probe_in_child(kind, index), range(len(names))))
    else:
        findings = [probe(backend, index) for index in range(len(names))]
    return _judge(backend, names, findings)


def _judge(backend: Backend, names: list[str], findings: list[Findings]) -> _Found:
    """A device that computes right in fp32 is used, in the precisions that passed."""
    devices, rejected = [], []
    for index, (name, found) in enumerate(zip(names, findings, strict=True)):
        failed = found.smoke.failed
        if "fp32" not in found.smoke.passed:
            why = failed.get("fp32", "it was not tested in fp32")
            rejected.append(Rejected(kind=backend.kind, name=name, reason=why))
            continue
        devices.append(
            Device(
                name=name,
                kind=backend.kind,
                index=index,
                total_bytes=found.total_bytes,
                free_bytes=found.free_bytes,
                is_ram=found.is_ram,
                precisions=found.smoke.passed,
                pairs=found.smoke.pairs,
                failed=failed,
                failed_kernels=found.failed_kernels,
                details=found.details,
            )
        )
        rejected += [
            Rejected(kind=backend.kind, name=f"{name} in {precision}", reason=why)
            for precision, why in failed.items()
        ]
        rejected += [
            Rejected(kind=backend.kind, name=f"{name} in {kernel} optimiser kernels", reason=why)
            for kernel, why in found.failed_kernels.items()
        ]
    return _Found(tuple(devices), tuple(rejected))


def _require(address: str, devices: tuple[Device, ...], rejected: tuple[Rejected, ...]) -> None:
    """Raise DeviceError, with reason and remedy, if the device is not among those that passed."""
    kind, index = parse_address(address)
    if any((device.kind, device.index) == (kind, index) for device in devices):
        return
    used = tuple(f"{device.name} in " for device in devices)
    reasons = [
        item.reason if item.name == kind else f"{item.name}: {item.reason}"
        for item in rejected
        # a used device that lacks a precision is no reason
        if item.kind == kind and not item.name.startswith(used)
    ]
    others = " or ".join(["--device auto", *(device.address for device in devices)])
    if any(device.kind == kind for device in devices) and not reasons:
        raise DeviceError(f"There is no device {address} here: use {others}.")
    why = "; ".join(reasons) or "it is not supported here"
    raise DeviceError(
        f"The device {address} can't be used: {why.rstrip('.')}. "
        f"To use it, {_remedy(kind)}; or use {others}."
    )


def _remedy(kind: str) -> str:
    return REMEDIES.get(kind, "install its driver")
