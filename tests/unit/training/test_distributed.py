"""What a team says where it is one process, and what is read from the environment."""

from datetime import timedelta

import pytest
import torch

from lacewing.errors import ConfigError, GroupError, ToldError
from lacewing.hardware.ranks import Ranks
from lacewing.training import distributed
from lacewing.training.distributed import buckets, explained, joined, received, timeout_of


def test_one_process_answers_by_itself():
    with joined({}) as team:
        assert team.alone and team.leads
        assert team.first(lambda: 3) == 3
        assert team.only_first(lambda: 4) == 4
        assert team.first_then(lambda: 5) == 5
        assert team.gather("a") == ["a"]
        assert team.most(1, 0) == [1, 0]
        assert team.any(True) is True


def test_what_torch_says_of_lost_processes_is_one_sentence():
    said = "[gloo/pair.cc:1] Connection closed by peer [10.0.0.2]:4711\nstack\nstack"
    with (
        pytest.raises(
            GroupError, match=r"Process 1 of 2 lost the others.*closed by peer.*--resume"
        ),
        explained(Ranks(1, 2)),
    ):
        raise RuntimeError(said)


def test_a_failure_of_the_first_ends_the_others_with_its_code():
    assert received((7, None)) == 7
    with pytest.raises(ToldError, match="no such folder") as raised:
        received((None, ("no such folder", 2)))
    assert raised.value.exit_code == 2


def test_gradients_are_summed_in_pieces_of_one_type():
    tensors = [torch.ones(10), torch.ones(30), torch.ones(1), torch.ones(2, dtype=torch.float64)]
    found = [[len(tensor) for tensor in bucket] for bucket in buckets(tensors, 150)]
    assert found == [[10, 30], [1], [2]]


def test_the_timeout_is_asked_of_the_environment():
    assert timeout_of({}) == timedelta(seconds=distributed.USUAL_TIMEOUT)
    assert timeout_of({"LACEWING_GROUP_TIMEOUT": "5"}) == timedelta(seconds=5)
    with pytest.raises(ConfigError, match="must be seconds, not 'soon'"):
        timeout_of({"LACEWING_GROUP_TIMEOUT": "soon"})


def test_who_is_alone_in_a_group_that_should_be_larger_is_told_where_it_waited():
    here = {
        "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29871",
        "LACEWING_GROUP_TIMEOUT": "1",
    }  # fmt: skip
    with pytest.raises(GroupError, match=r"0 of 2.*127\.0\.0\.1:29871 within 1 s"), joined(here):
        pass
