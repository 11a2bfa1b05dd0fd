"""Preparing a network: formats, and a compiler that works, fails early, or fails late."""

import pytest
import torch
from torch import nn

from lacewing.engine import prepare
from lacewing.engine.execution import Execution
from lacewing.engine.prepare import (
    CompiledModel,
    compile_model,
    prepare_model,
    to_format,
    training_mode,
)


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_weights_are_in_the_memory_format(network, memory_format):
    execution = Execution(device="cpu", memory_format=memory_format)
    model = prepare_model(network(), execution, torch.device("cpu"))
    assert model[0].weight.is_contiguous(memory_format=prepare.FORMATS[memory_format])


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_images_are_brought_into_the_memory_format(memory_format):
    images = torch.rand(2, 4, 4, 3).permute(0, 3, 1, 2)  # channels last in memory
    out = to_format(images, memory_format)
    assert torch.equal(out, images)
    assert out.is_contiguous(memory_format=prepare.FORMATS[memory_format])
    assert (out is images) == (memory_format == "channels_last")


def test_off_is_the_network_itself(network):
    model = network()
    assert compile_model(model, "off", pytest.fail) is model


class Compiled:
    """A stand-in for a compiled network: runs the network, but fails when told to."""

    def __init__(self, model, error=None, in_backward=False):
        self.model, self.error, self.in_backward, self.calls = model, error, in_backward, 0

    def __call__(self, images):
        self.calls += 1
        if self.error and not self.in_backward:
            raise self.error
        logits = self.model(images)
        if self.error and logits.requires_grad:
            logits.register_hook(self.fail)
        return logits

    def fail(self, gradient):
        raise self.error


def test_a_working_compiler_is_used_and_rehearsed_once_per_shape(network, batch):
    model = network()
    compiled = Compiled(model)
    wrapper = CompiledModel(model, compiled, pytest.fail).train()
    for images in (batch[0], batch[0], batch[0][:5]):
        wrapper(images)
    assert compiled.calls == 3 + 2
    wrapper.eval()(batch[0][:3])
    assert compiled.calls == 6


def test_a_rehearsal_leaves_no_trace(network, batch):
    plain, model = network(dropout=0.5), network(dropout=0.5)
    wrapper = CompiledModel(model, Compiled(model), pytest.fail).train()
    torch.manual_seed(3)
    expected = plain(batch[0])
    torch.manual_seed(3)
    logits = wrapper(batch[0])
    assert torch.equal(logits, expected)
    assert all(map(torch.equal, plain.buffers(), model.buffers()))
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("in_backward", [False, True])
def test_a_failing_compiler_is_said_once_and_left(network, batch, in_backward):
    plain, model, said = network(), network(), []
    compiled = Compiled(model, ValueError("no C++ compiler\nsecond line"), in_backward)
    wrapper = CompiledModel(model, compiled, said.append).train()
    for _ in range(2):
        assert torch.equal(wrapper(batch[0]), plain(batch[0]))
    assert said == ["torch.compile failed (ValueError: no C++ compiler): going on without it"]
    assert compiled.calls == 1
    assert all(map(torch.equal, plain.buffers(), model.buffers()))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory.")])
def test_an_exhausted_memory_is_passed_on(network, batch, error):
    model = network()
    compiled = Compiled(model, error)
    wrapper = CompiledModel(model, compiled, pytest.fail).train()
    with pytest.raises(type(error)):
        wrapper(batch[0])
    compiled.error = None
    wrapper(batch[0][:8])
    assert compiled.calls == 3  # it is still in use


def test_the_networks_own_error_is_not_the_compilers(network):
    model = network()
    wrapper = CompiledModel(model, Compiled(model), pytest.fail).train()
    with pytest.raises(RuntimeError, match="channels"):
        wrapper(torch.rand(2, 5, 8, 8))


def test_a_compiler_that_is_not_there_is_said_at_once(network, monkeypatch):
    def refuse(model, mode):
        raise RuntimeError("not supported on this Python")

    said, model = [], network()
    monkeypatch.setattr(torch, "compile", refuse)
    assert compile_model(model, "default", said.append) is model
    assert said == [
        "torch.compile failed (RuntimeError: not supported on this Python): going on without it"
    ]


def test_the_wrapper_shares_weights_and_modes(network):
    model = network()
    wrapper = CompiledModel(model, Compiled(model), pytest.fail)
    assert [id(p) for p in wrapper.parameters()] == [id(p) for p in model.parameters()]
    wrapper.eval()
    assert not model.training
    wrapper.train()
    assert model.training


def test_torchs_own_compiler_fits(network, batch):
    """With a backend that compiles nothing, so that no C++ compiler is needed."""
    torch._dynamo.reset()
    plain, model = network(), network()
    compiled = torch.compile(model, backend="aot_eager")
    wrapper = CompiledModel(model, compiled, pytest.fail).train()
    for _ in range(2):
        logits, expected = wrapper(batch[0]), plain(batch[0])
        assert torch.allclose(logits, expected, atol=1e-5)
        logits.sum().backward()
        expected.sum().backward()
    wrapper.eval(), plain.eval()
    assert torch.allclose(wrapper(batch[0]), plain(batch[0]), atol=1e-5)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-4)


def test_torchs_own_failure_is_caught(network, batch):
    torch._dynamo.reset()

    def broken(graph, inputs):
        raise NotImplementedError("no such operator")

    model, said = network(), []
    wrapper = CompiledModel(model, torch.compile(model, backend=broken), said.append).train()
    assert torch.equal(wrapper(batch[0]), network()(batch[0]))
    assert len(said) == 1 and "no such operator" in said[0]


def test_the_network_fails_after_a_failing_compiler(batch):
    model = nn.Sequential(nn.Conv2d(4, 1, 1))
    wrapper = CompiledModel(model, Compiled(model, ValueError("any")), pytest.fail).train()
    with pytest.raises(RuntimeError, match="channels"):
        wrapper(batch[0])


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_norms_keep_their_statistics_and_learn_their_scales(frozen):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    training_mode(model, frozen)
    before = model[1].running_mean.clone()
    model(torch.randn(4, 3, 5, 5) + 3).sum().backward()
    assert torch.equal(model[1].running_mean, before) == frozen
    assert model[1].weight.grad is not None
    assert model[2].training


@pytest.mark.parametrize(
    ("mode", "how"),
    [("cudagraphs", {"backend": "cudagraphs"}), ("reduce-overhead", {"mode": "reduce-overhead"})],
)
def test_a_mode_is_given_to_torch_as_what_it_is(monkeypatch, mode, how):
    given = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: given.append(options) or model)
    compile_model(torch.nn.Linear(2, 2), mode, pytest.fail)
    assert given == [how]
