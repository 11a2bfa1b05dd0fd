"""The table of backends, and how a device's address names one of its rows."""

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Backend, BackendTable
from lacewing.values import nearest


def _cuda() -> Backend:
    from lacewing.hardware.cuda import CudaBackend

    return CudaBackend()


def _xpu() -> Backend:
    from lacewing.hardware.xpu import XpuBackend

    return XpuBackend()


def _mps() -> Backend:
    from lacewing.hardware.mps import MpsBackend

    return MpsBackend()


def _directml() -> Backend:
    from lacewing.hardware.directml import DirectMLBackend

    return DirectMLBackend()


def _cpu() -> Backend:
    from lacewing.hardware.cpu import CpuBackend

    return CpuBackend()


BACKENDS: BackendTable = {
    "cuda": _cuda,
    "xpu": _xpu,
    "mps": _mps,
    "directml": _directml,
    "cpu": _cpu,
}
"""Every kind of device, the preferred first. A new kind is one file and one line here."""


def parse_address(address: str) -> tuple[str, int]:
    """`"cuda:1"` -> `("cuda", 1)`, `"mps"` -> `("mps", 0)`. Raises DeviceError."""
    kind, colon, index = address.partition(":")
    if kind not in BACKENDS:
        hint = nearest(kind, list(BACKENDS)) or "."
        raise DeviceError(
            f"There is no kind of device called {kind!r}: use auto or one of "
            f"{', '.join(BACKENDS)}, with a number where there are several (cuda:1){hint}"
        )
    if colon and not (index.isascii() and index.isdigit()):
        raise DeviceError(
            f"The device {address!r} needs a number after the colon, as in {kind}:0, or no colon."
        )
    return kind, int(index or 0)


def is_exhausted(backend: Backend, error: BaseException) -> bool:
    """Whether an error tells of an exhausted memory: the device's, or the machine's RAM."""
    return any(one.is_out_of_memory(error) for one in (backend, _cpu()))


def backend_for(address: str, backends: BackendTable = BACKENDS) -> tuple[Backend, int]:
    """The backend that drives a device, and the device's number. Raises DeviceError."""
    kind, index = parse_address(address)
    if kind not in backends:
        raise DeviceError(f"There is no {kind} here: use auto or one of {', '.join(backends)}.")
    return backends[kind](), index
