"""plan.yaml: what is written is read back, and what can't be obeyed is refused."""

from dataclasses import fields, replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lacewing.config import field_names, shorts
from lacewing.errors import PlanError
from lacewing.planning.decisions import DECISIONS
from lacewing.planning.document import explain, load_plan, plan_rows, save_plan
from lacewing.planning.plan import BESIDES, Plan
from lacewing.values import Choice

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
FIGURE = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(min_value=16, max_value=2**40)
VALUES = {
    "device": st.sampled_from(["cpu", "mps", "cuda:0", "cuda:7", "directml:0"]),
    "learning_rate": st.floats(min_value=1e-12, max_value=10, exclude_min=True),
    "memory_share": st.floats(min_value=1e-6, max_value=1),
    "memory_bytes": st.none() | st.integers(min_value=0, max_value=2**50),
    "workers": st.integers(min_value=0, max_value=64),
    "prefetch": st.integers(min_value=0, max_value=64),
    "pin_memory": st.booleans(),
}


def values_of(name):
    words = DECISIONS[name].reader.metavar.split("|")
    return VALUES.get(name, st.sampled_from(words) if len(words) > 1 else COUNT)


PLANS = st.builds(
    lambda values, reason, source, evidence, notes: Plan(
        **{name: Choice(value, reason, source, evidence) for name, value in values.items()},
        notes=tuple(notes),
    ),
    st.fixed_dictionaries({name: values_of(name) for name in DECISIONS}),
    TEXT,
    st.sampled_from(["user", "measured", "rule", "fallback"]),
    st.dictionaries(TEXT, FIGURE | st.integers() | TEXT, max_size=2),
    st.lists(TEXT, max_size=2),
)


@given(plan=PLANS)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_plan_survives_its_file(tmp_path, plan):
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan


@pytest.fixture
def file(tmp_path, plan_on):
    """The plan of the 2-core machine, as a file."""
    save_plan(plan_on("cpu_2core_24gb", batch_size=16), tmp_path / "plan.yaml")
    return tmp_path / "plan.yaml"


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def change(file, name, entry):
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["decisions"][name] = entry
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_decisions_are_those_of_the_plan():
    assert list(DECISIONS) == [f.name for f in fields(Plan) if f.name not in BESIDES]


def test_the_file_is_stable_and_says_what_each_decision_may_be(file, plan_on):
    first = file.read_text(encoding="utf-8")
    save_plan(load_plan(file), file)
    assert file.read_text(encoding="utf-8") == first
    assert first.startswith("# What lacewing decided, and why.")
    about = "of training: fp32, tf32, bf16 or fp16 (--precision)"
    assert f"  # {about}\n  precision:\n    value: fp32\n" in first
    for decision in DECISIONS.values():
        assert f"  # {decision.about} ({decision.flags})\n" in first


def test_every_decision_names_flags_that_there_are():
    known = {"--" + name.replace("_", "-") for name in field_names()} | set(shorts().values())
    for name, decision in DECISIONS.items():
        assert decision.flags and set(decision.flags.split(", ")) <= known, name


def test_an_edited_value_is_obeyed(file):
    edit(file, "or cudagraphs (--compile)\n  compile:\n    value: 'off'",
         "\n  compile:\n    value: off")  # fmt: skip
    edit(file, "value: 5.625e-05", "value: 1e-3")
    plan = load_plan(file)
    assert plan.compile.value == "off"  # which YAML reads as false
    assert plan.learning_rate.value == 0.001


def test_a_bare_value_is_the_users(file):
    change(file, "threads", {"value": 3})
    assert load_plan(file).threads == Choice(3, "set in the plan file", "user")
    change(file, "threads", {"value": 3, "source": "a guess"})
    assert load_plan(file).threads.source == "user"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("precision", "fp8", "precision must be one of fp32, tf32, bf16, fp16"),
        ("micro_batch", 0, "micro_batch must be a whole number of at least 1, but it is 0"),
        ("micro_batch", None, "micro_batch must be a whole number"),
        ("memory_share", 1.5, "at most 1"),
        ("memory_bytes", -1, "at least 0"),
        ("workers", "many", "workers must be a whole number"),
        ("pin_memory", "perhaps", "pin_memory must be True or False"),
        ("pixels", "vram", "pixels must be one of ram, disk, device, none"),
        ("learning_rate", float("inf"), "learning_rate must be a number above 0"),
    ],
)
def test_a_value_that_is_none_is_refused(file, name, value, words):
    change(file, name, {"value": value})
    with pytest.raises(PlanError, match=words) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\n  threads:", "\n  treads:", "unknown decision 'treads'; did you mean threads"),
        ("version: 1", "version: 9", "version 9, and this lacewing reads version 1"),
        ("decisions:", "choices:", "is not a plan file"),
        ("version: 1", "version: [", r"not valid YAML \(line \d+\)"),
        ("version: 1", "version: 2024-13-45", "not valid YAML"),
        ("notes: []", "notes: none", "notes must be a list"),
    ],
)
def test_a_broken_file_is_refused(file, old, new, words):
    edit(file, old, new)
    with pytest.raises(PlanError, match=words):
        load_plan(file)


def test_a_missing_decision_is_named(file):
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    del document["decisions"]["eval_batch"]
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(PlanError, match="lacks the decision 'eval_batch'"):
        load_plan(file)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (3, "threads has no value"),
        ({"reason": "none"}, "threads has no value"),
        ({"value": 3, "evidence": [1]}, "threads: evidence must be names with figures"),
    ],
)
def test_a_broken_decision_is_named(file, entry, words):
    change(file, "threads", entry)
    with pytest.raises(PlanError, match=words):
        load_plan(file)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(PlanError, match="There is no plan file"):
        load_plan(tmp_path / "plan.yaml")
    with pytest.raises(PlanError, match="can't be read"):
        load_plan(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="can't be read"):
        load_plan(tmp_path / "binary")


def test_rows_and_text_say_the_same(plan_on):
    plan = replace(plan_on("directml_laptop"), notes=("Mind the weight decay.",))
    rows = {name: (value, why, source) for name, value, why, source, _ in plan_rows(plan)}
    assert rows["memory bytes"] == ("unknown", "directml does not tell its memory", "fallback")
    assert rows["pin memory"][0] == "no"
    lines = explain(plan).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[-1] == "note: Mind the weight decay."
    for line, (name, (value, why, source)) in zip(lines, rows.items(), strict=False):
        assert line.split() == f"{name} {value} {source} {why}".split()


def test_amounts_are_shown_as_people_write_them(plan_on):
    rows = {row[0]: row[1] for row in plan_rows(plan_on("h100_80gb", batch_size=48))}
    assert rows["memory bytes"] == "62.9 GiB"
    assert rows["learning rate"] == "0.00045"
    assert rows["pin memory"] == "yes"
