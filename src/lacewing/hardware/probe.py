"""Everything that is asked of one device, in this process or in a child of its own."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from lacewing.hardware.backend import Backend
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.child import ChildError, run_child
from lacewing.hardware.smoke import SmokeResult, smoke_test
from lacewing.hardware.smoke_kernels import failed_kernels

CHILD_SECONDS = 180
"""A first CUDA context takes seconds, compiling kernels for an unknown card a minute or two."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a device said and did. Plain data."""

    smoke: SmokeResult
    total_bytes: int | None = None
    free_bytes: int | None = None
    is_ram: bool = False
    failed_kernels: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)


def probe(backend: Backend, index: int) -> Findings:
    """Ask and test a device in this process, whose switches stay as they are."""
    return _with_kernels(backend, index, _probe(backend, index, smoke_test(backend, index)))


def probe_in_child(kind: str, index: int) -> Findings:
    """The same for a real backend in a fresh process; its death is a finding too.

    After a first report it was the optimiser's kernels, which a device can do without.
    """
    code = f"from lacewing.hardware.probe import report_to; report_to(report, {kind!r}, {index})"
    try:
        found: dict[str, Any] = run_child(code, CHILD_SECONDS)
    except ChildError as error:
        if error.reported is None:
            return Findings(smoke=SmokeResult(failed={"fp32": f"its test failed ({error})"}))
        kernels = BACKENDS[kind]().capabilities.optimizer_kernels
        found = error.reported | {"failed_kernels": dict.fromkeys(kernels, str(error))}
    smoke = found.pop("smoke")
    result = SmokeResult(tuple(smoke["passed"]), smoke["failed"], tuple(smoke["pairs"]))
    return Findings(smoke=result, **found)


def report_to(report: Any, kind: str, index: int) -> None:
    """The child's part: probe with the switches that a run would set, and report plain data.

    Once before the optimiser's kernels, which may end the process or spoil the device, and again.
    """
    backend = BACKENDS[kind]()
    threads = torch.get_num_threads()

    def prepare(precision: str) -> None:
        backend.configure(precision, threads, deterministic=False)

    found = _probe(backend, index, smoke_test(backend, index, prepare))
    report(asdict(found))
    report(asdict(_with_kernels(backend, index, found)))


def _probe(backend: Backend, index: int, smoke: SmokeResult) -> Findings:
    if "fp32" not in smoke.passed:
        # what can't compute may not answer questions either
        return Findings(smoke=smoke)
    backend.empty_cache()  # what the test's passes left is free
    memory = backend.memory(index)
    return Findings(
        smoke=smoke,
        total_bytes=memory.total_bytes,
        free_bytes=memory.free_bytes,
        is_ram=memory.is_ram,
        details=backend.details(index),
    )


def _with_kernels(backend: Backend, index: int, found: Findings) -> Findings:
    """The findings, with the kernels that fail of a device that computes right without them."""
    if "fp32" not in found.smoke.passed:
        return found
    return replace(found, failed_kernels=failed_kernels(backend, index, found.smoke.passed))
