"""Usable cores and memory, on machines laid out as files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.hardware import limits
from lacewing.hardware.cgroups import Group, groups_of
from lacewing.hardware.limits import free_memory, shared_memory_free, usable_cores, usable_memory
from lacewing.hardware.machine import Limit
from lacewing.values import GIB, MIB

MEMINFO = {"proc/meminfo": f"MemTotal: {16 * 2**20} kB\nMemAvailable: {12 * 2**20} kB\n"}
V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n"


def cores(root: Path, host: int = 8, affinity: int = 8) -> Limit:
    return usable_cores(root, host=host, affinity=affinity)


def test_without_limits_all_cores_are_the_hosts(lay):
    assert cores(lay({})) == Limit(value=8, source="host")


def test_affinity_limits_cores(lay):
    assert cores(lay({}), affinity=3) == Limit(value=3, source="CPU affinity")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", Limit(value=8, source="host")),
        ("250000 100000", Limit(value=2, source="cgroup quota")),
        ("50000 100000", Limit(value=1, source="cgroup quota")),
        ("3200000 100000", Limit(value=8, source="host")),
        ("nonsense", Limit(value=8, source="host")),
    ],
)
def test_v2_quota_is_rounded_down_to_at_least_one(lay, quota, expected):
    root = lay({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota})
    assert cores(root) == expected


def test_a_parents_quota_binds_its_nested_groups(lay):
    root = lay(
        {
            "proc/self/cgroup": "0::/user.slice/job.scope\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/user.slice/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000\n",
        }
    )
    assert cores(root) == Limit(value=4, source="cgroup quota")


def test_v1_quota_in_a_container_that_sees_the_hosts_path(lay):
    root = lay(
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            "proc/self/mountinfo": (
                "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro "
                "- cgroup cgroup rw,cpu,cpuacct\n"
                "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
            ),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/memory.stat": (
                f"cache 5\nactive_file 7\ntotal_inactive_file {100 * MIB}\n"
                f"total_active_file {50 * MIB}\n"
            ),
            **MEMINFO,
        }
    )
    assert cores(root) == Limit(value=1, source="cgroup quota")
    assert usable_memory(root, rlimits={}) == Limit(value=2 * GIB, source="cgroup memory limit")
    assert free_memory(root, rlimits={}) == GIB + 150 * MIB


def test_v1_says_no_limit_with_minus_one_and_a_huge_number(lay):
    root = lay(
        {
            "proc/self/cgroup": "5:cpu:/\n4:memory:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            **MEMINFO,
        }
    )
    assert cores(root).source == "host"
    assert usable_memory(root, rlimits={}) == Limit(value=16 * GIB, source="host")
    assert free_memory(root, rlimits={}) == 12 * GIB


def test_v2_memory_is_the_smallest_on_the_way_up_and_cached_files_are_free(lay):
    root = lay(
        {
            "proc/self/cgroup": "0::/pod/box\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/pod/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/pod/memory.current": f"{3 * GIB}\n",
            "sys/fs/cgroup/pod/memory.stat": (
                f"anon 1\ninactive_file {GIB // 2}\nactive_file {GIB // 4}\n"
            ),
            "sys/fs/cgroup/pod/box/memory.max": "max\n",
            "sys/fs/cgroup/pod/box/memory.current": f"{GIB}\n",
            **MEMINFO,
        }
    )
    assert usable_memory(root, rlimits={}) == Limit(value=4 * GIB, source="cgroup memory limit")
    assert free_memory(root, rlimits={}) == GIB + GIB // 2 + GIB // 4


def test_a_group_of_another_namespace_is_read_where_it_is_mounted(lay):
    root = lay(
        {
            "proc/self/cgroup": "0::/../../elsewhere\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "300000 100000\n",
        }
    )
    assert [group.folder for group in groups_of("cpu", root)] == [root / "sys/fs/cgroup"]
    assert cores(root).value == 3


def test_rlimits_bound_total_and_free_memory(lay):
    rlimits = {"RLIMIT_AS": 6 * GIB, "RLIMIT_DATA": 64 * GIB}
    root = lay(MEMINFO)
    assert usable_memory(root, rlimits=rlimits) == Limit(value=6 * GIB, source="RLIMIT_AS")
    assert 0 <= free_memory(root, rlimits=rlimits) < 6 * GIB
    assert free_memory(root, rlimits={"RLIMIT_AS": MIB}) == 0


@pytest.mark.parametrize(
    ("rlimits", "free"),
    [({"RLIMIT_AS": 50}, 10), ({"RLIMIT_DATA": 50}, 45), ({"RLIMIT_AS": 41, "RLIMIT_DATA": 50}, 1)],
)
@pytest.mark.parametrize("told", [True, False])
def test_a_limit_on_data_does_not_count_what_is_shared_or_read_only(
    lay, monkeypatch, rlimits, free, told
):
    """A process of 40 bytes of addresses, 5 of them its data; not every system tells these."""
    info = SimpleNamespace(vms=40, **({"data": 5} if told else {}))
    process = SimpleNamespace(memory_info=lambda: info)
    monkeypatch.setattr(limits.psutil, "Process", lambda: process)
    assert free_memory(lay(MEMINFO), rlimits=rlimits) == (free if told else min(free, 10))


def test_without_proc_the_systems_own_count_is_used(lay):
    memory = usable_memory(lay({}), rlimits={})
    assert memory.source == "host"
    assert 0 < free_memory(lay({}), rlimits={}) <= memory.value


def test_shared_memory_is_none_where_there_is_none(lay, tmp_path):
    assert shared_memory_free(lay({})) is None
    (tmp_path / "dev/shm").mkdir(parents=True)
    assert shared_memory_free(tmp_path) == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


def test_disk_space_of_a_folder_that_is_not_made_yet(tmp_path):
    free = limits.disk_free(tmp_path / "runs" / "new")
    assert free is not None
    assert free > 0


@given(
    host=st.integers(1, 256),
    affinity=st.integers(1, 256),
    quota=st.one_of(st.just("max"), st.integers(1000, 10**8)),
)
def test_cores_are_at_least_one_and_at_most_every_limit(tmp_path_factory, host, affinity, quota):
    root = tmp_path_factory.mktemp("machine")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/cpu.max").write_text(f"{quota} 100000\n")
    found = usable_cores(root, host=host, affinity=affinity).value
    assert 1 <= found <= min(host, affinity)
    if quota != "max":
        assert found <= max(1, quota / 100000)


@given(limit=st.integers(0, 2**40), used=st.integers(0, 2**40), cached=st.integers(0, 2**40))
def test_a_groups_free_memory_is_never_negative(tmp_path_factory, limit, used, cached):
    folder = tmp_path_factory.mktemp("group")
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"inactive_file {cached}\n")
    free = Group(folder, 2).memory_free()
    assert free == max(0, limit - used + cached)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not here")
@pytest.mark.skipif(limits.host_cores() < 2, reason="there is but one core")
def test_taskset_leaves_one_core():
    code = (
        "import json; from dataclasses import asdict; from lacewing.hardware import limits; "
        "print(json.dumps([asdict(limits.usable_cores()), limits.host_cores()]))"
    )
    first = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["taskset", "-c", str(first), sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found, host = json.loads(done.stdout)
    assert found == {"value": 1, "source": "CPU affinity"}
    assert host > 1
