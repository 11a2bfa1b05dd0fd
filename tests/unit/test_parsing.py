"""YAML and JSON of anybody: plain values within bounds, or ValueError."""

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lacewing.parsing import MOST_CHARACTERS, count_values, parse_json, parse_yaml

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2", r"not valid YAML \(line 1\)"),
        (BOMB, "its aliases stand for"),
        ("a: &a [*a]", "a value holds itself"),
        ("a: &a {b: *a}", "a value holds itself"),
        ("[" * 5000, "nested too deeply"),
        ('!!int ""', "not valid YAML"),
        ("!!bool perhaps", "not valid YAML"),
        ("!!timestamp soon", "not valid YAML"),
        ("day: 2024-99-99", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("? {a: 1}\n: 2", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("#" * (MOST_CHARACTERS + 1), "too long: it has 4,194,305 characters"),
    ],
    ids=lambda text: text[:30],
)
def test_yaml_that_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_yaml(text)


def test_aliases_are_fine_where_they_stand_for_little():
    assert parse_yaml("a: &a [1, 2]\nb: *a") == {"a": [1, 2], "b": [1, 2]}


@given(text=st.text(st.sampled_from("ab1:-[]{}&*!?|>'\"\n ,#%"), max_size=40))
def test_any_yaml_text(text):
    with contextlib.suppress(ValueError):
        value = parse_yaml(text)
        assert value == yaml.safe_load(text) or "nan" in repr(value)


def test_values_are_counted_as_often_as_they_stand_there():
    inner = [1, 2]
    assert count_values({"a": inner, "b": inner}, {}) == 9


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, b"\xff", "{", "9" * 5000])
def test_json_that_is_refused(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_json_is_read_as_ever():
    assert parse_json('{"a": [1, null, "é"]}') == json.loads('{"a": [1, null, "é"]}')
