"""Which devices are found, which are rejected and why, and what is said to the user."""

import gc

import pytest

from lacewing.errors import DeviceError
from lacewing.hardware import inspect as module
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake import FakeBackend, Faults, fake_backends
from lacewing.hardware.inspect import inspect
from lacewing.hardware.machine import Machine
from lacewing.hardware.probe import Findings
from lacewing.hardware.smoke import SmokeResult
from lacewing.values import GIB


def test_every_device_stands_in_order_with_the_cpu_last(tmp_path):
    backends = fake_backends(FakeBackend("mps", ["M1"]), FakeBackend("cuda", ["A", "B"]))
    machine = inspect(backends=backends, run_folder=tmp_path)
    assert [device.address for device in machine.devices] == ["cuda:0", "cuda:1", "mps", "cpu"]
    assert machine.devices[1].name == "B"
    assert machine.devices[0].total_bytes == 8 * GIB
    assert machine.rejected == ()


def test_a_machine_survives_being_saved(tmp_path):
    machine = inspect(backends=fake_backends(FakeBackend()))
    machine.save(tmp_path / "machine.json")
    assert Machine.load(tmp_path / "machine.json") == machine


def test_a_device_that_computes_wrong_is_rejected_and_the_next_kind_is_used():
    broken = FakeBackend("cuda", ["Bad card"], faults=Faults(precisions={"fp32": "nan"}))
    machine = inspect(backends=fake_backends(broken, FakeBackend("xpu", ["Arc"])))
    assert [device.kind for device in machine.devices] == ["xpu", "cpu"]
    (rejected,) = machine.rejected
    assert (rejected.kind, rejected.name) == ("cuda", "Bad card")
    assert "not finite" in rejected.reason


def test_a_precision_that_fails_costs_only_that_precision():
    fake = FakeBackend(devices=["Card"], faults=Faults(precisions={"bf16": "wrong"}))
    machine = inspect(backends=fake_backends(fake))
    assert machine.devices[0].precisions == ("fp32",)
    assert [item.name for item in machine.rejected] == ["Card in bf16"]
    assert machine.devices[0].failed == {"bf16": machine.rejected[0].reason}


def test_not_here_and_any_other_error_of_a_driver_are_kept_as_reasons():
    class Bursting(FakeBackend):
        def find(self):
            raise OSError("libsycl.so: cannot open")

    absent = FakeBackend("cuda", faults=Faults(find="no driver"))
    machine = inspect(backends=fake_backends(absent, Bursting("xpu")))
    assert [device.kind for device in machine.devices] == ["cpu"]
    assert [item.reason for item in machine.rejected] == [
        "no driver",
        "looking for it failed (OSError: libsycl.so: cannot open)",
    ]


@pytest.mark.parametrize(
    ("wanted", "fake", "expected"),
    [
        (
            "cuda:1",
            FakeBackend(devices=["A"]),
            ["no device cuda:1", "--device auto or cuda:0 or cpu."],
        ),
        (
            "cuda",
            FakeBackend(faults=Faults(find="no driver")),
            ["no driver", "a current driver for the GPU"],
        ),
        (
            "cuda:0",
            FakeBackend(devices=["A"], faults=Faults(precisions={"fp32": "nan"})),
            ["A: the loss is not finite", "--device auto or cpu"],
        ),
        ("mps", FakeBackend(), ["mps can't be used", "Apple-silicon"]),
        ("gpu", FakeBackend(), ["'gpu'", "cuda, xpu, mps, directml, cpu"]),
        ("cuda:x", FakeBackend(), ["cuda:x", "number"]),
    ],
)
def test_a_wanted_device_that_is_not_usable_is_an_error(wanted, fake, expected):
    with pytest.raises(DeviceError) as caught:
        inspect(wanted, fake_backends(fake))
    for part in expected:
        assert part in str(caught.value)


def test_a_failed_precision_of_a_sibling_is_no_reason():
    fake = FakeBackend(devices=["A"], faults=Faults(precisions={"bf16": "nan"}))
    with pytest.raises(DeviceError, match="There is no device cuda:5 here"):
        inspect("cuda:5", fake_backends(fake))


def test_only_the_wanted_kind_and_the_cpu_are_looked_for():
    absent = FakeBackend("cuda", faults=Faults(find="no driver"))
    machine = inspect("mps", fake_backends(absent, FakeBackend("mps")))
    assert [device.kind for device in machine.devices] == ["mps", "cpu"]
    assert machine.rejected == ()


def test_auto_means_nothing_wanted():
    backends = fake_backends(FakeBackend("cuda"), FakeBackend("xpu"))
    assert len(inspect("auto", backends).devices) == 3


@pytest.mark.parametrize("plausible", [True, False])
def test_directml_is_looked_for_only_when_plausible_or_asked(monkeypatch, plausible):
    monkeypatch.setattr(module, "directml_is_plausible", lambda: plausible)
    backends = {kind: BACKENDS[kind] for kind in ("directml", "cpu")}
    kinds = [item.kind for item in inspect(backends=backends).rejected]
    assert ("directml" in kinds) == plausible
    with pytest.raises(DeviceError, match="torch-directml"):
        inspect("directml", backends)


def test_a_real_accelerator_is_probed_in_a_child(monkeypatch):
    """The table's own backends are isolated; a crash there rejects the device."""
    asked = []

    def crash(kind, index):
        asked.append((kind, index))
        return Findings(smoke=SmokeResult(failed={"fp32": "its process was ended by SIGSEGV"}))

    absent = FakeBackend("cuda", ["A", "B"])
    monkeypatch.setattr(module, "probe_in_child", crash)
    monkeypatch.setitem(BACKENDS, "cuda", lambda: absent)
    machine = inspect("cpu", BACKENDS)
    assert asked == []
    machine = inspect(backends={kind: BACKENDS[kind] for kind in ("cuda", "cpu")})
    assert sorted(asked) == [("cuda", 0), ("cuda", 1)]
    assert [device.kind for device in machine.devices] == ["cpu"]
    assert len(machine.rejected) == 2


def test_what_this_process_keeps_unused_is_given_back_before_a_child_looks(monkeypatch):
    """Of an earlier run, whose network goes first."""
    fake, acts = FakeBackend("cuda", ["A"]), []
    monkeypatch.setattr(gc, "collect", lambda: acts.append("collect"))
    monkeypatch.setattr(fake, "empty_cache", lambda: acts.append("empty_cache"))

    def look(kind, index):
        acts.append("look")
        return Findings(smoke=SmokeResult(("fp32",)))

    monkeypatch.setattr(module, "probe_in_child", look)
    monkeypatch.setitem(BACKENDS, "cuda", lambda: fake)
    inspect(backends={kind: BACKENDS[kind] for kind in ("cuda", "cpu")})
    assert acts[:3] == ["collect", "empty_cache", "look"]


def test_a_cpu_that_computes_wrong_is_said():
    broken = FakeBackend("cpu", faults=Faults(precisions={"fp32": "nan"}))
    with pytest.raises(DeviceError, match="CPU failed its test"):
        inspect(backends={"cpu": lambda: broken})


def test_what_the_devices_test_left_does_not_count_as_taken():
    fake = FakeBackend()
    inspect(backends=fake_backends(fake))
    assert fake.calls[fake.calls.index("memory") - 1] == "empty_cache"
