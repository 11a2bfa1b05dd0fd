"""torch.compile: allowed by the tier, possible on the device, long enough a run."""

import pytest

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.performance_config import TIERS
from lacewing.planning.rules.compile import choose

GPU = Device(name="GPU", kind="cuda", details={"compute capability": "12.0"})
OLD = Device(name="GTX 1080", kind="cuda", details={"compute capability": "6.1"})


@pytest.mark.parametrize(
    ("tier", "device", "steps", "mode"),
    [
        ("high", GPU, 100_000, "default"),
        ("high", GPU, 1_000, "off"),  # saves 10 s, costs 60 s
        ("high", OLD, 100_000, "off"),
        ("mid", GPU, 100_000, "off"),
    ],
)
def test_only_where_it_pays(tier, device, steps, mode):
    assert choose(None, TIERS[tier], Capabilities(), device, steps).value == mode


def test_a_short_run_is_counted_by_the_epochs_that_are_run(plan_on, make_job):
    words = {"epochs": 200, "batch_size": 16}
    job = make_job(training_images=1000)
    assert plan_on("h100_80gb", job, **words).compile.value == "default"
    assert plan_on("h100_80gb", job, limit_epochs=1, **words).compile.value == "off"


def test_growing_images_are_not_compiled_for(plan_on, make_job):
    words = {"epochs": 200, "batch_size": 16, "progressive_resizing": True}
    compiled = plan_on("h100_80gb", make_job(training_images=1000), **words).compile
    assert (compiled.value, compiled.source) == ("off", "rule")
    assert "each size" in compiled.reason


def test_an_asked_mode_wins(plan_on):
    assert plan_on("cpu_2core_24gb", compile="default").compile.value == "default"
    assert plan_on("h100_80gb", compile="off").compile.source == "user"


@pytest.mark.parametrize("machine", ["apple_m1_16gb", "gtx1050_2gb"])
def test_where_it_can_not_work_it_is_refused(plan_on, machine):
    with pytest.raises(DeviceError, match=r"--compile default does not work on .*--compile off"):
        plan_on(machine, compile="default")
    assert plan_on(machine, compile="off").compile.value == "off"
