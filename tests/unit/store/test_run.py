"""Lines of JSON: whole, or passed over."""

import pytest

from lacewing.store.run import append_line, read_lines


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
