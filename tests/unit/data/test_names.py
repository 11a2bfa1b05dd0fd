"""The label traps: counting from 0 or 1, numbers as text, one name for two classes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacewing.data.names import are_numbers, names_by_key, order_classes, read_classes
from lacewing.data.open import open_images
from lacewing.errors import DataError


def test_numbers_are_sorted_as_numbers_and_stay_as_ids():
    classes = order_classes({"0", "1", "10", "100", "2", "11"}, {})
    assert classes.ids == classes.names == ("0", "1", "2", "10", "11", "100")


def test_a_name_of_two_classes_gets_their_ids():
    names = {"44": "alfalfa weevil", "45": "flax budworm", "56": "alfalfa weevil"}
    classes = order_classes({"56", "44", "45"}, names)
    assert classes.names == ("alfalfa weevil (44)", "flax budworm", "alfalfa weevil (56)")
    assert classes.ids == ("44", "45", "56")
    assert "'alfalfa weevil'" in classes.notes[0]


def test_ip102_with_a_duplicated_name(tmp_path, ip102):
    names = [f"pest {number}" for number in range(102)]
    names[44] = names[56] = "alfalfa weevil"
    index = open_images(str(ip102(tmp_path / "ip102_v1.1", classes=102, per=1, names=names)))
    assert len(index.classes) == len(set(index.classes)) == 102
    assert index.classes[44] == "alfalfa weevil (44)" and index.class_ids[44] == "44"
    assert index.classes[56] == "alfalfa weevil (56)"
    assert index.classes[101] == "pest 101"
    assert any("alfalfa weevil" in note for note in index.notes)
    assert any("counts from 1" in note for note in index.notes)


def test_ids_that_repeat_are_part_of_the_name():
    assert order_classes({"1-ants", "1-bees"}, {}).names == ("1-ants", "1-bees")


def test_names_are_sorted_naturally():
    assert order_classes({"b10", "B9", "a"}, {}).names == ("a", "B9", "b10")


@pytest.mark.parametrize(
    ("text", "keys", "expected", "noted"),
    [
        ("1 a\n2 b\n3 c\n", {0, 1, 2}, {"0": "a", "1": "b", "2": "c"}, True),
        ("1 a\n2 b\n3 c\n", {1, 2, 3}, {"1": "a", "2": "b", "3": "c"}, False),
        ("0 a\n1 b\n2 c\n", {0, 1, 2}, {"0": "a", "1": "b", "2": "c"}, False),
        ("0 a\n1 b\n2 c\n", {1, 2, 3}, {"1": "a", "2": "b", "3": "c"}, True),
        ("a\nb\nc\n", {0, 1, 2}, {"0": "a", "1": "b", "2": "c"}, False),
        ("a\nb\nc\n", {1, 2, 3}, {"1": "a", "2": "b", "3": "c"}, True),
        ("a\nb\nc\n", {1, 2}, {"0": "a", "1": "b", "2": "c"}, True),
        ("0 a\n1 b\n2 c\n", {1, 2}, {"0": "a", "1": "b", "2": "c"}, True),
        ("1 a\n2 b\n3 c\n", {1, 2}, {"1": "a", "2": "b", "3": "c"}, False),
        ("1   rice leaf roller \r\n\r\n2\tpaddy stem: maggot", {0, 1},
         {"0": "rice leaf roller", "1": "paddy stem: maggot"}, True),
    ],
)  # fmt: skip
def test_classes_files(tmp_path, text, keys, expected, noted):
    (tmp_path / "classes.txt").write_text(text, newline="")
    names, notes = names_by_key(tmp_path / "classes.txt", keys)
    assert names == expected
    assert bool(notes) == noted


def test_ip102_without_its_first_and_last_class_is_taken_to_count_from_0(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(f"{n} pest {n}" for n in range(1, 103)))
    names, notes = names_by_key(tmp_path / "classes.txt", {5, 6, 7})
    assert names["5"] == "pest 6" and "taken to count from 0" in notes[0]


def test_names_that_may_be_off_by_one_are_said(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(f"pest {n}" for n in range(10)))
    names, notes = names_by_key(tmp_path / "classes.txt", set(range(1, 10)))
    assert names["1"] == "pest 1"
    assert notes == (
        "classes.txt counts from 0 and no image has the label 0: if the labels count from 1, every "
        "class has the next one's name, and lines like `1 pest 0` mend it.",
    )


def test_a_number_without_a_name_is_said():
    classes = order_classes({"0", "1"}, {"0": "ants"})
    assert classes.names == ("ants", "1")
    assert "no name for 1" in classes.notes[0]


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("1 a\n1 b\n", "line 2: the number")])
def test_wrong_classes_file(tmp_path, text, said):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        read_classes(tmp_path / "classes.txt")


@settings(deadline=None)
@given(st.sets(st.text(min_size=1, max_size=6), min_size=1, max_size=12))
def test_any_keys_are_ordered_each_once(keys):
    classes = order_classes(keys, {})
    assert set(classes.keys) == keys
    assert len(classes.names) == len(keys)
    if not are_numbers(keys):
        assert len(set(classes.names)) == len(keys)
