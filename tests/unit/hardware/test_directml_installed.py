"""torch-directml itself, where it is installed (`make test-oldest`) and has no device to offer."""

import importlib.util
import platform

import pytest

from lacewing.errors import DeviceError
from lacewing.hardware.inspect import inspect

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("torch_directml") is None,
        reason="torch-directml is not installed: see `make test-oldest`",
    ),
    pytest.mark.skipif(
        platform.system() == "Windows", reason="on Windows it may well find a device"
    ),
]


def test_a_package_without_a_driver_is_passed_over_with_the_reason():
    machine = inspect()
    why = next(item.reason for item in machine.rejected if item.kind == "directml")
    assert "torch-directml does not work here" in why
    assert "Error" in why, "the reason holds what the package itself said"
    assert machine.devices[-1].kind == "cpu"
    assert all(device.kind != "directml" for device in machine.devices)


def test_asking_for_it_says_why_not_and_what_else_there_is():
    with pytest.raises(DeviceError, match=r"torch-directml does not work here .*--device auto"):
        inspect("directml")
