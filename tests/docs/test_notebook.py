"""The notebook runs from top to bottom, in an empty folder and without the network."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "quickstart.ipynb"


def code_cells():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_it_is_kept_without_its_output():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)


@pytest.mark.slow
def test_it_runs_on_the_cpu(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names = {"__name__": "notebook"}
    for number, source in enumerate(code_cells()):
        exec(compile(source, f"cell {number}", "exec"), names)
    assert names["run"].finished
    assert names["run"].accuracy > 0.7
    assert (names["exported"].folder / "README.md").is_file()
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
