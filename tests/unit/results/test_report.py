import html
import json
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import Image

from lacewing.results.report import write_report
from lacewing.results.tables import read_predictions
from lacewing.store.run import append_line, read_json, write_json

CLASSES = ["grub", "mole cricket", "wireworm", "aphid", "thrips", "rice gall midge", "borer"]
HOSTILE = "<script>alert('x')</script>\"&{{7*7}}"
VOID = {"meta", "rect", "path", "br", "img"}


class Page(HTMLParser):
    """Checks that the tags nest, and collects attributes and what would be executed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.scripts = [], [], 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(run):
    return write_report(run).read_text(encoding="utf-8")


def ids(text):
    return set(re.findall(r'<(?:section|header) id="(\w+)"', text))


def test_the_answer_comes_first(make_run):
    run = make_run(CLASSES)
    text = read(run)
    judged = read_json(run.results)["splits"]["test"]
    verdict = f"{judged['top1']:.1%} of 400 test images are named right."
    assert 0 < text.index(verdict) < text.index("<section")
    low, high = judged["top1_interval"]
    assert f"lies between {low:.1%} and {high:.1%}" in text
    for name in ("f1", "recall", "precision", "geometric_mean", "calibration_error"):
        assert f">{judged[name]:.1%}<" in text
    assert f">{judged['loss']:.3f}<" in text


def test_every_part_is_there(make_run):
    text = read(make_run(CLASSES))
    assert ids(text) == {
        "answer", "curves", "classes", "confusion", "mistakes", "confidence", "plan", "machine",
        "data", "events", "repeat",
    }  # fmt: skip
    for words in (
        "23 min 20 s for 20 of 20 epochs; best at epoch 12",
        "88 images per second, at most 1.4 GiB of memory",
        "Of 8 decisions 1 asked for, 2 measured on this machine, 4 by rule, 1 a fallback.",
        "0.001 for 32 images, scaled to 16",
        "out of memory at step 12: micro-batch 16 -&gt; 8, same images per step",
        "3 files: 3 truncated",
        "10 s of 20 min 20 s (0.8%): the images keep up",
        "1 time the memory ran out.",
        "There are no pictures in this run's folder",
        "lacewing train --data IP102 --model resnet18 --epochs 20 --batch-size 16",
        "45,095 train, 7,508 val, 22,619 test; 7 classes",
    ):
        assert words in text
    assert Page(text).scripts == 2


@pytest.mark.parametrize("classes", [2, 3, 7, 25])
def test_renders_any_number_of_classes(make_run, classes):
    text = read(make_run([f"class {label}" for label in range(classes)]))
    Page(text)
    assert ("Top-3" in text, "Top-5" in text) == (classes > 3, classes > 5)
    body = text[text.index('<table class="sortable">') :]
    assert body[: body.index("</table>")].count("<tr>") == 1 + classes


def test_hostile_names_stay_text(make_run):
    run = make_run([HOSTILE, "</style>", *CLASSES[:4]])
    append_line(run.events, {"time": "now", "kind": HOSTILE, "message": HOSTILE})
    text = read(run)
    assert "<script>alert" not in text and "</style>" in text
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    page = Page(text)
    assert page.scripts == 2
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    data = re.search(r'id="matrix-data">(.*?)</script>', text, re.DOTALL).group(1)
    assert json.loads(data)["names"][0] == HOSTILE


def test_nothing_is_fetched(make_run):
    text = read(make_run(CLASSES))
    page = Page(text)
    links = [value for name, value in page.attributes if name in ("src", "href", "srcset", "data")]
    assert links and all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import|https?:", text)
    assert {link[1:] for link in links} <= ids(text)


def add_evidence(run):
    """A mistake with its pictures, one without, a pair and a doubtful label."""
    run.evidence_folder.mkdir()
    Image.new("RGB", (8, 8), (90, 160, 40)).save(run.evidence_folder / "test-3.jpg")
    mistake = {
        "path": "images/00003.jpg", "true": "grub", "predicted": HOSTILE, "confidence": 0.91,
        "own": 0.02, "picture": "test-3.jpg", "heat": "test-3.jpg",
    }  # fmt: skip
    pair = {
        "true": "grub", "taken_for": "aphid", "images": 3, "share": 0.25, "way_back": 1,
        "picture": "test-3.jpg", "beside": None,
    }  # fmt: skip
    suspect = {
        "path": "images/00003.jpg", "split": "val", "label": "grub", "suggested": "borer",
        "label_probability": 0.01, "suggested_probability": 0.98, "picture": "test-3.jpg",
    }  # fmt: skip
    evidence = {
        "split": "test",
        "mistakes": [
            {"kind": "confident", **mistake},
            {"kind": "surprising", **mistake, "picture": None, "heat": None},
        ],
        "pairs": [pair],
        "suspects": [suspect],
        "suspected": 17,
        "judged": 400,
    }
    write_json(run.evidence, evidence)


def test_pictures_lie_in_the_page_itself(make_run):
    run = make_run(CLASSES)
    add_evidence(run)
    text = read(run)
    page = Page(text)
    sources = [value for name, value in page.attributes if name == "src"]
    encoded = b64encode((run.evidence_folder / "test-3.jpg").read_bytes()).decode()
    assert sources == ["data:image/jpeg;base64," + encoded] * 4
    assert text.count("no picture<") == 2
    assert "1 of the images here and below could not be read" in text
    assert "17 of 400 images that the network was not trained on" in text
    assert "<strong>grub</strong> taken for <strong>aphid</strong>" in text
    assert "<script>alert" not in text
    assert ids(text) >= {"mistakes", "labels", "confusion"}


def test_pictures_that_are_gone_are_said_to_be(make_run):
    run = make_run(CLASSES)
    add_evidence(run)
    (run.evidence_folder / "test-3.jpg").unlink()
    text = read(run)
    assert "<img" not in text
    assert "4 of the images here and below could not be read" in text
    run.evidence.write_text("{")
    assert "There are no pictures in this run's folder" in read(run)


def test_heat_maps_for_which_there_was_no_memory_are_said_to_lack(make_run):
    run = make_run(CLASSES)
    add_evidence(run)
    assert "no memory for more heat maps" not in read(run)
    write_json(run.evidence, read_json(run.evidence) | {"no_memory_for_heat": True})
    assert "no memory for more heat maps" in read(run)


def test_the_reliability_diagram_has_a_dot_per_bin(make_run):
    run = make_run(CLASSES)
    judged = read_json(run.results)["splits"]["test"]
    text = read(run)
    assert text.count('class="dot"') == len(judged["reliability"]) > 3
    assert f"confidence and accuracy differ by {judged['calibration_error']:.1%}" in text


def test_calibration_and_doubt_are_said(make_run):
    run = make_run(CLASSES)
    results = read_json(run.results)
    polish = {
        "temperature": 1.25, "calibration_error_before": 0.081, "calibration_error_after": 0.02,
    }  # fmt: skip
    write_json(run.results, {**results, "recipe": {"polish": polish}, "none_below": 0.4})
    rows = read_predictions(run.predictions)
    low = [row["correct"] for row in rows if float(row["confidence"]) < 0.4]
    text = read(run)
    assert "divided the scores by 1.25" in text and "from 8.1% to 2.0%" in text
    wrong = low.count("false") / len(low)
    assert f"{len(low)} of 400 answers lie below, {wrong:.0%} of them wrong." in text


def test_a_head_on_frozen_features_has_a_table_and_no_curves(make_run):
    run = make_run(CLASSES, "planned")
    row = {"epoch": 0, "stage": "features", "val_accuracy": 0.9, "best": True, "seconds": 30.0}
    append_line(run.metrics, row)
    tried = [
        {"strength": strength, "loss": loss, "accuracy": accuracy}
        for strength, loss, accuracy in ((1.0, 0.5, 0.8), (0.3, 0.4, 0.9), (0.1, 0.45, 0.85))
    ]
    features = {
        "images": 1200, "views": 2, "size": 256, "strength": 0.3, "tried": tried,
        "chosen_on": "200 validation images", "pass_seconds": 28.0,
    }  # fmt: skip
    write_json(run.results, {"recipe": {"features": features}, "training": {"epochs": 0}})
    text = read(run)
    Page(text)
    assert "head" in ids(text) and "curves" not in ids(text)
    assert "90.0% of the validation images are named right by a head on frozen features." in text
    assert "1,200 training images went through it twice" in text
    chosen = text[text.index('<tr class="chosen">') :]
    assert "0.3</td>" in chosen[: chosen.index("</tr>")]
    assert text.count("0.4500</td>") == 1
    assert "30 s for a head on frozen features" in text and "epochs; " not in text


def test_forecast_and_outcome_stand_side_by_side(make_run):
    run = make_run(CLASSES)
    results = read_json(run.results)
    results["training"] |= {
        "forecast_seconds": 100.0, "epochs_seconds": 120.0, "forecast_peak_bytes": 2**30,
        "peak_bytes": 2**29,
    }  # fmt: skip
    write_json(run.results, results)
    text = read(run)
    for cell in ("1 min 40 s", "2 min 0 s", "1.20", "1.0 GiB", "512.0 MiB", "0.50"):
        assert f'<td class="n">{cell}</td>' in text
    assert "Time with the judging" not in text
    results["training"] |= {"forecast_run_seconds": 110.0, "run_seconds": 165.0}
    write_json(run.results, results)
    text = read(run)
    row = next(line for line in text.splitlines() if "Time with the judging" in line)
    assert "1 min 50 s" in row and "2 min 45 s" in row and "1.50" in row
    assert "with the judging 1 min 50 s, 2 min 45 s taken" in text


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"kind": "micro-batch", "field": "micro_batch"},
         "1 time the micro-batch was halved for want of memory"),
        ({"kind": "memory"}, "None: no memory ran out, nothing was adapted or resumed"),
        ({"kind": "loader", "field": "workers"}, "1 change of the decoding threads"),
        ({"kind": "moved"}, "1 plan made anew on another machine"),
    ],
)  # fmt: skip
def test_what_the_run_adapted_is_counted(make_run, event, words):
    run = make_run(CLASSES)
    run.events.unlink()
    append_line(run.events, {"time": "now", "message": "it did", **event})
    assert f"{words}." in read(run)


def test_what_was_tried_is_drawn(make_run):
    run = make_run(CLASSES)
    assert "What was tried" not in read(run)
    plan = yaml.safe_load(run.plan.read_text(encoding="utf-8"))
    plan["measured"] = {"candidates": [
        {"pass": "training", "way": HOSTILE, "images_per_second": 50.0, "note": ""},
        {"pass": "training", "way": "bf16", "images_per_second": 100.0, "note": "", "chosen": True},
        {"pass": "torch.compile", "way": "default", "note": "it did not work"},
    ]}  # fmt: skip
    run.plan.write_text(yaml.safe_dump(plan), encoding="utf-8")
    text = read(run)
    Page(text)
    assert text.count('class="candidate"') == text.count('class="candidate taken"') == 1
    assert ">it did not work</text>" in text and ">100.0</text>" in text


def test_each_decision_says_what_changes_it(make_run):
    text = read(make_run(CLASSES))
    row = next(line for line in text.splitlines() if "1.9 times as fast as fp32" in line)
    assert "<code>--precision</code>" in row


@pytest.mark.parametrize(
    ("losses", "chosen_on", "ended"),
    [
        ((0.5, 0.4, 0.45), "200 validation images", True),
        ((0.5, 0.4, 0.3), "200 validation images", False),
        ((0.5, 0.4, 0.45), "5 folds of the training images", False),
        ((0.5,), "200 validation images", False),
    ],
)
def test_that_weaker_heads_were_not_tried_is_said_where_it_is_so(
    make_run, losses, chosen_on, ended
):
    run = make_run(CLASSES, "planned")
    tried = [{"strength": 1 / (1 + n), "loss": loss, "accuracy": 0.8}
             for n, loss in enumerate(losses)]  # fmt: skip
    features = {"images": 9, "views": 1, "size": 256, "strength": 1.0, "tried": tried,
                "chosen_on": chosen_on, "pass_seconds": 28.0}  # fmt: skip
    write_json(run.results, {"recipe": {"features": features}, "training": {"epochs": 0}})
    assert ("the loss had risen again" in read(run)) is ended


def test_the_audit_of_the_index_is_told(make_run, tint_index):
    run = make_run(CLASSES)
    rows = np.concatenate([np.arange(len(tint_index)), [0]])
    twice = tint_index.take(rows)
    splits = twice.table.column("split").to_pylist()
    splits[0], splits[-1] = "train", "test"
    place = twice.table.schema.get_field_index("split")
    replace(twice, table=twice.table.set_column(place, "split", pa.array(splits))).save(run.index)
    text = read(run)
    assert "The same picture in two splits" in text
    assert "2 equal files lie in train and test." in text


@pytest.mark.parametrize(
    ("stage", "verdict", "done", "parts"),
    [
        ("training", "65.8% of the validation images are named right after epoch 5.", 5,
         {"answer", "curves", "plan", "machine", "data", "events", "repeat"}),
        ("planned", "No epoch is finished yet.", 0,
         {"answer", "plan", "machine", "data", "repeat"}),
    ],
)  # fmt: skip
def test_an_unfinished_run_shows_what_there_is(make_run, stage, verdict, done, parts):
    run = make_run(CLASSES, stage)
    text = read(run)
    Page(text)
    assert verdict in text and ids(text) == parts
    assert f"not finished: {done} of 20 epochs are done" in text
    assert f"<code>lacewing resume {run.folder}</code>" in text
    assert "has no results.json: the run did not get that far." in text
    # No command was recorded yet: it is made of the configuration.
    assert "lacewing train --data IP102 --model resnet18 --batch-size 16 --epochs 20" in text


@pytest.mark.parametrize("name", ["config", "machine", "dataset", "plan", "results", "predictions"])
def test_renders_without_any_one_file(make_run, name):
    run = make_run(CLASSES)
    file = getattr(run, name)
    file.unlink()
    text = read(run)
    Page(text)
    assert (f"has no {file.name}" in text) == (name != "predictions")


@pytest.mark.parametrize("content", ["{", "[]", "7", "\x00"])
@pytest.mark.parametrize("name", ["config", "machine", "plan"])
def test_says_which_file_is_damaged(make_run, name, content):
    run = make_run(CLASSES)
    getattr(run, name).write_text(content)
    text = read(run)
    Page(text)
    assert f"{getattr(run, name).name} can&#39;t be read" in text


def test_an_empty_folder_renders(make_run):
    run = make_run(CLASSES)
    shutil.rmtree(run.folder)
    run.folder.mkdir()
    text = read(run)
    assert ids(text) == {"answer"} and "No epoch is finished yet." in text


def test_the_validation_split_answers_where_there_is_no_test(make_run):
    run = make_run(CLASSES)
    results = read_json(run.results)
    del results["splits"]["test"]
    write_json(run.results, results)
    text = read(run)
    assert "validation images are named right" in text
    assert "the best epoch was chosen on" in text
    assert "Judged on" not in text


def test_an_epoch_that_was_redone_counts_once(make_run):
    run = make_run(CLASSES, "training")
    append_line(run.metrics, {"epoch": 5, "val_accuracy": 0.91, "best": True})
    text = read(run)
    assert "91.0% of the validation images" in text and "5 of 20 epochs are done" in text


def test_an_early_end_is_said(make_run):
    run = make_run(CLASSES)
    results = read_json(run.results)
    results["training"] |= {"epochs": 14, "ending": "no gain in 10 epochs"}
    write_json(run.results, results)
    assert "for 14 of 20 epochs; best at epoch 12; no gain in 10 epochs" in read(run)


def test_the_same_folder_gives_the_same_report(make_run):
    run = make_run(CLASSES)
    assert read(run) == read(run)


def test_needs_no_torch():
    code = "import sys, lacewing.results.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_on_a_sample_says_so_and_what_all_images_would_take(make_run):
    run = make_run(CLASSES)
    assert "quick look" not in read(run)
    write_json(run.dataset, read_json(run.dataset) | {"whole": {"train": 450950, "val": 75080}})
    times = {"training_seconds": 14000.0, "judging_seconds": 30.0}
    write_json(run.results, read_json(run.results) | {"all_images": times})
    text = read(run)
    assert "45,095 of 450,950 training images were used" in text
    assert "would take about 3 h 53 min, and the judging 30 s" in text


def test_the_view_and_what_each_did_are_told(make_run):
    run = make_run(CLASSES)
    assert "views" not in ids(read(run))
    known = read_json(run.results)
    usual = {"view": "off", "loss": 0.5, "accuracy": 0.8, "gain": 0.0, "error": 0.0}
    both = {"view": "both", "loss": 0.4, "accuracy": 0.9, "gain": 0.1, "error": 0.02}
    found = {"chosen": "both", "images": 1200, "tried": [usual, both]}
    write_json(run.results, known | {"recipe": {"views": found}})
    text = read(run)
    assert "views" in ids(text)
    assert "sees the whole frame, mirrored too: its answer is the mean of both." in text
    assert "chosen on 1,200 validation images" in text
    row = next(line for line in text.splitlines() if "0.1000 ± 0.0200" in line)
    assert 'class="chosen"' in row
    asked = {"chosen": "whole", "images": 0, "tried": []}
    write_json(run.results, known | {"recipe": {"views": asked}})
    assert "sees the whole frame. This was asked for (--tta)." in read(run)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [(0.5, "are a mean: 0.5 of those after fine-tuning"), (None, "stayed as they were")],
)
def test_the_mean_of_weights_and_what_each_did_are_told(make_run, chosen, words):
    run = make_run(CLASSES)
    assert "blend" not in ids(read(run))
    tried = [
        {"share": None, "loss": 0.4321, "accuracy": 0.8},
        {"share": 0.5, "loss": 0.4123, "accuracy": 0.9},
    ]
    found = {"chosen": chosen, "images": 1000, "tried": tried}
    write_json(run.results, read_json(run.results) | {"recipe": {"blend": found}})
    text = read(run)
    assert words in text
    row = next(line for line in text.splitlines() if 'class="chosen"' in line)
    assert ("0.4123" if chosen else "0.4321") in row
    asked = {"chosen": 0.25, "images": 0, "tried": []}
    write_json(run.results, read_json(run.results) | {"recipe": {"blend": asked}})
    assert "0.25 of those after fine-tuning, the rest of those before. This was asked for" in read(
        run
    )
