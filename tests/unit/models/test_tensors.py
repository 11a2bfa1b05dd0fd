"""Tensors from files, and never code."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from lacewing.errors import WeightsError
from lacewing.models.tensors import read_tensors

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


def same(tensors):
    return list(tensors) == list(STATE) and all(torch.equal(tensors[k], STATE[k]) for k in STATE)


def prefixed(prefix):
    return {prefix + name: value for name, value in STATE.items()}


def test_safetensors_are_read(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    tensors = read_tensors(tmp_path / "a.safetensors")
    assert {name: value.tolist() for name, value in tensors.items()} == {
        name: value.tolist() for name, value in STATE.items()
    }


@pytest.mark.parametrize(
    "saved",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": {"state_dict": STATE}, "optimizer": {"lr": 0.1}},
        prefixed("module."),
        {"model_state_dict": prefixed("_orig_mod.module.")},
        {**STATE, "version": "1"},
    ],
    ids=["plain", "nested", "nested twice", "parallel", "compiled parallel", "with a string"],
)
def test_a_checkpoint_is_read_wherever_it_keeps_its_weights(tmp_path, saved):
    torch.save(saved, tmp_path / "a.pth")
    assert same(read_tensors(tmp_path / "a.pth"))


def test_a_prefix_of_some_names_only_stays(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pt")
    assert list(read_tensors(tmp_path / "a.pt")) == ["module.a", "b"]


def test_other_objects_are_refused_unread(tmp_path):
    torch.save({"state_dict": STATE, "args": argparse.Namespace(lr=1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"Python objects beside its tensors.*run code"):
        read_tensors(tmp_path / "a.pth")


def test_damaged_files_are_said(tmp_path):
    torch.save(STATE, tmp_path / "a.pth")
    save_file(STATE, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-7])
        with pytest.raises(WeightsError, match=name):
            read_tensors(path)
    (tmp_path / "text.pth").write_text("these are no weights")
    with pytest.raises(WeightsError, match="no checkpoint"):
        read_tensors(tmp_path / "text.pth")


@pytest.mark.parametrize("saved", [{"epoch": 3}, [torch.ones(1)], {}])
def test_a_file_without_named_tensors_is_refused(tmp_path, saved):
    torch.save(saved, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="is no file of weights"):
        read_tensors(tmp_path / "a.pth")
