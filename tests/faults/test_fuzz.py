"""Whatever stands in a file that people hand over: it is read, or refused in a sentence."""

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lacewing.config import TrainConfig, load_config
from lacewing.data.index import ImageIndex
from lacewing.data.layouts import recognise
from lacewing.data.shards import read_label
from lacewing.deploy.predict import load_predictor
from lacewing.errors import UserError
from lacewing.hardware.machine import Machine
from lacewing.models.bundle import load_model
from lacewing.models.catalog import find_model
from lacewing.models.weights import read_weights_file
from lacewing.planning.document import load_plan
from lacewing.store.run import Run, read_json, read_lines
from lacewing.training.checkpoint import load_checkpoint, save_checkpoint
from lacewing.training.state import Progress, Snapshot

FAST = settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
ROWS = st.lists(st.lists(WORDS, max_size=4), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def joined(rows, separator):
    return "\n".join(separator.join(row) for row in rows).encode()


TABLES = st.binary(max_size=200) | st.builds(joined, ROWS, st.sampled_from([",", ";", "\t", " "]))


@FAST
@given(content=TABLES, name=st.sampled_from(["list.csv", "train.txt", "classes.txt"]))
def test_lists_and_tables(tmp_path, content, name):
    folder = tmp_path / "lists"
    folder.mkdir(exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    for other in ("train.txt", "val.txt", "test.txt"):
        (folder / other).write_text("a.jpg 0\n")
    (folder / name).write_bytes(content)
    with contextlib.suppress(UserError):
        listing = recognise(folder / name if name == "list.csv" else folder, None)
        for entry in listing.entries:
            assert (listing.root / entry.path).resolve()
            assert ".." not in Path(entry.path).parts
            assert not Path(entry.path).is_absolute()


@FAST
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_configurations_and_plans(tmp_path, content):
    file = tmp_path / "file.yaml"
    file.write_bytes(content)
    with contextlib.suppress(UserError):
        TrainConfig(**load_config(file))
    with pytest.raises(UserError):
        load_plan(file)


DEEP = "[" * 100_000
LAUGHS = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 12)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("content", [DEEP[:5000], LAUGHS + "epochs: *i", "decisions: &a {b: *a}"])
def test_yaml_that_grows_when_it_is_read(tmp_path, content):
    file = tmp_path / "file.yaml"
    file.write_text(content)
    for read in (load_config, load_plan):
        with pytest.raises(UserError) as refusal:
            read(file)
        assert len(str(refusal.value)) < 500


def test_json_that_is_nested_without_end(tmp_path):
    folder = save_checkpoint(Run(tmp_path), snapshot())
    (folder / "manifest.json").write_text(DEEP)
    with pytest.raises(UserError):
        load_checkpoint(Run(tmp_path))
    file = tmp_path / "file.json"
    file.write_text(DEEP)
    with pytest.raises(UserError):
        read_json(file)
    assert list(read_lines(file)) == []
    save_file({"w": torch.zeros(1)}, tmp_path / "m.safetensors", metadata={"lacewing": DEEP})
    with pytest.raises(UserError):
        load_model(tmp_path / "m.safetensors")
    table = pa.table({"path": ["a"]}).replace_schema_metadata({"lacewing.index": DEEP})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UserError):
        ImageIndex.load(file)
    with pytest.raises(UserError):
        read_label(DEEP.encode(), "json", "a.json in a.tar")


@FAST
@given(fields=st.dictionaries(st.sampled_from(list(vars(TrainConfig()))), JSON, max_size=4))
def test_any_value_of_a_field(fields):
    with contextlib.suppress(UserError):
        TrainConfig(**fields)


def snapshot():
    plain = {"progress": vars(Progress(step=1))}
    return Snapshot({"w": torch.arange(6.0)}, {"0.m": torch.ones(2)}, plain)


@FAST
@given(data=st.data())
def test_checkpoints_with_any_byte_changed(tmp_path_factory, data):
    run = Run(tmp_path_factory.mktemp("run"))
    folder = save_checkpoint(run, snapshot())
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        loaded = load_checkpoint(run)
    except UserError:
        return
    assert file.name == "manifest.json"  # white space in it does not matter
    assert torch.equal(loaded.model["w"], torch.arange(6.0))


def hostile_safetensors(header: bytes, rest: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + rest


TEST_RESNET = find_model("test_resnet")
HEADERS = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())
LENGTHS = st.sampled_from([0, 1, 2**31, 2**63, 2**64 - 1])


@FAST
@given(
    content=st.builds(hostile_safetensors, HEADERS, st.binary(max_size=30))
    | st.builds(lambda n, rest: struct.pack("<Q", n) + rest, LENGTHS, st.binary(max_size=30))
)
def test_model_files_of_any_bytes(tmp_path, content):
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError):
        load_model(file)
    with pytest.raises(UserError):
        read_weights_file(file, TEST_RESNET)


RECORDS = JSON.map(json.dumps) | st.text(st.characters(codec="utf-8"), max_size=40)
GOOD = {"version": 1, "model": "test_resnet", "classes": ["a", "b"], "class_ids": [], "dropout": 0,
        "preprocessing": {}, "figures": {}}  # fmt: skip
CHANGED = st.dictionaries(st.sampled_from(list(GOOD)), JSON, min_size=1)


@FAST
@given(record=RECORDS | CHANGED.map(lambda changes: json.dumps(GOOD | changes)))
def test_model_files_of_any_fields(tmp_path, record):
    file = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(1)}, file, metadata={"lacewing": record})
    with pytest.raises(UserError):
        load_predictor(file, "cpu")


def test_a_model_file_with_a_pickle_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    file = tmp_path / "weights.pth"
    torch.save({"w": Evil()}, file)
    with pytest.raises(UserError):
        read_weights_file(file, find_model("test_resnet"))
    assert not (tmp_path / "ran").exists()


@FAST
@given(content=st.binary(max_size=200))
def test_indexes_machines_and_logs(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(UserError):
        ImageIndex.load(file)
    with pytest.raises((OSError, KeyError, TypeError, ValueError)):
        Machine.load(file)
    assert all(isinstance(line, dict) for line in read_lines(file))


def test_an_index_cut_off_anywhere(tmp_path, tint_index):
    tint_index.save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    for length in np.linspace(0, len(content) - 1, 25, dtype=int):
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(UserError):
            ImageIndex.load(tmp_path / "cut")
