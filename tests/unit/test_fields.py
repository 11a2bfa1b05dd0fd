"""Readers: each kind of value, from text and as it is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.errors import ConfigError
from lacewing.fields import (
    boolean,
    number,
    one_of,
    path,
    secret,
    switch_or_path,
    text,
    whole,
)


@pytest.mark.parametrize("value", ["0.5", 0.5, " 0.5 ", "5e-1", ".5"])
def test_a_number_from_text_or_a_number(value):
    assert number().check("dropout", value) == 0.5


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-inf", None, True, [1], "1,5", {}])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ConfigError, match="--weight-decay must be a number"):
        number().check("weight_decay", value)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        ({"at_least": 0}, 0, -1e-9),
        ({"above": 0}, 1e-9, 0),
        ({"below": 1}, 0.999, 1),
        ({"at_most": 1}, 1, 1.0001),
    ],
)
def test_a_number_keeps_its_bounds(bounds, inside, outside):
    assert number(**bounds).check("x", inside) == inside
    with pytest.raises(ConfigError, match=f"but it was {outside!r}"):
        number(**bounds).check("x", outside)


def test_both_bounds_are_told():
    with pytest.raises(ConfigError, match="must be a number at least 0 and below 1, but it was"):
        number(at_least=0, below=1).check("dropout", "1.5")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_survives_its_text(value):
    assert number().check("x", str(value)) == value


@given(st.integers(min_value=0, max_value=2**53))
def test_any_whole_number_survives_its_text(value):
    assert whole().check("x", str(value)) == value


@pytest.mark.parametrize(("value", "meant"), [("16", 16), (16.0, 16), ("1e2", 100), (0, 0)])
def test_a_whole_number(value, meant):
    result = whole().check("x", value)
    assert (result, type(result)) == (meant, int)


@pytest.mark.parametrize("value", ["1.5", 2.5, "nan", "inf", "1e400", "", True, None, [], -1])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ConfigError, match="must be a whole number of at least 0"):
        whole().check("x", value)


def test_a_whole_number_keeps_its_upper_bound():
    with pytest.raises(ConfigError, match="of at least 16 and at most 4096"):
        whole(at_least=16, at_most=4096).check("image_size", 5000)


@pytest.mark.parametrize("word", ["True", "yes", "1", "ON", "t", "y", True, 1])
def test_true(word):
    assert boolean().check("x", word) is True


@pytest.mark.parametrize("word", ["False", "no", "0", "Off", "f", "n", False, 0])
def test_false(word):
    assert boolean().check("x", word) is False


@pytest.mark.parametrize("word", ["maybe", "", None, 2])
def test_neither(word):
    with pytest.raises(ConfigError, match="must be True or False"):
        boolean().check("x", word)


def test_one_of_ignores_case_and_names_them_all():
    reader = one_of("none", "steplr", "expdecay")
    assert reader.check("scheduler", "StepLR") == "steplr"
    with pytest.raises(ConfigError, match=r"none, steplr, expdecay, but it was"):
        reader.check("scheduler", "setplr")


def test_a_bare_off_in_yaml_is_a_boolean_there():
    reader = one_of("off", "default")
    assert reader.check("compile", False) == "off"
    with pytest.raises(ConfigError):
        reader.check("compile", True)


@pytest.mark.parametrize("value", ["auto", "AUTO", None, "none"])
@pytest.mark.parametrize(
    "reader",
    [
        number(optional=True),
        whole(optional=True),
        text(optional=True),
        path(optional=True),
        boolean(optional=True),
        one_of("fp32", optional=True),
    ],
)
def test_not_asked(reader, value):
    assert reader.check("x", value) is None


def test_text_is_stripped_and_not_empty():
    assert text().check("name", "  a b ") == "a b"
    with pytest.raises(ConfigError, match="must not be empty"):
        text().check("name", "  ")


def test_a_path_has_its_home_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert path().check("output", "~/runs") == tmp_path / "runs"
    assert switch_or_path().check("load_model", "~/runs") == tmp_path / "runs"


@pytest.mark.parametrize("value", ["", "  ", "a\0b"])
def test_what_is_no_path_is_refused(value):
    with pytest.raises(ConfigError, match="must be a path"):
        path().check("output", value)


def test_a_switch_or_path():
    assert switch_or_path().check("load_model", "yes") is True
    assert switch_or_path().check("load_model", False) is False
    assert switch_or_path().check("load_model", Path("runs/a")) == Path("runs/a")


@pytest.mark.parametrize("word", ["auto", "none", "a+b&c%20", "~"])
def test_a_secret_is_taken_as_it_is(word):
    assert secret().check("token", word) == word
    assert secret().check("token", None) is None


@pytest.mark.parametrize("word", ["", "ä", "a b", "a\nb"])
def test_a_secret_that_no_header_carries_is_refused(word):
    with pytest.raises(ConfigError, match="letters, digits and signs of ASCII"):
        secret().check("token", word)
