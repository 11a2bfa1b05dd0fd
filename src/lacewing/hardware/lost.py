"""A device that stopped working, told from other errors by its functional test."""

from collections.abc import Iterator
from contextlib import contextmanager

from lacewing.errors import DeviceLostError, LacewingError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for, is_exhausted
from lacewing.hardware.smoke import still_works
from lacewing.values import first_line


@contextmanager
def device_watched(address: str, remedy: str, backends: BackendTable = BACKENDS) -> Iterator[None]:
    """Raise DeviceLostError for an error in the block after which the device fails its test.

    Any other error passes, and so do those of an exhausted memory and all on the CPU. `remedy` is
    what to do, a clause.
    """
    try:
        yield
    except LacewingError:
        raise
    except Exception as error:  # drivers raise anything at all
        backend, index = backend_for(address, backends)
        if backend.kind == "cpu" or is_exhausted(backend, error) or still_works(backend, index):
            raise
        said = first_line(error)
        raise DeviceLostError(f"{address} stopped working ({said}): {remedy}.") from error
