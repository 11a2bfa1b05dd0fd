"""Copies beside computing: the order of what is told to a CUDA device, by fakes of its streams."""

from contextlib import contextmanager

import pytest
import torch

from lacewing.data import sent

CUDA = torch.device("cuda", 0)


class Copied:
    def __init__(self, said):
        self.said = said

    def record_stream(self, stream):
        self.said.append(f"its memory is in use by {stream.name}")


class Stream:
    def __init__(self, name, said):
        self.name, self.said = name, said

    def wait_stream(self, other):
        self.said.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def said(monkeypatch):
    said = []

    @contextmanager
    def stream(one):
        said.append(f"on {one.name}")
        yield
        said.append(f"off {one.name}")

    def moved(tensor, device):
        said.append("copied")
        return Copied(said)

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("the copying one", said))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("the computing", said))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(sent, "moved", moved)
    sent.copy_stream.cache_clear()
    yield said
    sent.copy_stream.cache_clear()


def test_a_copy_is_waited_for_by_what_comes_after_it_and_keeps_its_memory(said):
    sent.moved_aside(torch.zeros(2), CUDA)
    assert said == [
        "on the copying one",
        "copied",
        "off the copying one",
        "the computing waits for the copying one",
        "its memory is in use by the computing",
    ]


def test_elsewhere_it_is_a_copy_like_any(said):
    sent.moved_aside(torch.zeros(2), torch.device("cpu"))
    assert said == ["copied"]


def test_one_stream_copies_all(said, monkeypatch):
    made = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: made.append(device) or Stream("", []))
    for _ in range(3):
        sent.moved_aside(torch.zeros(2), CUDA)
    assert made == [CUDA]
