"""What this machine is, as plain data: it can be saved as JSON and planned for anywhere."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lacewing.parsing import parse_json
from lacewing.store.atomic import write_text

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
"""Every precision a step can run in. tf32 is fp32 storage with TF32 matrix products."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device that passed its test."""

    name: str
    """What the maker calls it: "NVIDIA GeForce GTX 1650"."""
    kind: str
    """The backend that drives it: cuda, xpu, mps, directml or cpu (ROCm appears as cuda)."""
    index: int = 0
    total_bytes: int | None = None
    """Memory of the device; None where the backend can't tell (DirectML)."""
    free_bytes: int | None = None
    """What of it was free when it was inspected."""
    is_ram: bool = False
    """Whether that memory is the machine's RAM."""
    precisions: tuple[str, ...] = ("fp32",)
    """The members of PRECISIONS that passed the functional test in contiguous format."""
    pairs: tuple[str, ...] = ()
    """Precision and memory format, "bf16 channels_last", of every pair that passed the test;
    empty where it is not known (recorded by an older version)."""
    failed: dict[str, str] = field(default_factory=dict)
    """Precisions, and pairs as above, that failed the test, and why, a clause."""
    failed_kernels: dict[str, str] = field(default_factory=dict)
    """Optimiser kernels of its kind that failed the test, and why, a clause."""
    details: dict[str, str] = field(default_factory=dict)
    """What else is worth knowing: compute capability, driver, "rocm"."""

    def is_right(self, precision: str, memory_format: str) -> bool:
        """Whether the pair passed the test; an unknown one counts as right."""
        return not self.pairs or f"{precision} {memory_format}" in self.pairs

    @property
    def address(self) -> str:
        """What the user types after `--device`: `cuda:0`, `mps`, `cpu`."""
        return (
            f"{self.kind}:{self.index}" if self.kind in ("cuda", "xpu", "directml") else self.kind
        )


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A backend or device that was looked for and is not used, and why."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Limit:
    """An amount, and what sets it: `Limit(value=1, source="CPU affinity")`."""

    value: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Everything a plan needs to know of a machine; no torch objects.

    `devices` stand in the order of preference, those that passed their test only; the CPU
    is always the last of them. All memory is in bytes.
    """

    devices: tuple[Device, ...]
    rejected: tuple[Rejected, ...] = ()
    cores: Limit
    """Usable cores: the smallest of the host's, the affinity mask and the cgroup's quota."""
    host_cores: int
    memory: Limit
    """Usable RAM in total: the smallest of the host's, the cgroup's and the rlimit."""
    memory_free_bytes: int
    """What of it can be allocated now."""
    processes: int = 1
    """That share it; cores and memory are one's part of those of the host."""
    shared_memory_bytes: int | None = None
    """Free space in /dev/shm; None where there is no such thing."""
    open_files: int | None = None
    """How many files one process may hold open (RLIMIT_NOFILE)."""
    disk_free_bytes: int | None = None
    """Free space where the run folder would be written."""
    cpu: str = ""
    """The processor's name."""
    cpu_features: tuple[str, ...] = ()
    """Of avx2, avx512f, avx512_bf16, amx_bf16, amx_fp16, neon, bf16 (ARM): those it has."""
    system: str = ""
    """Operating system and release: "Linux 6.1"."""
    python: str = ""
    torch: str = ""

    def save(self, path: Path) -> None:
        """Write `machine.json`."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Machine":
        """Read `machine.json`; raises OSError, KeyError, TypeError or ValueError if it is none."""
        return cls.from_dict(parse_json(path.read_text(encoding="utf-8")))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Machine":
        """The machine that `dataclasses.asdict` took apart."""
        devices = tuple(
            Device(
                **{
                    **device,
                    "precisions": tuple(device["precisions"]),
                    "pairs": tuple(device.get("pairs", ())),
                }
            )
            for device in fields["devices"]
        )
        return cls(
            **{
                **fields,
                "devices": devices,
                "rejected": tuple(Rejected(**item) for item in fields["rejected"]),
                "cores": Limit(**fields["cores"]),
                "memory": Limit(**fields["memory"]),
                "cpu_features": tuple(fields["cpu_features"]),
            }
        )
