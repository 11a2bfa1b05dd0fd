"""The tier table, and a user's file that overrides it."""

from dataclasses import fields, replace

import pytest

from lacewing.errors import ConfigError
from lacewing.performance_config import READERS, TIERS, Tier, load_tiers


@pytest.fixture
def write(tmp_path):
    """Write a tier file."""

    def write_text(text):
        file = tmp_path / "tiers.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write_text


def test_the_table_holds_the_documented_bounds():
    shares = {name: tier.batch_share for name, tier in TIERS.items()}
    assert shares == {
        "high": (1.0, 1.0),
        "mid": (0.7, 0.7),
        "low": (0.3, 0.5),
        "directml": (0.3, 0.3),
        "cpu": (0.2, 0.4),
    }
    assert {name for name, tier in TIERS.items() if tier.compile} == TIERS.keys() - {"directml"}
    assert {tier.memory_share for name, tier in TIERS.items() if name != "cpu"} == {0.8}
    assert TIERS["cpu"].memory_share == 0.5
    assert TIERS["directml"].learning_rate_factor == 0.5


def test_every_value_can_be_read_and_the_table_is_readable_itself():
    assert set(READERS) == {field.name for field in fields(Tier)}
    for tier in TIERS.values():
        for name, reader in READERS.items():
            value = getattr(tier, name)
            plain = list(value) if isinstance(value, tuple) else value
            assert reader.read(plain) == value


def test_without_a_file_the_table_is_ours():
    assert load_tiers(None) is TIERS


def test_single_values_are_overridden(write):
    tiers = load_tiers(write("[low]\nbatch_share = 0.5\nimage_sizes = [160]\n[cpu]\nworkers = 0\n"))
    assert tiers["low"] == replace(TIERS["low"], batch_share=(0.5, 0.5), image_sizes=(160,))
    assert tiers["cpu"] == replace(TIERS["cpu"], workers=0)
    assert tiers["high"] == TIERS["high"]


def test_a_single_size_will_do(write):
    assert load_tiers(write("[mid]\nimage_sizes = 192"))["mid"].image_sizes == (192,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lo]\nworkers = 1", "unknown tier 'lo'; did you mean low"),
        ("[xyz]\nworkers = 1", "unknown tier 'xyz': the tiers are high, mid"),
        ("workers = 1", "unknown tier 'workers'"),
        ("[low]\nworker = 1", "worker: there is no such value; did you mean workers"),
        ("[low]\nbatch_share = [0.5, 0.3]", "batch_share must be two shares like"),
        ("[low]\nbatch_share = [0.5]", "batch_share must be two shares like"),
        ("[low]\nbatch_share = [0.1, 0.2, 0.3]", "batch_share must be two shares like"),
        ("[low]\nbatch_share = 0", "batch_share must be two shares like"),
        ("[low]\nimage_sizes = []", "image_sizes must be sizes in pixels"),
        ("[low]\nimage_sizes = [8]", "image_sizes must be sizes in pixels"),
        ("[low]\nmixed_precision = 'perhaps'", "mixed_precision must be True or False"),
        ("[low]\nmemory_share = 1.5", "memory_share must be a number above 0 and at most 1"),
        ("[low]\nlearning_rate_factor = nan", "learning_rate_factor must be a number above 0"),
        ("[low]\ndefault_batch = 0", "default_batch must be a whole number of at least 1"),
        ("[low]\nprefetch = 1.5", "prefetch must be a whole number"),
        ("[low", "can't be read"),
    ],
)
def test_what_is_no_tier_is_refused(write, text, words):
    file = write(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_tiers(file)
    assert str(file) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="There is no tier file"):
        load_tiers(tmp_path / "tiers.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        load_tiers(tmp_path)
