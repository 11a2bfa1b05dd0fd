"""The processor's name and those of its instructions that matter to training."""

import os
import platform
import subprocess
from pathlib import Path

X86_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_fp16")
SYSCTL_SECONDS = 5


def cpu_name(root: Path = Path("/")) -> str:
    """What its maker calls it: "Intel(R) Xeon(R) Processor", "Apple M1"."""
    fields = _cpuinfo(root)
    name = fields.get("model name") or fields.get("Model")
    if name is None and platform.system() == "Darwin":
        name = _sysctl("machdep.cpu.brand_string")
    if name is None and platform.system() == "Windows":
        name = os.environ.get("PROCESSOR_IDENTIFIER")
    return name or platform.processor() or platform.machine() or "unknown processor"


def cpu_features(root: Path = Path("/")) -> tuple[str, ...]:
    """Of avx2, avx512f, avx512_bf16, amx_bf16, amx_fp16, neon and bf16 (ARM): those it has."""
    fields = _cpuinfo(root)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    if not flags:
        return _features_without_cpuinfo()
    found = [name for name in X86_FEATURES if name in flags]
    if "asimd" in flags or "neon" in flags:
        found.append("neon")
    if "bf16" in flags:
        found.append("bf16")
    return tuple(found)


def _features_without_cpuinfo() -> tuple[str, ...]:
    """macOS is asked by name; on Windows torch tells how wide its instructions are."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        bf16 = platform.system() == "Darwin" and _sysctl("hw.optional.arm.FEAT_BF16") == "1"
        return ("neon", "bf16") if bf16 else ("neon",)
    import torch  # the names above need no torch

    widest = torch.backends.cpu.get_cpu_capability()
    return {"AVX2": ("avx2",), "AVX512": ("avx2", "avx512f")}.get(widest, ())


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _sysctl(name: str) -> str | None:
    try:
        done = subprocess.run(
            ["sysctl", "-n", name], capture_output=True, text=True, timeout=SYSCTL_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
