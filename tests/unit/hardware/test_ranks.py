"""Which process this is, by the variables of each launcher."""

import numpy as np
import pytest

from lacewing.errors import ConfigError
from lacewing.hardware.ranks import ALONE, Ranks, first_host, ranks_here, tasks_per_node

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0", "MASTER_PORT": "29400", "TORCHELASTIC_RESTART_COUNT": "2",
}  # fmt: skip
SRUN = {
    "SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1", "SLURM_STEP_TASKS_PER_NODE": "2(x2)", "SLURM_JOB_ID": "10123",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
}  # fmt: skip
BATCH_SCRIPT = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}
POD = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"}


def test_without_a_launcher_there_is_one_process():
    assert ranks_here({"PATH": "/bin"}) == ALONE


def test_torchrun():
    assert ranks_here(TORCHRUN) == Ranks(3, 4, 1, 2, "node0:29400", 2)


def test_a_pod_of_kubernetes_is_a_host_of_its_own():
    assert ranks_here(POD) == Ranks(1, 2, 0, 1, "job-master-0:23456")


def test_srun_meets_on_the_first_host_at_a_port_of_the_job():
    assert ranks_here(SRUN) == Ranks(3, 4, 1, 2, "gpu07:20123")
    assert ranks_here(SRUN | {"MASTER_ADDR": "10.0.0.1"}).address == "10.0.0.1:20123"


def test_a_batch_script_is_run_once_whatever_the_job_has_asked_for():
    assert ranks_here(BATCH_SCRIPT) == ALONE


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"RANK": "4"}, "process 4 of 4"),
        ({"LOCAL_RANK": "2"}, "2 of 2 on this host"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE must be a number, not 'two'"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
    ],
)
def test_variables_that_contradict_each_other_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        ranks_here(TORCHRUN | wrong)


@pytest.mark.parametrize(("count", "world"), [(8, 2), (7, 3), (2, 4), (0, 2)])
def test_parts_are_those_of_array_split(count, world):
    parts = [list(Ranks(rank, world).part(count)) for rank in range(world)]
    assert parts == [part.tolist() for part in np.array_split(np.arange(count), world)]


def test_slurms_short_forms():
    assert tasks_per_node("2(x3),1") == [2, 2, 2, 1]
    assert first_host("gpu[07-09,12]") == "gpu07"
    assert first_host("a1,a2") == "a1"
    assert first_host("n[1-2]-ib,n9") == "n1-ib"
