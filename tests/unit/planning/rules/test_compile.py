"""torch.compile: asked for and possible, or off until it is measured."""

import pytest

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.performance_config import TIERS
from lacewing.planning.rules.compile import choose
from lacewing.values import Choice

GPU = Device(name="GPU", kind="cuda", details={"compute capability": "12.0"})
OLD = Device(name="GTX 1080", kind="cuda", details={"compute capability": "6.1"})


@pytest.mark.parametrize(
    ("tier", "device", "reason"),
    [
        ("high", GPU, "not before it is measured to pay for itself"),
        ("cpu", GPU, "not before it is measured to pay for itself"),
        ("high", OLD, "torch.compile does not work on this device"),
        ("low", GPU, "not before it is measured to pay for itself"),
        ("directml", GPU, "the tier leaves it out"),
    ],
)
def test_no_rule_chooses_it(tier, device, reason):
    assert choose(None, TIERS[tier], Capabilities(), device) == Choice("off", reason, "rule")


@pytest.mark.parametrize(
    ("flag", "reason"),
    [("progressive_resizing", "each size that"), ("gradual_unfreezing", "each set of layers that")],
)
def test_what_would_be_compiled_again_and_again_is_not(plan_on, make_job, flag, reason):
    words = {"epochs": 200, "batch_size": 16, flag: True}
    compiled = plan_on("h100_80gb", make_job(training_images=1000), **words).compile
    assert (compiled.value, compiled.source) == ("off", "rule")
    assert compiled.reason.startswith(reason)


def test_an_asked_mode_wins(plan_on):
    assert plan_on("cpu_2core_24gb", compile="default").compile.value == "default"
    assert plan_on("h100_80gb", compile="off").compile.source == "user"


@pytest.mark.parametrize("machine", ["apple_m1_16gb", "gtx1050_2gb"])
def test_where_it_can_not_work_it_is_refused(plan_on, machine):
    with pytest.raises(DeviceError, match=r"--compile default does not work on .*--compile off"):
        plan_on(machine, compile="default")
    assert plan_on(machine, compile="off").compile.value == "off"


def test_graphs_without_a_compiler_are_for_devices_that_record_them(plan_on):
    assert plan_on("h100_80gb", compile="cudagraphs").compile.value == "cudagraphs"
    with pytest.raises(DeviceError, match=r"cudagraphs does not work .*off or default or reduce"):
        plan_on("cpu_2core_24gb", compile="cudagraphs")
