"""BatchNorm over several processes, here played by threads."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import timm
import torch
from torch import nn

from lacewing.engine.norms import SyncedNorm, synchronise_norms
from lacewing.engine.rounds import PartnerFailedError, Rounds


class Line:
    """What everyone says reaches everyone: `gather(rank)` is a process's end of it."""

    def __init__(self, world):
        self.said = [None] * world
        self.barrier = threading.Barrier(world)

    def gather(self, rank):
        def exchange(mine):
            self.said[rank] = mine.clone()
            self.barrier.wait()
            everyone = torch.stack(self.said)
            self.barrier.wait()
            return everyone

        return exchange


def in_threads(world, work):
    line = Line(world)
    with ThreadPoolExecutor(world) as pool:
        jobs = [pool.submit(work, rank, Rounds(line.gather(rank))) for rank in range(world)]
        return [job.result(timeout=60) for job in jobs]


def network():
    torch.manual_seed(3)
    return timm.create_model("test_resnet", num_classes=3).train()


def images(count):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 3 + 5


@pytest.mark.parametrize("sizes", [(3, 3), (1, 4), (2, 1, 2, 1)])
def test_gradients_and_statistics_are_those_of_one_batch(sizes):
    whole, everything = network(), images(sum(sizes))
    copies = [copy.deepcopy(whole) for _ in sizes]
    whole(everything).square().sum().backward()

    def one_of_them(rank, rounds):
        model = copies[rank]
        assert synchronise_norms(model, rounds) > 0
        model(everything.split(sizes)[rank]).square().sum().backward()
        return model

    models = in_threads(len(sizes), one_of_them)
    for name, weight in whole.named_parameters():
        total = sum(dict(model.named_parameters())[name].grad for model in models)
        torch.testing.assert_close(total, weight.grad, atol=2e-3, rtol=2e-3, msg=name)
    for name, buffer in whole.named_buffers():
        for model in models:
            torch.testing.assert_close(dict(model.named_buffers())[name], buffer, msg=name)


def test_names_and_the_pass_without_training_stay_the_same():
    model, rounds = network(), Rounds(lambda mine: mine[None])
    before, names = model.eval()(images(2)), list(model.state_dict())
    synchronise_norms(model, rounds)
    assert list(model.state_dict()) == names
    assert torch.equal(model(images(2)), before)


def test_who_gives_up_is_noticed_by_those_that_wait():
    def one_of_them(rank, rounds):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        synchronise_norms(model, rounds)
        assert isinstance(model[1], SyncedNorm)
        if rank == 1:
            rounds.give_up()
            return "gave up"
        with pytest.raises(PartnerFailedError):
            model(images(2))
        return "noticed"

    assert in_threads(2, one_of_them) == ["noticed", "gave up"]


def test_the_last_exchange_of_a_step_closes_it():
    rounds = Rounds(lambda mine: mine[None])
    rounds.close()
    assert rounds.closed
    rounds.begin()
    assert not rounds.closed
