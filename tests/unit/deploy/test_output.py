"""Paths in, CSV and JSON out."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lacewing.deploy.output import (
    check_format,
    csv_text,
    expand,
    json_text,
    plain,
    table_rows,
    write_output,
)
from lacewing.deploy.prediction import Prediction
from lacewing.errors import ConfigError, DataError

GOOD = Prediction(Path("a,b.jpg"), ("ant", 'bee "x"', "fly"), (0.5, 0.3, 0.2))
BAD = Prediction(Path("c.jpg"), error="damaged")


def test_folders_are_walked_and_files_come_once(photo, tmp_path):
    first, second = photo("red", "in/b.jpg"), photo("red", "in/deep/a.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "in" / ".hidden.jpg").write_text("no image")
    assert expand([str(second), str(tmp_path / "in")]) == [second, first]


def test_patterns_are_expanded(photo, tmp_path):
    red, blue = photo("red"), photo("blue")
    deep = photo("green", "x/y/green.jpg")
    assert expand([str(tmp_path / "*.jpg")]) == [blue, red]
    assert expand([str(tmp_path / "**" / "gr*.jpg")]) == [deep]


def test_a_name_that_looks_like_a_pattern_is_the_file(photo):
    odd = photo("red", "photo[1].jpg")
    photo("red", "photo1.jpg")
    assert expand([str(odd)]) == [odd]


def test_nothing_found_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no file or folder"):
        expand([str(tmp_path / "gone.jpg")])
    with pytest.raises(DataError, match="There is no image in"):
        expand([str(tmp_path / "*.jpg"), str(tmp_path)])
    with pytest.raises(DataError, match="can't be reached: File name too long"):
        expand(["x" * 5000])


def test_csv_has_a_row_per_file_and_a_column_per_rank():
    rows = list(csv.reader(io.StringIO(csv_text([GOOD, BAD]))))
    assert rows[0] == [
        *("path", "class", "confidence", "class_2", "confidence_2"),
        *("class_3", "confidence_3", "none_of_these", "error"),
    ]
    named = ["ant", "0.500000", 'bee "x"', "0.300000", "fly", "0.200000"]
    assert rows[1] == ["a,b.jpg", *named, "false", ""]
    assert rows[2] == ["c.jpg", "", "", "", "", "", "", "", "damaged"]


def test_csv_of_nothing_but_errors():
    assert csv_text([BAD]) == ("path,class,confidence,none_of_these,error\nc.jpg,,,,damaged\n")


def test_json_is_a_list_of_objects():
    good, bad = json.loads(json_text([GOOD, BAD]))
    assert good["class"] == "ant"
    assert good["confidence"] == 0.5
    assert good["top"][1] == {"class": 'bee "x"', "probability": 0.3}
    assert good["error"] is None
    assert good["none_of_these"] is False
    assert bad == {"path": "c.jpg", "class": None, "confidence": None, "none_of_these": None,
                   "top": [], "error": "damaged"}  # fmt: skip


def test_parquet_has_the_fields_of_json(tmp_path):
    odd = replace(GOOD, path=Path("\udce9.jpg"), none_of_these=True)
    write_output(tmp_path / "p.parquet", [GOOD, BAD, odd])
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert {**rows[0], "top": ()} == {**plain(GOOD), "top": ()}
    assert [one["class"] for one in rows[0]["top"]] == list(GOOD.classes)
    assert rows[1] == plain(BAD)
    assert (rows[2]["path"], rows[2]["none_of_these"]) == ("\\udce9.jpg", True)
    write_output(tmp_path / "empty.parquet", [])
    assert pq.read_table(tmp_path / "empty.parquet").num_rows == 0


@pytest.mark.parametrize("address", ["https://a.b/c.jpg", "HTTP://a.b/*.jpg", "s3://a/b.png"])
def test_an_address_is_refused(address):
    with pytest.raises(DataError, match="fetches no images from a network: download it first"):
        expand([address])


def test_the_suffix_chooses_the_format(tmp_path):
    write_output(tmp_path / "p.JSON", [GOOD])
    write_output(tmp_path / "p.csv", [GOOD])
    assert json.loads((tmp_path / "p.JSON").read_text())[0]["class"] == "ant"
    assert (tmp_path / "p.csv").read_text().startswith("path,")
    check_format(Path("p.json"))
    with pytest.raises(
        ConfigError, match=r"must end in one of \.csv, \.json, \.parquet, but it was p\.txt"
    ):
        check_format(Path("p.txt"))


def test_the_screen_shows_the_best_three():
    assert table_rows([GOOD, BAD]) == [
        ("a,b.jpg", "ant", "50.0%", 'bee "x" 30.0%, fly 20.0%'),
        ("c.jpg", "error: damaged", "", ""),
    ]
