"""Children: what they report, and what is said of those that end without a word."""

import json
import sys

import pytest

from lacewing.hardware import probe
from lacewing.hardware.child import ChildError, be_ended_first, run_child


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
    monkeypatch.setattr(probe, "run_child", lambda code, s: json.loads(json.dumps(reported[0])))
    assert "fp32" in probe.probe_in_child("cpu", 0).smoke.passed
