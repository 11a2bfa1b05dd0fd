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


@pytest.mark.parametrize(
    ("failed", "expected"), [(["fused"], "foreach"), (["fused", "foreach"], "plain")]
)
def test_one_that_failed_its_test_is_named_and_the_next_is_taken(make_job, failed, expected):
    device = Device(name="GPU", kind="xpu", failed_kernels=dict.fromkeys(failed, "SGD: no code"))
    choice = choose(make_job(optimizer_kernels=("foreach", "fused")), device, Capabilities())
    assert choice.value == expected
    assert all(f"; {kernel} failed its test (SGD: no code)" in choice.reason for kernel in failed)
