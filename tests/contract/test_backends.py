"""What every backend must do, real or fake: being in the table means being tested backend."""

import inspect
from contextlib import ExitStack

import pytest
import torch

from lacewing.hardware.backend import Backend, Capabilities, Memory, NotHere
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake import FakeBackend
from lacewing.hardware.machine import PRECISIONS

METHODS = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if name[0] != "_"]
ALL = {
    **{kind: make() for kind, make in BACKENDS.items()},
    **{f"fake {kind}": FakeBackend(kind) for kind in BACKENDS if kind != "cpu"},
}


def is_here(backend: Backend) -> bool:
    try:
        return bool(backend.find())
    except NotHere:
        return False


HERE = {name: backend for name, backend in ALL.items() if is_here(backend)}

each = pytest.mark.parametrize("backend", ALL.values(), ids=ALL.keys())
each_here = pytest.mark.parametrize("backend", HERE.values(), ids=HERE.keys())


def test_the_table_stands_in_the_order_of_preference():
    assert list(BACKENDS) == ["cuda", "xpu", "mps", "directml", "cpu"]
    assert all(make().kind == kind for kind, make in BACKENDS.items())


@each
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_protocols_arguments(backend, method):
    ours = inspect.signature(getattr(type(backend), method)).parameters
    assert list(ours) == list(inspect.signature(getattr(Backend, method)).parameters)


@each
def test_capabilities_are_sound(backend):
    capabilities = backend.capabilities
    assert isinstance(capabilities, Capabilities)
    assert capabilities.memory_formats[0] == "contiguous"
    assert set(capabilities.optimizer_kernels) <= {"foreach", "fused"}


@each
def test_it_is_here_with_names_or_says_why_not(backend):
    try:
        names = backend.find()
    except NotHere as error:
        assert str(error), "a backend that is not here gives its reason"
        assert not str(error).endswith(".")
    else:
        assert names
        assert all(isinstance(name, str) and name for name in names)


@each_here
def test_candidates_begin_with_fp32(backend):
    candidates = backend.candidate_precisions(0)
    assert candidates[0] == "fp32"
    assert set(candidates) <= set(PRECISIONS)


@each_here
def test_memory_is_told_and_sound(backend):
    memory = backend.memory(0)
    assert isinstance(memory, Memory)
    if memory.total_bytes is not None and memory.free_bytes is not None:
        assert 0 <= memory.free_bytes <= memory.total_bytes


@each_here
def test_details_are_text(backend):
    assert all(isinstance(value, str) for value in backend.details(0).values())


@each_here
def test_tensors_compute_on_its_device(backend):
    device = backend.torch_device(0)
    assert float((torch.ones(3, device=device) * 2).sum().cpu()) == 6
    backend.synchronize(0)


@each_here
def test_the_peak_is_not_below_nothing(backend):
    backend.reset_peak(0)
    backend.empty_cache()
    peak = backend.peak_bytes(0)
    assert peak is None or peak >= 0


@each
def test_an_ordinary_error_is_not_out_of_memory(backend):
    assert not backend.is_out_of_memory(RuntimeError("shapes do not match"))
    assert not backend.is_out_of_memory(ValueError("out of memory"))


@each_here
def test_autocast_gives_a_fresh_context_for_each_candidate(backend):
    for precision in backend.candidate_precisions(0):
        for _ in range(2):
            with ExitStack() as stack:
                stack.enter_context(backend.autocast(precision))


@each_here
def test_only_fp16_is_scaled(backend):
    assert all(backend.grad_scaler(precision) is None for precision in ("fp32", "tf32", "bf16"))
    if "fp16" in backend.candidate_precisions(0):
        assert isinstance(backend.grad_scaler("fp16"), torch.amp.GradScaler)


@each_here
def test_the_generators_state_can_be_put_back(backend):
    device = backend.torch_device(0)
    backend.seed(7)
    state = backend.rng_state(0)
    assert state.dtype == torch.uint8
    first = torch.rand(4, device=device).cpu()
    backend.set_rng_state(0, state)
    assert torch.equal(first, torch.rand(4, device=device).cpu())
    backend.seed(7)
    assert torch.equal(first, torch.rand(4, device=device).cpu())


@each_here
def test_configure_sets_the_threads(backend):
    before = torch.get_num_threads()
    try:
        backend.configure("fp32", threads=1, deterministic=False)
        assert torch.get_num_threads() == 1
    finally:
        backend.configure("fp32", threads=before, deterministic=False)
