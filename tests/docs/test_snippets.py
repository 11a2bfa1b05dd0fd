"""Every snippet of the documentation does what it shows."""

import pytest

from lacewing.config import TrainConfig, load_config
from lacewing.performance_config import TIERS, load_tiers


@pytest.mark.slow
def test_a_python_snippet_runs(snippet, desk):
    exec(compile(snippet, "snippet", "exec"), {"__name__": "snippet"})


def test_yaml_of_the_documentation_is_a_configuration(settings, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(settings, encoding="utf-8")
    assert TrainConfig(**load_config(file)) != TrainConfig()


def test_toml_of_the_documentation_changes_the_tiers(tier_file, tmp_path):
    file = tmp_path / "tiers.toml"
    file.write_text(tier_file, encoding="utf-8")
    assert load_tiers(file) != TIERS
