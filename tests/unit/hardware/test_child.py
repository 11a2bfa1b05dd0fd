"""Children: what they report, and what is said of those that end without a word."""

import json
import subprocess
import sys

import pytest

from lacewing.hardware import probe
from lacewing.hardware.child import MARK, ChildError, be_ended_first, run_child
from lacewing.hardware.fake import FakeBackend


def test_a_report_is_found_among_a_drivers_chatter():
    code = "print('driver 1.2 loaded'); report({'names': ['a']}); print('bye')"
    assert run_child(code, 30) == {"names": ["a"]}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise OSError('libd3d12.so: cannot open')", "OSError: libd3d12.so: cannot open"),
        ("import sys; sys.exit(3)", "its process ended with status 3"),
        ("pass", "its process ended with status 0"),
        ("import time; time.sleep(60)", "no answer within 0.5 s"),
    ],
)
def test_a_failure_becomes_a_reason(code, reason):
    with pytest.raises(ChildError) as caught:
        run_child(code, 0.5 if "sleep" in code else 30)
    assert str(caught.value) == reason


def test_what_was_reported_before_a_bad_end_is_kept():
    with pytest.raises(ChildError, match="status 3") as caught:
        run_child("import os; report(1); report({'names': ['a']}); os._exit(3)", 30)
    assert caught.value.reported == {"names": ["a"]}


@pytest.mark.parametrize("kind", [bytes, str])
def test_what_was_reported_before_the_time_ran_out_is_kept(monkeypatch, kind):
    """In bytes on Unix, in text on Windows."""
    said = f"driver 1.2 loaded\n{MARK}[1]\n"

    def hang(command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout, said if kind is str else said.encode())

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(ChildError, match="no answer within 30 s") as caught:
        run_child("", 30)
    assert caught.value.reported == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals on Windows")
def test_a_crash_is_told_by_its_signal():
    with pytest.raises(ChildError, match="SIGSEGV"):
        run_child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 30)


def test_a_child_can_offer_itself_to_the_out_of_memory_killer(lay, tmp_path):
    root = lay({"proc/self/oom_score_adj": "0"})
    be_ended_first(root)
    assert (root / "proc/self/oom_score_adj").read_text() == "1000"
    be_ended_first(tmp_path / "elsewhere")


def test_a_device_is_probed_in_a_child_as_in_this_process():
    found = probe.probe_in_child("cpu", 0)
    assert "fp32" in found.smoke.passed
    assert found.total_bytes is not None
    assert set(found.details) == {"instructions"}


def test_a_child_that_dies_rejects_its_device(monkeypatch):
    def die(code, timeout_seconds):
        raise ChildError("its process was ended by SIGSEGV")

    monkeypatch.setattr(probe, "run_child", die)
    found = probe.probe_in_child("cuda", 0)
    assert found.smoke.passed == ()
    assert "SIGSEGV" in found.smoke.failed["fp32"]


def test_findings_survive_json(monkeypatch):
    reported = []
    probe.report_to(reported.append, "cpu", 0)
    monkeypatch.setattr(probe, "run_child", lambda code, s: json.loads(json.dumps(reported[-1])))
    assert "fp32" in probe.probe_in_child("cpu", 0).smoke.passed


def test_kernels_that_take_the_child_down_cost_the_kernels_only(monkeypatch):
    """All that is asked of the device is reported before they run."""
    reported = []

    def abort(backend, index, precisions):
        raise SystemExit

    def die(code, timeout_seconds):
        with pytest.raises(SystemExit):
            probe.report_to(reported.append, "cuda", 0)
        raise ChildError("its process was ended by SIGABRT", reported[-1])

    fake = FakeBackend()
    monkeypatch.setitem(probe.BACKENDS, "cuda", lambda: fake)
    monkeypatch.setattr(probe, "failed_kernels", abort)
    monkeypatch.setattr(probe, "run_child", die)
    found = probe.probe_in_child("cuda", 0)
    assert found.smoke.passed == ("fp32", "bf16")
    assert found.details == fake.details(0)
    assert found.total_bytes == fake.memory(0).total_bytes
    assert found.failed_kernels == dict.fromkeys(
        ("foreach", "fused"), "its process was ended by SIGABRT"
    )
