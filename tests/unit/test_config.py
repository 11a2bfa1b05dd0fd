"""TrainConfig: its checks, and its file."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lacewing.config import (
    SECTIONS,
    TrainConfig,
    field_names,
    load_config,
    readers,
    save_config,
)
from lacewing.errors import ConfigError
from lacewing.flags import docstrings

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1).map(str.strip)
NAMES = WORDS.filter(lambda word: word and word.lower() not in ("auto", "none"))
PATHS = st.from_regex(r"[a-z0-9][a-z0-9 ._/-]{0,20}", fullmatch=True).map(
    lambda text: Path(text.strip())
)
SHARES = st.floats(0.01, 0.49)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "data": NAMES,
        "data_root": PATHS,
        "val_share": SHARES,
        "test_share": SHARES,
        "model": NAMES,
        "pretrained": st.booleans(),
        "dropout": st.floats(0, 0.99),
        "optimizer": NAMES,
        "scheduler": st.sampled_from(("none", "steplr", "expdecay", "cosine", "plateau")),
        "learning_rate": st.none() | st.floats(1e-9, 10),
        "weight_decay": st.floats(0, 1),
        "batch_size": st.none() | st.integers(1, 4096),
        "epochs": st.integers(1, 1000),
        "device": st.sampled_from((None, "cpu", "cuda:1")),
        "precision": st.sampled_from((None, "fp32", "bf16")),
        "compile": st.sampled_from((None, "off", "default")),
        "memory_share": st.none() | st.floats(0.01, 1),
        "plan": st.none() | PATHS,
        "output": PATHS,
        "name": st.none() | NAMES,
        "seed": st.integers(0, 2**53),
        "load_model": st.booleans() | PATHS.filter(lambda path: len(str(path)) > 5),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(fields=CONFIGS)
def test_a_saved_configuration_is_read_as_the_same(fields, tmp_path):
    config = TrainConfig(**fields)
    save_config(config, tmp_path / "c.yaml")
    assert TrainConfig(**load_config(tmp_path / "c.yaml")) == config


def test_every_field_is_in_the_file(tmp_path):
    save_config(TrainConfig(), tmp_path / "c.yaml")
    assert tuple(load_config(tmp_path / "c.yaml")) == field_names()


def test_every_field_has_a_reader_and_a_docstring():
    assert set(readers()) == set(docstrings(TrainConfig)) == set(field_names())
    assert set(SECTIONS) <= set(field_names())


def test_a_python_call_and_a_replacement_are_checked_too():
    assert TrainConfig(epochs="3").epochs == 3
    assert TrainConfig(output="x").output == Path("x")
    with pytest.raises(ConfigError, match="--epochs"):
        replace(TrainConfig(), epochs=0)


@pytest.mark.parametrize(
    ("fields", "fragment"),
    [
        ({"load_checkpoint": True, "load_model": True}, "give one of them"),
        ({"train": False, "evaluate": False, "load_model": True}, "nothing is left to do"),
        ({"train": False}, "say which one with --load-model"),
        ({"load_model": True, "weights": "w.pth"}, "both say where to start"),
        ({"load_checkpoint": True, "save_checkpoints": False}, "whose checkpoints are kept"),
        ({"warmup_epochs": 3, "epochs": 3}, "--warmup-epochs 3 must be below --epochs 3"),
        ({"nesterov": True}, "but --optimizer is adamw"),
        ({"nesterov": True, "optimizer": "SGD", "momentum": 0}, "needs a --momentum above 0"),
        ({"min_per_class": 5}, "is the least of a --sample, which is not given"),
        ({"model": "auto", "weights": "w.pth"}, "hold those of one"),
        ({"model": "auto", "pretrained": False}, "chooses by how well pretrained weights transfer"),
        ({"model": "auto", "folds": 3}, "--folds compares runs of one network"),
        ({"fold": 2}, "of which there are none"),
        ({"folds": 3, "fold": 4}, "of which there are 3: give a number up to --folds"),
        ({"folds": 3, "evaluate": False}, "--folds judges each fold"),
        ({"val_share": 0.5, "test_share": 0.5}, "leave no image"),
        ({"gradual_unfreezing": True, "pretrained": False}, "they are random: leave it out"),
        ({"augment": False, "mixup": 0.2, "erasing": 0.1}, "--erasing and --mixup vary"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, fragment):
    with pytest.raises(ConfigError, match=fragment):
        TrainConfig(**fields)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"epochs: [", "is not valid YAML (line 1)"),
        (b"a: 1\nb: c: d\n", "is not valid YAML (line 2)"),
        (b"- epochs\n", "must hold lines like"),
        (b"epoch: 3\n", "sets an unknown field 'epoch'; did you mean epochs"),
        (b"\xff\xfe\x00", "can't be read"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, fragment):
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert fragment in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="There is no configuration file"):
        load_config(tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path)


def test_a_file_may_be_empty_or_begin_with_a_mark(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("")
    assert load_config(file) == {}
    file.write_bytes(b"\xef\xbb\xbfbatch-size: 8\n")
    assert load_config(file) == {"batch_size": 8}
