"""torch's device modules are named in hardware/ only: elsewhere, devices are not told apart."""

import ast
from pathlib import Path

import lacewing.hardware.machine

SOURCE = Path(lacewing.hardware.machine.__file__).parents[1]
MODULES = (
    "torch.cuda",
    "torch.mps",
    "torch.xpu",
    "torch_directml",
    "torch.backends.cuda",
    "torch.backends.cudnn",
    "torch.backends.mps",
)


def dotted(node: ast.expr) -> str:
    """`torch.backends.cudnn` of an attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def named(code: str) -> set[str]:
    """The modules of the list that a source text names."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        names = []
        if isinstance(node, ast.Attribute | ast.Name):
            names = [dotted(node)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {m for m in MODULES for name in names if name == m or name.startswith(f"{m}.")}
    return found


def test_the_search_finds_them_however_they_are_written():
    assert named("import torch\ntorch.cuda.empty_cache()") == {"torch.cuda"}
    assert named("from torch import mps") == {"torch.mps"}
    assert named("from torch.backends.cudnn import benchmark") == {"torch.backends.cudnn"}
    assert named("import torch_directml") == {"torch_directml"}
    assert named("# torch.cuda\nx = 'torch.cuda'") == set()


def test_no_other_room_names_them():
    offenders = {
        str(file.relative_to(SOURCE)): sorted(modules)
        for file in SOURCE.rglob("*.py")
        if "hardware" not in file.relative_to(SOURCE).parts
        and (modules := named(file.read_text(encoding="utf-8")))
    }
    assert offenders == {}


def test_hardware_itself_is_seen_to_name_them():
    assert named((SOURCE / "hardware" / "cuda.py").read_text(encoding="utf-8")) >= {"torch.cuda"}
