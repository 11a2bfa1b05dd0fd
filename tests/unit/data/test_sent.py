"""Copies beside computing: the order of what is told to a CUDA device, by fakes of its streams."""

from contextlib import contextmanager

import pytest
import torch

from lacewing.data import sent
from lacewing.hardware import cuda_streams

CUDA = torch.device("cuda", 0)


class Copied:
    """A tensor that says what is done with it."""

    def __init__(self, said):
        self.said = said

    def to(self, device, non_blocking):
        assert non_blocking
        self.said.append("copied")
        return self

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

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("the copying one", said))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("the computing", said))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    cuda_streams.copy_stream.cache_clear()
    yield said
    cuda_streams.copy_stream.cache_clear()


def test_a_copy_is_waited_for_by_what_comes_after_it_and_keeps_its_memory(said):
    sent.moved_aside(Copied(said), CUDA)
    assert said == [
        "on the copying one",
        "copied",
        "off the copying one",
        "the computing waits for the copying one",
        "its memory is in use by the computing",
    ]


def test_elsewhere_it_is_a_copy_like_any(said):
    tensor = torch.zeros(2)
    assert sent.moved_aside(tensor, torch.device("cpu")) is tensor
    assert said == []


def test_one_stream_copies_all(said, monkeypatch):
    made = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: made.append(device) or Stream("", []))
    for _ in range(3):
        sent.moved_aside(Copied(said), CUDA)
    assert made == [CUDA]
