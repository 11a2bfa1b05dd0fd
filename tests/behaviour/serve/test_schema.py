"""The server keeps what its OpenAPI document says, whatever it is sent (schemathesis)."""

import threading

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies

uvicorn = pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from lacewing.deploy.serve.app import make_app  # noqa: E402

EXAMPLES = 20
OPERATIONS = {
    ("GET", "/healthz"),
    ("GET", "/model"),
    ("GET", "/metrics"),
    ("POST", "/predict"),
    ("POST", "/predict.csv"),
    ("POST", "/explain"),
}


@pytest.fixture
def address(predictor, limits):
    """The application behind uvicorn, in a thread."""
    app = make_app(predictor, name="test_resnet", accuracy=0.9, limits=limits)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
        assert thread.is_alive()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.slow
def test_every_answer_is_one_that_the_document_promises(address, photo):
    # no schema can say "a picture", so files that are meant to be right are drawn from some
    pictures = [photo(name) for name in ("aphid", "beetle", "moth")]
    schemathesis.openapi.format("binary", strategies.sampled_from(pictures))
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {(one.method.upper(), one.path) for one in operations} == OPERATIONS
    for operation in operations:
        keeps_its_word(operation)


def keeps_its_word(operation):
    """Call it with generated parameters and bodies, right ones and wrong ones."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case):
        case.call_and_validate()

    call()
