"""JSON files: easy to read and short; lines of JSON: whole, or passed over."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.store.run import append_line, laid_out, read_lines

KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=9,
)


@given(value=VALUES)
def test_what_is_laid_out_says_what_json_says(value):
    assert json.loads(laid_out(value)) == json.loads(json.dumps(value))


def test_a_matrix_has_a_line_per_row():
    expected = """\
{
  "matrix": [
    [1, 0, 3],
    [4, 5, 6]
  ],
  "names": ["ä", "b"],
  "none": {}
}"""
    value = {"matrix": ((1, 0, 3), [4, 5, 6]), "names": ["ä", "b"], "none": {}}
    assert laid_out(value) == expected


@pytest.mark.parametrize("cut", [1, 5, 9, 12])
def test_a_line_that_was_cut_off_spoils_only_itself(tmp_path, cut):
    file = tmp_path / "x.jsonl"
    append_line(file, {"n": 1})
    whole = file.stat().st_size
    append_line(file, {"m": "é" * 3})
    with file.open("rb+") as opened:
        opened.truncate(whole + cut)
    append_line(file, {"n": 3})
    assert list(read_lines(file)) == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize("text", ["\u2028 \x85 \x0b", "\udcff.jpg", "new\nline", "蝶 🦋"])
def test_any_text_comes_back(tmp_path, text):
    file = tmp_path / "x.jsonl"
    append_line(file, {"message": text})
    append_line(file, {"n": 2})
    assert list(read_lines(file)) == [{"message": text}, {"n": 2}]


def test_lines_that_are_no_objects_are_passed_over(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'5\n[1]\n{"a": 1}\n\xff\xfe\n')
    assert list(read_lines(file)) == [{"a": 1}]
    assert list(read_lines(tmp_path / "none.jsonl")) == []
