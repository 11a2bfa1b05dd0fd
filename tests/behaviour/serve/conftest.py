"""A client of the application, and one that is held back."""

import io
import threading
from contextlib import contextmanager

import pytest

from lacewing.deploy.predict import load_predictor
from lacewing.deploy.serve.limits import Limits
from lacewing.hardware.machine import Limit


@pytest.fixture
def limits():
    """Small ones, that a test can reach."""
    return Limits(file_bytes=20_000, request_bytes=60_000, files=3, pixels=100_000, seconds=10)


@pytest.fixture
def predictor(finished_run, monkeypatch):
    monkeypatch.setattr(
        "lacewing.deploy.predict.usable_cores", lambda: Limit(value=1, source="the test")
    )
    return load_predictor(finished_run.folder, "cpu")


@pytest.fixture
def open_client(predictor):
    """`open_client(token=..., limits=..., predictor=...)`: a client of a running application."""

    # here, so that an environment without the extra skips the tests and can still collect them
    from starlette.testclient import TestClient

    from lacewing.deploy.serve.app import make_app

    @contextmanager
    def make(**fields):
        served = fields.pop("predictor", predictor)
        app = make_app(served, **{"name": "test_resnet", "accuracy": 0.9, **fields})
        with TestClient(app) as client:
            yield client

    return make


@pytest.fixture
def client(open_client, limits):
    with open_client(limits=limits) as opened:
        yield opened


@pytest.fixture
def photo(tinted):
    """`photo("moth", seed)`: the bytes of a JPEG."""

    def make(name, seed=100, **size):
        file = io.BytesIO()
        tinted(name, seed, **size).save(file, "JPEG", quality=90)
        return file.getvalue()

    return make


@pytest.fixture
def held(predictor):
    """A predictor that waits for `go_on` once it has begun."""
    begun, go_on = threading.Event(), threading.Event()

    class Held(type(predictor)):
        def probabilities(self, squares):
            begun.set()
            go_on.wait(20)
            return super().probabilities(squares)

    yield Held(**vars(predictor)), begun, go_on
    go_on.set()
