"""Comparing run folders: matched by content, refused where the test images differ."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lacewing.config import TrainConfig, save_config
from lacewing.data.index import SCHEMA, ImageIndex
from lacewing.errors import RunError
from lacewing.results.compare import compare, csv_text, pair_rows, run_rows, write_comparison
from lacewing.results.metrics import figures
from lacewing.results.tables import write_predictions
from lacewing.store.run import Run, write_json

CLASSES = ("aphid", "moth", "thrips")


def index_of(paths: Sequence[str], contents: Sequence[str], labels: Sequence[int]) -> ImageIndex:
    count = len(paths)
    columns = [list(paths), list(labels), ["test"] * count, [8] * count, [8] * count, [9] * count]
    table = pa.table(dict(zip(SCHEMA.names, [*columns, list(contents), [0] * count], strict=True)),
                     schema=SCHEMA)  # fmt: skip
    return ImageIndex(Path("nowhere"), table, CLASSES, "set", "made up")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """`make("a", answers, contents)`: a run that was judged on one image of each content."""

    def run(
        name: str,
        answers: Sequence[int],
        contents: Sequence[str],
        labels: Sequence[int],
        folder: str = "images",
    ) -> Path:
        made = Run(tmp_path / name)
        made.folder.mkdir()
        save_config(TrainConfig(data="set", model=f"net-{name}", recipe="classic"), made.config)
        paths = [f"{folder}/{number}.jpg" for number in range(len(contents))]
        index_of(paths, contents, labels).save(made.index)
        shares = np.full((len(answers), 3), 0.1, np.float32)
        shares[np.arange(len(answers)), list(answers)] = 0.8
        judged = figures(shares, np.array(labels), CLASSES).as_dict()
        write_json(made.results, {"splits": {"test": judged}, "training": {"seconds": 75.0}})
        write_predictions(made.predictions, paths, np.array(labels), shares, CLASSES)
        return made.folder

    return run


LABELS = [0, 1, 2] * 20
CONTENTS = [f"{number:02x}" for number in range(60)]
WRONG = [(label + 1) % 3 for label in LABELS]
GOOD = LABELS[:50] + WRONG[50:]
FAIR = LABELS[:40] + WRONG[40:]


def test_images_are_matched_by_content_whatever_their_order_and_names(make):
    first = make("a", FAIR, CONTENTS, LABELS)
    other = make("b", GOOD[::-1], CONTENTS[::-1], LABELS[::-1], folder="elsewhere")
    found = compare([first, other])
    (pair,) = found.pairs
    assert (found.images, pair.only_first, pair.only_second) == (60, 0, 10)
    assert pair.accuracy == pytest.approx(10 / 60)
    assert found.adjusted[0] == pytest.approx(2**-10)


def test_equal_files_are_matched_in_turn(make):
    contents = ["same", "same", *CONTENTS[2:]]
    (pair,) = compare([make("a", FAIR, contents, LABELS), make("b", FAIR, contents, LABELS)]).pairs
    assert (pair.only_first, pair.only_second, pair.p_value) == (0, 0, 1.0)


def test_each_run_is_held_against_the_first_and_the_p_values_are_adjusted(make):
    runs = [make("a", FAIR, CONTENTS, LABELS), make("b", GOOD, CONTENTS, LABELS),
            make("c", WRONG, CONTENTS, LABELS)]  # fmt: skip
    found = compare(runs)
    rows = pair_rows(found)
    assert [row[-1] for row in rows] == ["better", "worse"]
    assert rows[0][1:3] == ("10 against 0", rows[0][2])
    assert rows[0][2].startswith("+16.7 points (+")
    assert found.adjusted[0] == pytest.approx(2**-10)
    assert rows[1][4] == "<0.001"


def test_the_table_says_what_each_run_is(make):
    (row, _) = run_rows(compare([make(name, GOOD, CONTENTS, LABELS) for name in "ab"]))
    assert row[1:6] == ("net-a", "-", "classic", "1 min 15 s", "-")
    assert row[6].startswith("83.3% (")


def test_other_test_images_are_refused(make):
    first = make("a", GOOD, CONTENTS, LABELS)
    other = make("b", GOOD, [*CONTENTS[:58], "x", "y"], LABELS)
    with pytest.raises(RunError, match="2 are not among the first run's 60, and 2 of those lack"):
        compare([first, other])
    relabelled = make("c", GOOD, CONTENTS, WRONG)
    with pytest.raises(RunError, match="60 of the test images in another class"):
        compare([first, relabelled])


def test_a_run_without_answers_is_refused(make):
    first = make("a", GOOD, CONTENTS, LABELS)
    (first / "predictions.csv").unlink()
    with pytest.raises(RunError, match=r"`lacewing evaluate .*/a` does that"):
        compare([first, make("b", GOOD, CONTENTS, LABELS)])


def test_figures_are_written_as_csv_and_json(make, tmp_path):
    found = compare([make("a", FAIR, CONTENTS, LABELS), make("b", GOOD, CONTENTS, LABELS)])
    first, second = csv.DictReader(io.StringIO(csv_text(found)))
    assert float(second["test_top1"]) == pytest.approx(50 / 60)
    assert float(second["test_top1_low"]) < 50 / 60 < float(second["test_top1_high"])
    assert (first["against_first_p_value"], second["against_first_only_second"]) == ("", "10")
    write_comparison(found, tmp_path / "found.json")
    again = json.loads((tmp_path / "found.json").read_text())
    assert again["runs"][0]["against_first"] is None
    assert again["runs"][1]["against_first"]["only_second"] == 10
