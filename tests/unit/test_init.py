"""The public names of the package."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lacewing

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_public_names_are_these():
    assert lacewing.__all__ == sorted(lacewing.__all__)
    assert lacewing.__all__ == ["__version__", "load", "plan", "train"]
    assert dir(lacewing) == lacewing.__all__


def test_every_public_name_is_there_and_no_other():
    for name in lacewing.__all__:
        assert getattr(lacewing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = lacewing.trian


def test_the_version_is_the_projects():
    assert lacewing.__version__ == tomllib.loads(PROJECT.read_text())["project"]["version"]


def test_importing_it_imports_no_torch():
    code = "import lacewing, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
