"""A machine in words: the rows of `lacewing doctor`, and what the machine is good for."""

from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import HIGH_FROM_BYTES, MID_FROM_BYTES, NOMINAL_TOLERANCE
from lacewing.values import GIB, format_bytes

Row = tuple[str, str]


def machine_rows(machine: Machine) -> list[Row]:
    """What and value, one row each: everything that `inspect` found."""
    rows = [row for device in machine.devices for row in _device_rows(device)]
    rows += [
        ("processor", _with(machine.cpu, ", ".join(machine.cpu_features))),
        ("cores", _cores(machine)),
        ("memory", _memory(machine)),
        ("shared memory", _amount(machine.shared_memory_bytes, " free")),
        ("open files", "no limit" if machine.open_files is None else f"{machine.open_files:,}"),
        ("disk", _amount(machine.disk_free_bytes, " free")),
        ("system", machine.system),
        ("python", machine.python),
        ("torch", machine.torch),
    ]
    rows += [(f"not used: {item.name}", item.reason) for item in machine.rejected]
    return rows


def short_rows(machine: Machine) -> list[Row]:
    """The few of these rows that open a run."""
    rows = [(device.address, _device(device)) for device in machine.devices]
    rows += [("cores", _cores(machine)), ("memory", _memory(machine))]
    if machine.disk_free_bytes is not None:
        rows.append(("disk", _amount(machine.disk_free_bytes, " free")))
    return rows


def verdict(machine: Machine) -> str:
    """One sentence: what this machine is good for."""
    best = machine.devices[0]
    if best.kind == "cpu":
        return _cpu_verdict(machine)
    if best.total_bytes is None:
        return (
            f"{best.name} ({best.address}) can train small networks on small images; its memory "
            "can't be asked, so batches start small."
        )
    halves = [name for name in best.precisions if name in ("bf16", "fp16")]
    mixed = f" in mixed precision ({halves[0]})" if halves else ""
    where = f"{best.name} ({best.address}) with {format_bytes(best.total_bytes)}"
    if best.total_bytes >= HIGH_FROM_BYTES * NOMINAL_TOLERANCE:
        return f"{where} trains any of the networks at 224 pixels and more{mixed}."
    if best.total_bytes >= MID_FROM_BYTES * NOMINAL_TOLERANCE:
        return f"{where} trains most networks at 224 pixels with moderate batches{mixed}."
    return f"{where} trains small networks at 128 pixels with small batches{mixed}."


def _cpu_verdict(machine: Machine) -> str:
    count = machine.cores.value
    cores = f"{count} CPU core{'' if count == 1 else 's'} and {format_bytes(machine.memory.value)}"
    bf16 = ", in bf16 where that is faster" if "bf16" in machine.devices[-1].precisions else ""
    if count < 2 or machine.memory.value < 4 * GIB:
        return (
            f"No GPU, {cores}: good for predicting, and for fine-tuning small networks on a few "
            f"thousand images at 128 pixels{bf16}."
        )
    return (
        f"No GPU, {cores}: good for fine-tuning small and medium networks at 128 pixels{bf16}; "
        "large ones take days."
    )


def _device_rows(device: Device) -> list[Row]:
    details = ", ".join(f"{name} {value}" for name, value in device.details.items())
    return [(device.address, _with(_device(device), details))]


def _device(device: Device) -> str:
    """`Tesla T4, 15.0 GiB (14.6 GiB free), fp32 fp16`; the CPU's memory has its own row."""
    parts = [device.name]
    if device.kind != "cpu":
        free = "" if device.free_bytes is None else f" ({format_bytes(device.free_bytes)} free)"
        parts.append(_amount(device.total_bytes, free, "memory unknown"))
    return ", ".join([*parts, " ".join(device.precisions)])


def _cores(machine: Machine) -> str:
    """`1 of 2 usable (CPU affinity)`, or `2` where nothing limits them."""
    if machine.cores.value == machine.host_cores:
        return str(machine.cores.value)
    return f"{machine.cores.value} of {machine.host_cores} usable ({machine.cores.source})"


def _memory(machine: Machine) -> str:
    source = "" if machine.memory.source == "host" else f" ({machine.memory.source})"
    total, free = format_bytes(machine.memory.value), format_bytes(machine.memory_free_bytes)
    return f"{total}{source}, {free} free"


def _amount(count: int | None, after: str = "", unknown: str = "unknown") -> str:
    return unknown if count is None else format_bytes(count) + after


def _with(text: str, more: str) -> str:
    return f"{text}; {more}" if more else text
