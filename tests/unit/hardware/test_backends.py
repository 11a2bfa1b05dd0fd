"""Addresses, and what each backend knows of its device's traps."""

import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lacewing.errors import DeviceError
from lacewing.hardware import cpu, mps, switches, xpu
from lacewing.hardware.backend import Memory, NotHere
from lacewing.hardware.backends import BACKENDS, backend_for, parse_address
from lacewing.hardware.cpu import CpuBackend
from lacewing.hardware.cuda import CudaBackend
from lacewing.hardware.directml import DirectMLBackend
from lacewing.hardware.fake import FakeBackend, fake_backends
from lacewing.hardware.machine import Device, Limit
from lacewing.hardware.mps import MpsBackend
from lacewing.hardware.xpu import XpuBackend
from lacewing.values import GIB


@given(kind=st.sampled_from(["cuda", "xpu", "directml"]), index=st.integers(0, 64))
def test_an_address_is_read_as_it_is_written(kind, index):
    device = Device(name="", kind=kind, index=index)
    assert parse_address(device.address) == (kind, index)


@pytest.mark.parametrize("address", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cpu:²"])
def test_a_bad_address_is_one_sentence(address):
    with pytest.raises(DeviceError):
        parse_address(address)


def test_backend_for_gives_the_tables_backend():
    fake = FakeBackend("cuda")
    assert backend_for("cuda:2", fake_backends(fake)) == (fake, 2)
    with pytest.raises(DeviceError, match="no mps here"):
        backend_for("mps", fake_backends(fake))


def card(monkeypatch, capability, *, bf16, rocm=None):
    """A CUDA card that says these things of itself."""
    monkeypatch.setattr(torch.version, "hip", rocm)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)

    class Chosen:
        def __init__(self, index):
            pass

        __enter__ = __exit__ = lambda self, *error: None

    def is_supported(including_emulation=True):
        return including_emulation or bf16

    monkeypatch.setattr(torch.cuda, "device", Chosen)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    return CudaBackend().candidate_precisions(0)


def test_cuda_precisions_follow_the_cards_generation(monkeypatch):
    assert card(monkeypatch, (9, 0), bf16=True) == ("fp32", "tf32", "bf16", "fp16")
    assert card(monkeypatch, (7, 5), bf16=False) == ("fp32", "fp16")
    assert card(monkeypatch, (7, 5), bf16=True) == ("fp32", "fp16")
    assert card(monkeypatch, (5, 0), bf16=False) == ("fp32",)
    assert card(monkeypatch, (9, 4), bf16=True, rocm="6.2") == ("fp32", "bf16", "fp16")


def test_cuda_switches_follow_precision_and_determinism(monkeypatch):
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    saved = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    threads = torch.get_num_threads()
    try:
        CudaBackend().configure("bf16", threads, deterministic=False)
        assert (cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == (True, True, True)
        CudaBackend().configure("fp32", threads, deterministic=True)
        assert (cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark) == (False, False, False)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        CpuBackend().configure("fp32", threads, deterministic=False)
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = saved


@pytest.mark.parametrize("configured", ["fp32", "bf16"])
@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", True)])
def test_a_cuda_pass_has_its_own_precision(monkeypatch, configured, precision, tf32):
    """Whatever is configured: the fp32 judging of a bf16 run is without TF32."""
    monkeypatch.setattr(switches, "autocast", lambda *_: nullcontext())  # warns without a card
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    saved = cuda.allow_tf32, cudnn.allow_tf32
    try:
        cuda.allow_tf32 = cudnn.allow_tf32 = configured == "bf16"
        with pytest.raises(ZeroDivisionError), CudaBackend().autocast(precision):
            inside = cuda.allow_tf32, cudnn.allow_tf32
            raise ZeroDivisionError
        assert inside == (tf32, tf32)
        assert (cuda.allow_tf32, cudnn.allow_tf32) == (configured == "bf16",) * 2
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = saved


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        (CudaBackend(), "CUDA error: out of memory"),
        (CudaBackend(), "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        (
            CudaBackend(),
            "CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`",
        ),
        (CudaBackend(), "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        (CudaBackend(), "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        (CudaBackend(), "Unable to find an engine to execute this computation"),
        (CudaBackend(), "CUDA driver error: out of memory"),
        (CudaBackend(), "Triton Error [CUDA]: out of memory"),
        (CudaBackend(), "Triton Error [HIP]:  Code: 2, Message: out of memory"),
        (CudaBackend(), "HIP error: out of memory"),
        (CudaBackend(), "HIP out of memory. Tried to allocate 2.00 GiB"),
        (XpuBackend(), "XPU out of memory. Tried to allocate 20.00 GiB"),
        (XpuBackend(), "level_zero backend failed: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"),
        (MpsBackend(), "MPS backend out of memory (MPS allocated: 10 GB)"),
        (
            DirectMLBackend(),
            "Could not allocate tensor with 8 bytes. There is not enough GPU video memory!",
        ),
        (CpuBackend(), "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"),
        (CpuBackend(), "DefaultCPUAllocator: not enough memory: you tried to allocate"),
    ],
)
def test_out_of_memory_is_known_by_its_text(backend, text):
    assert backend.is_out_of_memory(RuntimeError(text))
    assert not backend.is_out_of_memory(ValueError(text))
    assert not backend.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.parametrize("kind", list(BACKENDS))
def test_torchs_own_error_is_out_of_memory_on_every_kind(kind):
    own = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError
    assert BACKENDS[kind]().is_out_of_memory(own("full"))


def test_a_real_allocation_that_fails_is_known():
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**50)
    assert CpuBackend().is_out_of_memory(caught.value)
    assert CpuBackend().is_out_of_memory(MemoryError())
    assert CpuBackend().is_out_of_memory(OSError(12, "Cannot allocate memory"))


def test_bf16_is_a_candidate_on_cpus_that_have_it(monkeypatch):
    monkeypatch.setattr(cpu, "cpu_features", lambda: ("avx2",))
    assert CpuBackend().candidate_precisions(0) == ("fp32",)
    monkeypatch.setattr(cpu, "cpu_features", lambda: ("avx2", "avx512f", "amx_bf16"))
    assert CpuBackend().candidate_precisions(0) == ("fp32", "bf16")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux only")
def test_the_cpus_peak_follows_an_allocation_and_can_be_reset():
    backend = CpuBackend()
    backend.empty_cache()  # what is kept from before would be taken first
    if not cpu.reset_peak_resident():
        pytest.skip("this kernel does not reset the peak")
    before = backend.peak_bytes(0)
    block = torch.ones(64 * 2**20, dtype=torch.uint8)
    raised = backend.peak_bytes(0)
    del block
    backend.empty_cache()
    backend.reset_peak(0)
    assert raised >= before + 48 * 2**20
    assert backend.peak_bytes(0) < raised


def test_the_peak_is_told_without_proc(tmp_path):
    assert cpu.peak_resident_bytes(tmp_path) > 10**7
    assert not cpu.reset_peak_resident(tmp_path)


def test_bf16_on_mps_needs_macos_14(monkeypatch):
    monkeypatch.setattr(mps.platform, "mac_ver", lambda: ("13.6", ("", "", ""), "arm64"))
    assert MpsBackend().candidate_precisions(0) == ("fp32", "fp16")
    monkeypatch.setattr(mps.platform, "mac_ver", lambda: ("14.0", ("", "", ""), "arm64"))
    assert MpsBackend().candidate_precisions(0) == ("fp32", "bf16", "fp16")


def test_mps_memory_is_the_recommended_working_set(monkeypatch):
    told = SimpleNamespace(
        recommended_max_memory=lambda: 1000, current_allocated_memory=lambda: 400
    )
    monkeypatch.setattr(torch, "mps", told)
    assert MpsBackend().memory(0) == Memory(1000, 600, is_ram=True)
    monkeypatch.setattr(mps, "free_memory", lambda: 50)
    assert MpsBackend().memory(0) == Memory(1000, 50, is_ram=True)


def test_an_integrated_intel_gpu_has_the_rams_memory(monkeypatch):
    def refuse(index):
        raise RuntimeError("The device doesn't support querying the available free memory.")

    monkeypatch.setattr(torch, "xpu", SimpleNamespace(mem_get_info=refuse))
    memory = XpuBackend().memory(0)
    assert memory.total_bytes == CpuBackend().memory(0).total_bytes
    assert memory.free_bytes is not None
    assert memory.is_ram


@pytest.fixture
def old_xpu(monkeypatch):
    """`old_xpu(total_bytes)`: torch 2.4's functions, in a machine with 32 GiB of RAM."""
    monkeypatch.setattr(xpu.psutil, "virtual_memory", lambda: SimpleNamespace(total=32 * GIB))
    monkeypatch.setattr(xpu, "usable_memory", lambda: Limit(value=24 * GIB, source="cgroup"))
    monkeypatch.setattr(xpu, "free_memory", lambda: 20 * GIB)

    def lay(total):
        card = SimpleNamespace(total_memory=total)
        monkeypatch.setattr(torch, "xpu", SimpleNamespace(get_device_properties=lambda index: card))

    return lay


@pytest.mark.parametrize("total", [16 * GIB, 48 * GIB])
def test_a_cards_memory_that_cannot_be_asked_is_taken_as_free(old_xpu, total):
    old_xpu(total)
    assert XpuBackend().memory(0) == Memory(total, total), "the card's, not the RAM"


def test_an_integrated_gpus_memory_is_the_ram_with_an_old_torch_too(old_xpu):
    old_xpu(26 * GIB)
    assert XpuBackend().memory(0) == Memory(24 * GIB, 20 * GIB, is_ram=True)


def test_xpu_functions_that_an_old_torch_lacks_are_done_without(old_xpu):
    old_xpu(16 * GIB)
    backend = XpuBackend()
    backend.reset_peak(0)
    assert backend.peak_bytes(0) is None
    assert backend.limit_memory(0, 0.5) is False


def test_an_old_drivers_warning_is_the_reason(monkeypatch):
    import warnings

    def unavailable():
        warnings.warn("CUDA initialization: The NVIDIA driver is too old", UserWarning, 1)
        return False

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    with pytest.raises(NotHere, match="driver is too old"):
        CudaBackend().find()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('libd3d12.so: cannot open shared object file')", "libd3d12.so"),
        ("def is_available(): raise RuntimeError('Unknown error')", "RuntimeError: Unknown error"),
        ("def is_available(): return False\ndef device_count(): return 0", "no DirectX 12"),
    ],
)
def test_directml_survives_whatever_its_package_does(tmp_path, monkeypatch, source, reason):
    (tmp_path / "torch_directml.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(NotHere, match=reason):
        DirectMLBackend().find()


def test_directml_names_its_adapters(tmp_path, monkeypatch):
    (tmp_path / "torch_directml.py").write_text(
        "import torch\nis_available = lambda: True\ndevice_count = lambda: 2\n"
        "device_name = lambda i: f'Adapter {i}'\n"
        "device = lambda i: torch.device('privateuseone', i)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    backend = DirectMLBackend()
    try:
        assert backend.find() == ["Adapter 0", "Adapter 1"]
        assert backend.torch_device(1) == torch.device("privateuseone", 1)
    finally:
        sys.modules.pop("torch_directml", None)
