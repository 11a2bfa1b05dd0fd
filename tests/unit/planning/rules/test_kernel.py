"""The optimiser's kernel that both it and the device have."""

import pytest

from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.planning.rules.kernel import choose


@pytest.mark.parametrize(
    ("optimizer", "device", "expected"),
    [
        (("foreach", "fused"), ("foreach", "fused"), "fused"),
        (("foreach",), ("foreach", "fused"), "foreach"),
        (("foreach",), ("fused",), "plain"),
        (("foreach", "fused"), (), "plain"),
    ],
)
def test_the_fastest_that_both_have(make_job, optimizer, device, expected):
    job = make_job(optimizer_kernels=optimizer)
    capabilities = Capabilities(optimizer_kernels=device)
    assert choose(job, Device(name="GPU", kind="cuda"), capabilities).value == expected
