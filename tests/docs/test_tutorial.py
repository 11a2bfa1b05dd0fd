"""The five minutes of the documentation, command by command, as a newcomer types them."""

import shlex
from pathlib import Path

import pytest

from lacewing.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BEYOND = ("serve", "train --data photos")
"""Runs until it is stopped (tests/behaviour/serve does that); needs the reader's own images."""


def commands():
    blocks = PAGE.read_text(encoding="utf-8").split("```")[1::2]
    lines = [line for block in blocks for line in block.strip().splitlines()]
    typed = [line.removeprefix("lacewing ") for line in lines if line.startswith("lacewing ")]
    return [line for line in typed if not line.startswith(BEYOND)]


@pytest.mark.slow
def test_every_command_of_the_tutorial_ends_well(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert len(commands()) == 6
    for line in commands():
        assert main(shlex.split(line)) == 0, f"lacewing {line}: {capsys.readouterr()}"
    made = [
        "runs/first/report.html",
        "runs/first/model.safetensors",
        "runs/first/exports/hub/README.md",
        "found.csv",
    ]
    assert [name for name in made if not (tmp_path / name).is_file()] == []
