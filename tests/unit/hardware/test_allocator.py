"""What becomes of freed memory."""

import subprocess
import sys

import pytest

from lacewing.hardware import allocator

STEPS = """
import resource, sys
from lacewing.hardware.process import ready_process
if sys.argv[1] == "ready":
    ready_process()
import torch
def work():
    for _ in range(12):
        torch.empty(10 * 2**20).fill_(1.0)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


class Library:
    """Stands in for the C library."""

    def __init__(self, takes=1):
        self.takes, self.calls = takes, []

    def mallopt(self, parameter, value):
        self.calls.append((parameter, value))
        return self.takes

    def malloc_trim(self, pad):
        self.calls.append(("trim", pad))
        return 1


def settings():
    """Those in the environment, without pytest's own."""
    return {name: text for name, text in allocator.os.environ.items() if "PYTEST" not in name}


@pytest.fixture
def library(monkeypatch):
    """The C library and the environment, without settings."""
    found = Library()
    monkeypatch.setattr(allocator, "gnu_library", lambda: found)
    monkeypatch.setattr(allocator, "addresses_are_limited", lambda: False)
    monkeypatch.setattr(allocator.os, "environ", {})
    return found


def test_freed_memory_is_kept_here_and_in_children(library):
    assert allocator.keep_freed_memory()
    assert library.calls == [(allocator.MMAP_MAX, 0), (allocator.TRIM_THRESHOLD, -1)]
    assert settings() == allocator.SETTINGS


def test_whether_it_is_kept_is_known_afterwards(library):
    assert not allocator.is_kept()
    allocator.keep_freed_memory()
    assert allocator.is_kept()


def test_a_second_call_does_nothing(library):
    allocator.keep_freed_memory()
    assert not allocator.keep_freed_memory()
    assert len(library.calls) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"MALLOC_TRIM_THRESHOLD_": "1"},
        {"MALLOC_MMAP_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.rtld.nns=2:glibc.malloc.hugetlb=1"},
    ],
)
def test_what_the_user_has_set_stays(library, given):
    allocator.os.environ.update(given)
    assert not allocator.keep_freed_memory()
    assert library.calls == []
    assert settings() == given


def test_nothing_is_kept_where_addresses_are_limited(library, monkeypatch):
    monkeypatch.setattr(allocator, "addresses_are_limited", lambda: True)
    assert not allocator.keep_freed_memory()
    assert (library.calls, settings()) == ([], {})


@pytest.mark.skipif(sys.platform != "linux", reason="it is asked on Linux only")
def test_a_limit_on_addresses_is_seen():
    code = (
        "import resource\n"
        "from lacewing.hardware.allocator import addresses_are_limited\n"
        "before = addresses_are_limited()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**36, resource.getrlimit(resource.RLIMIT_AS)[1]))"
        "\nprint(before, addresses_are_limited())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split()[1] == "True"


def test_a_refusal_is_told(library):
    library.takes = 0
    assert not allocator.keep_freed_memory()


def test_unused_memory_is_given_back(library):
    assert allocator.give_back()
    assert library.calls == [("trim", 0)]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator, "gnu_library", lambda: None)
    assert not allocator.keep_freed_memory()
    assert not allocator.give_back()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_have_no_gnu_library(monkeypatch, platform):
    monkeypatch.setattr(allocator.sys, "platform", platform)
    assert allocator.gnu_library() is None


@pytest.mark.skipif(allocator.gnu_library() is None, reason="the C library is not GNU's")
def test_the_system_clears_no_page_twice(monkeypatch):
    for name in (*allocator.OF_THE_USER, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)

    def faults(word):
        line = [sys.executable, "-c", STEPS, word]
        return int(subprocess.run(line, check=True, capture_output=True, text=True).stdout)

    # of 12 blocks; one may yet come from the system
    assert faults("as it is") > 4 * faults("ready")
