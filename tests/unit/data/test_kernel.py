"""The Triton kernels: right where they are interpreted, and code that GPUs can run."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")


def test_interpreted_they_make_the_pixels_of_tensor_operations():
    tests = Path(__file__).with_name("kernel_pixels.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout


@pytest.mark.skipif(
    tuple(map(int, triton.__version__.split(".")[:2])) < (3, 3),
    reason="its compiler is called another way",
)
@pytest.mark.parametrize(
    ("kind", "architecture", "lanes", "made"),
    [("cuda", 75, 32, "cubin"), ("cuda", 90, 32, "cubin"), ("hip", "gfx942", 64, "hsaco")],
)
def test_compilers_of_gpus_take_them(monkeypatch, tmp_path, kind, architecture, lanes, made):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    code = importlib.import_module("lacewing.data.triton_code")
    kinds = {"out": "*fp32", "sums": "*fp32", "jitter": "*fp32", "size": "i32"}
    sampled = {"flat": "*u8", "facts": "*i64", "steps": "*i32"} | kinds
    toned = kinds | {"tiles": "i32"}
    sides = {"PIXELS": 512}
    for function, types, sizes in (
        (code.sample, sampled, sides),
        (code.tone, toned, sides | {"TILES": 64}),
    ):
        # in the order of the function's own parameters
        signature = {name: types.get(name, "constexpr") for name in function.arg_names}
        source = ASTSource(fn=function, signature=signature, constexprs=sizes)
        compiled = triton.compile(
            source,
            target=GPUTarget(kind, architecture, lanes),
            options={"enable_fp_fusion": False},
        )
        assert compiled.asm[made]
        if kind == "cuda":
            assert "fma.rn.f32" not in compiled.asm["ptx"]
