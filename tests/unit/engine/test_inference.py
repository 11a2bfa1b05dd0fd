"""Forward-only passes: their order, and what they do where the memory is exhausted."""

import pytest
import torch
from torch import nn

from lacewing.data.batch import Batch
from lacewing.engine import inference
from lacewing.engine.execution import Execution
from lacewing.engine.inference import in_halves, loaded_in_halves, predict_logits
from lacewing.hardware.fake import FakeBackend, FakeOutOfMemoryError

EXECUTION = Execution(
    device="cuda:0", precision="fp32", memory_format="contiguous", compile_mode="off", micro_batch=4
)


def batches(count, size=4):
    torch.manual_seed(0)
    for number in range(count):
        images = torch.randn(size, 3, 8, 8)
        yield Batch(images, torch.arange(size) + number * size, torch.arange(size).numpy())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5)).train()


def configured(**faults):
    backend = FakeBackend(**faults)
    backend.configure("fp32", 1, False)
    return backend


@pytest.mark.parametrize("full_at", [(), {1}, {2}, {1, 2}, {2, 5}])
def test_an_exhausted_memory_changes_no_row(network, full_at):
    expected, order = predict_logits(network, batches(3), configured(), EXECUTION)
    backend = configured(out_of_memory_at=full_at)
    logits, labels = predict_logits(network, batches(3), backend, EXECUTION)
    assert torch.allclose(logits, expected, atol=1e-6)
    assert torch.equal(labels, order)
    assert backend.calls.count("empty_cache") == len(full_at)
    assert network.training


def test_a_single_image_that_does_not_fit_is_an_error(network):
    with pytest.raises(FakeOutOfMemoryError):
        predict_logits(network, batches(1), configured(out_of_memory_at=range(99)), EXECUTION)


def test_another_error_is_not_tried_again():
    seen = []

    def fail(images):
        seen.append(len(images))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_halves(fail, torch.zeros(4), configured())
    assert seen == [4]


class Score(torch.Tensor):
    """Logits that lie on a device as far as one can see, and count how often they are fetched."""

    fetched = 0
    device = torch.device("cuda")

    def cpu(self):
        Score.fetched += 1
        return self.as_subclass(torch.Tensor)


@pytest.mark.parametrize(("waiting", "times"), [(2**20, 1), (2 * 4 * 5 * 4, 3), (1, 5)])
def test_a_device_is_waited_for_once_in_a_while(network, monkeypatch, waiting, times):
    """Five batches of four rows of five logits."""
    expected, order = predict_logits(network, batches(5), configured(), EXECUTION)
    monkeypatch.setattr(inference, "WAITING_BYTES", waiting)
    monkeypatch.setattr(Score, "fetched", 0)
    step = inference.eval_step
    monkeypatch.setattr(inference, "eval_step", lambda *given: step(*given).as_subclass(Score))
    logits, labels = predict_logits(network, batches(5), configured(), EXECUTION)
    assert Score.fetched == times
    assert torch.equal(logits, expected)
    assert torch.equal(labels, order)


class Loader:
    """Batches of ten images, of which the memory holds but so many at once."""

    def __init__(self, holds):
        self.batch_size, self.holds = 8, holds

    def batches(self, start=0):
        for first in range(start, 10, self.batch_size):
            rows = torch.arange(first, min(10, first + self.batch_size))
            if len(rows) > self.holds and first:
                raise FakeOutOfMemoryError
            yield Batch(torch.zeros(len(rows), 3, 8, 8), rows, rows.numpy())


def test_batches_are_loaded_in_halves_from_the_first_that_does_not_fit_on():
    loader, backend = Loader(holds=1), configured()
    found = [batch.rows.tolist() for batch in loaded_in_halves(loader, backend)]
    assert found == [list(range(8)), [8], [9]]
    assert loader.batch_size == 1
    assert backend.calls.count("empty_cache") == 3


def test_an_image_that_can_not_be_loaded_alone_is_an_error():
    with pytest.raises(FakeOutOfMemoryError):
        list(loaded_in_halves(Loader(holds=0), configured()))
