"""One optimiser step: its gradient, its figures, its pieces."""

import weakref
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from lacewing.engine.losses import make_loss
from lacewing.engine.step import (
    NormKeeper,
    copy_each,
    eval_step,
    norm_buffers,
    split_batch,
    train_step,
    update,
)


def step(model, micro_batches, scaler=None, clip_norm=None, rate=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    return train_step(model, optimizer, scaler, make_loss(), micro_batches, nullcontext, clip_norm)


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


@pytest.mark.parametrize(
    ("count", "micro_batch", "sizes"),
    [
        (17, 4, [4, 4, 3, 3, 3]),
        (16, 4, [4, 4, 4, 4]),
        (3, 8, [3]),
        (5, 1, [1] * 5),
        (9, 8, [5, 4]),
    ],
)
def test_split_sizes_differ_by_at_most_one(count, micro_batch, sizes):
    images, labels = torch.arange(count * 3).view(count, 3, 1, 1), torch.arange(count)
    parts = split_batch(images, labels, micro_batch)
    assert [len(part) for _, part in parts] == sizes
    assert torch.equal(torch.cat([part for part, _ in parts]), images)
    assert torch.equal(torch.cat([part for _, part in parts]), labels)
    assert parts[0][0].data_ptr() == images.data_ptr()  # a view


@pytest.mark.parametrize("micro_batch", [1, 4, 8])
def test_accumulation_equals_the_whole_batch(network, batch, micro_batch):
    whole, split = network(norm=False).double(), network(norm=False).double()
    images, labels = batch[0].double(), batch[1]
    expected = step(whole, [(images, labels)])
    result = step(split, split_batch(images, labels, micro_batch))
    # the loss is taken in float32, whatever the weights are
    assert torch.allclose(weights(split), weights(whole), atol=1e-7)
    assert torch.allclose(result.loss, expected.loss)
    assert result.correct == expected.correct and result.count == 17


def test_the_figures_are_of_the_weights_before_the_update(network, batch):
    model = network()
    logits = model(batch[0])
    result = step(network(), [batch])
    assert torch.allclose(result.loss, nn.functional.cross_entropy(logits, batch[1]))
    assert result.correct == (logits.argmax(1) == batch[1]).sum()
    assert not result.loss.requires_grad and result.loss.shape == ()
    assert not result.scaled


def test_mixed_labels_weigh_the_loss_and_the_larger_part_counts(network, batch):
    images, labels = batch
    other = labels.roll(1)
    classes = network()(images).shape[1]
    hot = nn.functional.one_hot(labels, classes), nn.functional.one_hot(other, classes)
    shares = 0.7 * hot[0] + 0.3 * hot[1]
    logits = network()(images)
    result = step(network(), split_batch(images, shares, 17))
    entropy = nn.functional.cross_entropy
    expected = 0.7 * entropy(logits, labels) + 0.3 * entropy(logits, other)
    assert torch.allclose(result.loss, expected)
    assert result.correct == (logits.argmax(1) == labels).sum()


def test_the_loss_sees_float32(network, batch):
    seen = []

    def loss(logits, labels):
        seen.append(logits.dtype)
        return nn.functional.cross_entropy(logits, labels)

    model = network(norm=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_step(model, optimizer, None, loss, [batch], lambda: torch.autocast("cpu", torch.bfloat16))
    assert seen == [torch.float32]


def test_a_micro_batch_is_made_ready_for_its_own_pass_only(network, batch):
    """Of the whole batch there are never two copies."""
    made = []

    def copied(part):
        assert all(one() is None for one in made), "an earlier copy is still there"
        out = part.contiguous(memory_format=torch.channels_last)
        made.append(weakref.ref(out))
        return out

    model, parts = network(), split_batch(*batch, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_step(model, optimizer, None, make_loss(), parts, nullcontext, ready=copied)
    assert len(made) == len(parts)


def test_old_gradients_do_not_count(network, batch):
    clean, dirty = network(), network()
    for weight in dirty.parameters():
        weight.grad = torch.full_like(weight, 100.0)
    step(clean, [batch])
    step(dirty, [batch])
    assert torch.equal(weights(clean), weights(dirty))


def test_clipping_bounds_the_step(network, batch):
    model = network()
    before = weights(model)
    step(model, [batch], clip_norm=0.01, rate=1.0)
    assert torch.allclose((weights(model) - before).norm(), torch.tensor(0.01), rtol=1e-3)


@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_a_scaler_changes_nothing_but_the_scale(network, batch, clip_norm):
    plain, scaled = network(), network()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    step(plain, [batch], clip_norm=clip_norm)
    result = step(scaled, [batch], scaler=scaler, clip_norm=clip_norm)
    assert result.scaled
    assert torch.allclose(weights(plain), weights(scaled), atol=1e-6)


def test_a_scaler_skips_an_overflow(network):
    model = network()
    before = weights(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, float("inf"))
    scaler.scale(torch.tensor(0.0))  # it makes its scale at the first use
    update(optimizer, scaler, None)
    assert torch.equal(weights(model), before)
    assert scaler.get_scale() == 512


def test_eval_step_leaves_the_network_alone(network, batch):
    model = network().eval()
    buffers = [buffer.clone() for buffer in model.buffers()]
    logits = eval_step(model, batch[0], lambda: torch.autocast("cpu", torch.bfloat16))
    assert logits.dtype == torch.float32 and logits.shape == (17, 4)
    assert not logits.requires_grad
    assert all(map(torch.equal, buffers, model.buffers()))


def test_a_tensor_cached_in_evaluation_can_be_trained_with():
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.table = None

        def forward(self, images):
            if self.table is None:
                self.table = torch.ones_like(images[:, :, 0, 0])
            return self.linear(images.mean((2, 3)) * self.table)

    model = Caching()
    batch = torch.randn(2, 3, 4, 4), torch.tensor([0, 1])
    eval_step(model, batch[0], nullcontext)
    assert torch.isfinite(step(model, [batch]).loss)


def test_norm_buffers_are_batch_norms(network):
    norm = nn.BatchNorm2d(4)
    norm.register_buffer("table", torch.zeros(3))
    assert len(norm_buffers(norm)) == 3
    assert norm_buffers(network()) == []


def test_statistics_can_be_put_back(network, batch):
    model = network()
    keeper = NormKeeper(model)
    model(batch[0])
    keeper.keep()
    kept = [buffer.clone() for buffer in model.buffers()]
    model(batch[0])
    assert not torch.equal(model[1].running_mean, kept[0])
    keeper.put_back()
    assert all(map(torch.equal, kept, model.buffers()))


@pytest.mark.parametrize("sound", [True, False])
def test_statistics_are_put_back_after_an_overflow_only(network, batch, sound):
    model = network()
    keeper = NormKeeper(model)
    keeper.keep()
    before = [buffer.clone() for buffer in model.buffers()]
    model(batch[0] if sound else batch[0] * torch.inf)
    after = [buffer.clone() for buffer in model.buffers()]
    keeper.put_back_unless(torch.tensor(sound))
    assert all(map(torch.equal, after if sound else before, model.buffers()))


def test_statistics_that_a_step_leaves_alone_are_not_copied(network, batch, monkeypatch):
    """As long as their modules are in evaluation mode, which may change between two steps."""
    model = nn.Sequential(network(), nn.BatchNorm1d(3))
    first, last = model[0][1], model[1]
    keeper, copied = NormKeeper(model), []
    first.eval()
    monkeypatch.setattr(
        "lacewing.engine.step.copy_each",
        lambda pairs: copied.append([target for target, _ in pairs]),
    )
    keeper.keep()
    keeper.put_back()
    assert copied[1][0] is last.running_mean
    assert [len(targets) for targets in copied] == [3, 3]
    first.train()
    keeper.keep()
    assert len(copied[2]) == 6


def test_what_was_not_kept_is_not_put_back(network, batch):
    """Its copy is of another time."""
    model = network()
    norm = model[1]
    keeper = NormKeeper(model)
    model(batch[0])
    norm.eval()
    keeper.keep()
    seen = norm.running_mean.clone()
    keeper.put_back()
    assert torch.equal(norm.running_mean, seen)


@pytest.mark.parametrize("kinds", [("cpu",), ()])
def test_each_is_copied_whatever_its_type(monkeypatch, kinds):
    monkeypatch.setattr("lacewing.engine.step.HAVE_FOREACH", kinds)
    sources = [torch.tensor(3), torch.rand(2), torch.rand(3, 2), torch.tensor(5)]
    targets = [torch.zeros_like(source) for source in sources]
    copy_each(zip(targets, sources, strict=True))
    assert all(map(torch.equal, targets, sources))
    copy_each([])


def test_forward_only_passes_search_for_no_algorithms(monkeypatch, network, batch):
    """The setting of training stays as it was, also after a pass that fails."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    model, seen = network(), []
    model.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.benchmark))
    eval_step(model.eval(), batch[0], nullcontext)
    with pytest.raises(RuntimeError):
        eval_step(model, batch[0][:, :1], nullcontext)
    assert seen == [False, False]
    assert torch.backends.cudnn.benchmark
