"""Lists, tables and class files: whatever stands in them, a reader reads it or says where not."""

import contextlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lacewing.data.csv_table import find_columns, read_csv
from lacewing.data.lists import LINE, read_list, tidy_path
from lacewing.data.names import read_classes
from lacewing.data.open import open_images
from lacewing.data.text import read_text
from lacewing.errors import DataError

likely = st.lists(
    st.sampled_from(
        [b"a.jpg", b" 0", b"\n", b"\r\n", b",", b";", b'"', b"path,label", b"train", b"\0", b"\xff",
         b"\xef\xbb\xbf", b"\xff\xfe", b"\t", b"9" * 20, "ä".encode(), b"../", b"\\", b"\x85"]
    ),
    max_size=20,
).map(b"".join)  # fmt: skip
content = st.one_of(st.binary(max_size=200), likely)
relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(content)
@example(b'path,label\n"' + b"x" * 200_000)
def test_readers_raise_nothing_but_data_errors(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    for read in (lambda: read_list(file, "train"), lambda: read_csv(file),
                 lambda: read_classes(file)):  # fmt: skip
        with contextlib.suppress(DataError):
            read()


@relaxed
@given(content, st.sampled_from(["train.txt", "train.csv", "labels.csv", "classes.txt"]))
def test_a_folder_with_any_file_beside_is_opened_or_refused(tmp_path, content, name):
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True, exist_ok=True)
    for other in root.glob("*.*"):
        other.unlink()
    (root / "images" / "a.jpg").write_bytes(b"no image")
    (root / name).write_bytes(content)
    with contextlib.suppress(DataError):
        open_images(str(root), cache_dir=tmp_path / "cache")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.from_regex(r"[a-z(][a-z0-9_ ()]{0,9}\.jpg", fullmatch=True),
                          st.integers(0, 101)), min_size=1, max_size=20))  # fmt: skip
def test_a_list_is_read_as_it_was_written(tmp_path_factory, rows):
    file = tmp_path_factory.mktemp("list") / "train.txt"
    file.write_text("".join(f"{name} {label}\n" for name, label in rows))
    entries = read_list(file, "train")
    assert [(entry.path, int(entry.key)) for entry in entries] == rows


def test_names_with_spaces_and_commas_between():
    assert LINE.match("ants (100).jpg 7").groups() == ("ants (100).jpg", "7")
    assert LINE.match("a.jpg,7").groups() == ("a.jpg", "7")


@pytest.mark.parametrize(
    ("text", "path"), [(".\\a\\b.jpg", "a/b.jpg"), ("./a.jpg", "a.jpg"), ("././/a.jpg", "a.jpg"),
                       ("/x/a.jpg", "/x/a.jpg"), (".hidden.jpg", ".hidden.jpg")],
)  # fmt: skip
def test_tidy_path(text, path):
    assert tidy_path(text) == path


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (["Image Path", "Class"], (0, 1, None)),
        (["split", "label", "file"], (2, 1, 0)),
        (["0.jpg", "ants"], None),
    ],
)
def test_headers(header, found):
    columns = find_columns(header)
    assert (columns and (columns.path, columns.label, columns.split)) == found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    (tmp_path / "a").write_bytes("Käfer\r\nMücke\r".encode(encoding))
    assert read_text(tmp_path / "a") == "Käfer\nMücke\n"


def test_a_table_with_a_line_break_in_quotes_names_the_right_line(tmp_path):
    (tmp_path / "t.csv").write_text('path,label\n"a\nb.jpg",ants\nc.jpg,\n')
    with pytest.raises(DataError, match="line 4: the label is missing"):
        read_csv(tmp_path / "t.csv")
