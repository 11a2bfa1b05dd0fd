"""The server: right answers, one sentence for every mistake, and no way past its limits."""

import asyncio
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from lacewing.deploy.predict import load_predictor
from lacewing.deploy.serve.app import make_app
from lacewing.deploy.serve.limits import Limits
from lacewing.deploy.serve.server import Address, accuracy_of, is_loopback, listen
from lacewing.errors import UserError
from lacewing.hardware.machine import Limit
from lacewing.store.run import write_json

SMALL = Limits(file_bytes=20_000, request_bytes=60_000, files=3, pixels=100_000, seconds=10)


@pytest.fixture
def predictor(finished_run, monkeypatch):
    monkeypatch.setattr(
        "lacewing.deploy.predict.usable_cores", lambda: Limit(value=1, source="the test")
    )
    return load_predictor(finished_run.folder, "cpu")


@pytest.fixture
def open_client(predictor):
    """`open_client(token=..., limits=..., predictor=...)`: a client of a running application."""

    @contextmanager
    def make(**fields):
        served = fields.pop("predictor", predictor)
        app = make_app(served, **{"name": "test_resnet", "accuracy": 0.9, **fields})
        with TestClient(app) as client:
            yield client

    return make


@pytest.fixture
def client(open_client):
    with open_client(limits=SMALL) as opened:
        yield opened


@pytest.fixture
def photo(tinted):
    """`photo("moth", seed)`: the bytes of a JPEG."""

    def make(name, seed=100, **size):
        file = io.BytesIO()
        tinted(name, seed, **size).save(file, "JPEG", quality=90)
        return file.getvalue()

    return make


def form(*files):
    return [("files", file) for file in files]


def error_of(response):
    """The sentence of a refusal, which is all that it holds."""
    body = response.json()
    assert set(body) == {"error"}
    assert body["error"].endswith((".", "`."))
    return body["error"]


def test_a_picture_gets_the_predictors_answer(client, predictor, photo, tmp_path):
    (tmp_path / "a.jpg").write_bytes(photo("moth"))
    (expected,) = predictor.predict([tmp_path / "a.jpg"])
    response = client.post("/predict", files=form(("a.jpg", photo("moth"))))
    (result,) = response.json()["results"]
    assert response.status_code == 200
    assert [one["class"] for one in result["top"]] == list(expected.classes)
    assert [one["probability"] for one in result["top"]] == pytest.approx(expected.probabilities)
    assert result["top"][0]["class"] == "moth"
    assert (result["file"], result["error"], result["none_of_these"]) == ("a.jpg", None, False)


def test_several_pictures_keep_their_order_and_a_bad_one_has_its_error(client, photo):
    files = form(("1", photo("moth")), ("2.txt", b"no picture"), ("3", photo("aphid")))
    results = client.post("/predict", params={"top_k": 1}, files=files).json()["results"]
    assert [result["file"] for result in results] == ["1", "2.txt", "3"]
    assert [len(result["top"]) for result in results] == [1, 0, 1]
    assert results[0]["top"][0]["class"] == "moth"
    assert results[1]["error"] == "This is no picture: send a JPEG, PNG or WebP file."
    assert results[2]["top"][0]["class"] == "aphid"


def test_a_doubtful_picture_may_be_none_of_these(open_client, predictor, photo):
    class Undecided(type(predictor)):
        def probabilities(self, squares):
            return np.full((len(squares), 3), 1 / 3, np.float32)

    with open_client(predictor=Undecided(**vars(predictor))) as client:
        (result,) = client.post("/predict", files=form(("a", photo("moth")))).json()["results"]
    assert result["none_of_these"] is True


def test_a_table_of_the_same(client, photo):
    files = form(("a,b.jpg", photo("beetle")), ("no", b""))
    response = client.post("/predict.csv", params={"top_k": 2}, files=files)
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert rows[0]["path"] == "a,b.jpg"
    assert rows[0]["class"] == "beetle"
    assert list(rows[0]) == ["path", "class", "confidence", "class_2", "confidence_2", "error"]
    assert rows[1]["error"] == "This is no picture: send a JPEG, PNG or WebP file."


def test_a_heat_map_is_a_png_of_the_square(client, photo):
    drawn = {}
    for label in (0, 2, None):
        params = {} if label is None else {"label": label}
        response = client.post("/explain", params=params, files=form(("a", photo("moth"))))
        assert response.headers["content-type"] == "image/png"
        drawn[label] = response.content
    with Image.open(io.BytesIO(drawn[None])) as image:
        assert (image.format, image.size) == ("PNG", (64, 64))
    # by default it is the best class that is explained
    assert drawn[None] == drawn[2] != drawn[0]


def test_a_picture_is_turned_upright(client, tinted):
    """The same scene, stored upright and stored turned with its EXIF orientation."""
    upright = tinted("moth", 7)
    half = Image.new("RGB", upright.size, "white")
    half.paste(upright.crop((0, 0, 96, 36)), (0, 0))
    plain, turned = io.BytesIO(), io.BytesIO()
    half.save(plain, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 3
    half.transpose(Image.Transpose.ROTATE_180).save(turned, "PNG", exif=exif)
    files = form(("a", plain.getvalue()), ("b", turned.getvalue()))
    first, second = client.post("/predict", files=files).json()["results"]
    assert first["top"] == second["top"]


def bomb():
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes, truncated."""
    head = (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunks = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(b"0" * 1000)))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def large_png():
    file = io.BytesIO()
    Image.new("RGB", (400, 300)).save(file, "PNG")
    return file.getvalue()


MISTAKES = [
    ("no form", {"content": b"abc"}, 415, "Send pictures as a form"),
    ("an empty form", {"files": [], "data": {"a": "b"}}, 415, "Send pictures as a form"),
    ("a field, no file", {"files": [("files", (None, "text"))]}, 400, "The form holds no file"),
    ("no boundary", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400,
     "The form can't be read"),
    ("a damaged form", {"content": b"no part of it",
                        "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400,
     "The form"),
    ("text", {"files": form(("a.jpg", b"no picture"))}, 422, "a.jpg: This is no picture"),
    ("an empty file", {"files": form(("a.jpg", b""))}, 422, "a.jpg: This is no picture"),
    ("PostScript", {"files": form(("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n"))}, 422, "no picture"),
    ("SVG", {"files": form(("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"))}, 422,
     "no picture"),
    ("a bomb", {"files": form(("a.png", bomb()))}, 422, "megapixels"),
    ("too many pixels", {"files": form(("a.png", large_png()))}, 422, "megapixels"),
    ("a file too large", {"files": form(("a.jpg", bytes(20_001)))}, 413, "0.02 MB is the limit"),
    ("a form too large", {"files": form(("a.jpg", bytes(60_001)))}, 413, "larger than 0.06 MB"),
    ("too many files", {"files": form(*((str(k), b"x") for k in range(4)))}, 413,
     "more than 3 files"),
    ("far too many files", {"files": form(*((str(k), b"x") for k in range(40)))}, 413,
     "more than 3 files"),
    ("top_k of 0", {"files": form(("a", b"x")), "params": {"top_k": 0}}, 422, "top_k"),
    ("top_k in words", {"files": form(("a", b"x")), "params": {"top_k": "all"}}, 422, "top_k"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [mistake[1:] for mistake in MISTAKES],
    ids=[mistake[0] for mistake in MISTAKES],
)
def test_every_mistake_has_its_status_and_its_sentence(client, request_, status, sentence):
    response = client.post("/predict", **request_)
    assert response.status_code == status
    assert sentence in error_of(response)


def test_a_truncated_picture_is_refused(client, photo):
    response = client.post("/predict", files=form(("a.jpg", photo("moth")[:-200])))
    assert response.status_code == 422
    assert error_of(response).startswith("a.jpg: The picture can't be read")


@pytest.mark.parametrize("label", [-1, 3])
def test_a_class_that_is_not_there_is_refused(client, photo, label):
    response = client.post("/explain", params={"label": label}, files=form(("a", photo("moth"))))
    assert (response.status_code, error_of(response)) == (422, "label must be from 0 to 2.")


def test_one_picture_is_explained_at_a_time(client, photo):
    files = form(("a", photo("moth")), ("b", photo("moth")))
    assert client.post("/explain", files=files).status_code == 413
    assert client.post("/explain", files=form(("a", b"x"))).status_code == 422


def test_a_body_that_hides_its_length_is_cut_off(client):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(1000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post("/predict", content=endless(), headers=headers)
    assert response.status_code == 413
    assert "larger than 0.06 MB" in error_of(response)


def test_no_file_of_the_server_can_be_read(client):
    for path in (
        "/../app.py", "/..%2fapp.py", "/page.css/../../serve/app.py", "/static/app.py",
        "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/model.safetensors", "/config.yaml",
        "/docs", "/redoc",
    ):  # fmt: skip
        response = client.get(path)
        assert response.status_code == 404, path
        assert error_of(response) == "There is no such page."
    assert client.get("/predict").status_code == 405


def test_an_upload_touches_no_disk(client, photo, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    # where the parser's own bound is not lifted, the smallest upload is written to the disk
    monkeypatch.setattr("starlette.formparsers.MultiPartParser.spool_max_size", 10)
    assert client.post("/predict", files=form(("a", photo("moth")))).status_code == 200


def test_the_page_needs_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    wanted = set(re.findall(r'(?:src|href)="([^"#]+)"', page.text))
    assert wanted == {"icon.svg", "page.css", "page.js"}
    for name in (*wanted, "engine.js"):
        asset = client.get(f"/{name}")
        assert asset.status_code == 200
        addresses = set(re.findall(r"https?://[^\s\"'<>)]+", asset.text))
        assert addresses <= {"http://www.w3.org/2000/svg"}


def test_every_answer_has_the_headers_that_protect(client):
    for response in (client.get("/"), client.get("/nowhere"), client.post("/predict")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"


def test_the_model_is_described(client):
    card = client.get("/model").json()
    assert card["classes"] == ["aphid", "beetle", "moth"]
    assert card["accuracy"] == 0.9
    assert card["file_bytes"] == SMALL.file_bytes


def test_the_api_describes_itself(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/healthz", "/metrics", "/model", "/predict", "/predict.csv", "/explain",
    }  # fmt: skip
    predict = document["paths"]["/predict"]["post"]
    schema = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["files"]["items"]["format"] == "binary"
    assert {"200", "400", "401", "413", "415", "422", "503"} <= set(predict["responses"])
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if not status.startswith("2"):
                    schema = response["content"]["application/json"]["schema"]
                    assert schema["$ref"].endswith("/Problem")
                    assert list(response["content"]) == ["application/json"]
    assert list(document["paths"]["/predict.csv"]["post"]["responses"]["200"]["content"]) == [
        "text/csv"
    ]


def test_what_happened_is_counted(client, photo):
    client.post("/predict", files=form(("a", photo("moth")), ("b", b"x")))
    client.post("/predict", content=b"x")
    client.get("/no/such/page/1")
    client.get("/no/such/page/2")
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'lacewing_requests_total{path="/predict",status="200"} 1',
        'lacewing_requests_total{path="/predict",status="415"} 1',
        # one row for all, or a stranger could fill the memory with names
        'lacewing_requests_total{path="other",status="404"} 2',
        "lacewing_images_total 1",
        "lacewing_unreadable_images_total 1",
        "lacewing_requests_in_progress 0",
        "lacewing_request_seconds_count 2",
        "lacewing_batch_images_sum 1.000000",
    ):
        assert line in lines


def test_with_a_token_only_the_page_and_the_pulse_are_open(open_client, photo):
    with open_client(token="s3cret") as client:
        for path in ("/", "/page.js", "/engine.js", "/healthz"):
            assert client.get(path).status_code == 200
        for path in ("/model", "/metrics", "/openapi.json", "/nowhere"):
            response = client.get(path)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert "asks for its token" in error_of(response)
        files = form(("a", photo("moth")))
        for wrong in ("s3cre", "s3crett", "", "Bearer", "s3cret\u00e9".encode("latin-1")):
            bearer = b"Bearer " + wrong if isinstance(wrong, bytes) else f"Bearer {wrong}"
            headers = {"authorization": bearer}
            assert client.post("/predict", files=files, headers=headers).status_code == 401
        headers = {"authorization": "Bearer s3cret"}
        assert client.post("/predict", files=files, headers=headers).status_code == 200


def test_a_fault_is_told_without_its_details(predictor, photo):
    class Broken(type(predictor)):
        def probabilities(self, squares):
            raise RuntimeError("secret path /home/me")

    app = make_app(Broken(**vars(predictor)), name="x", accuracy=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.post("/predict", files=form(("a", photo("moth"))))
        assert response.status_code == 500
        assert error_of(response) == "This is a fault of the server (RuntimeError)."
        # and the next request is answered
        assert client.get("/healthz").status_code == 200


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


def test_beyond_its_capacity_the_server_asks_to_come_back(open_client, held, photo):
    slow, begun, go_on = held
    with (
        open_client(predictor=slow, limits=replace(SMALL, requests=2, batch=1)) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        files = form(("a", photo("moth")))
        waiting = [pool.submit(client.post, "/predict", files=files) for _ in range(2)]
        assert begun.wait(10)
        while "in_progress 2" not in client.get("/metrics").text:
            pass
        refused = [client.post("/predict", files=files) for _ in range(3)]
        go_on.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert [response.status_code for response in refused] == [503] * 3
        assert refused[0].headers["retry-after"] == "1"
        assert "busy" in error_of(refused[0])
        assert client.post("/predict", files=files).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(open_client, held, photo):
    slow, _, go_on = held
    with open_client(predictor=slow, limits=replace(SMALL, seconds=0.2)) as client:
        response = client.post("/predict", files=form(("a", photo("moth"))))
        go_on.set()
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert "took more than 0.2 seconds" in error_of(response)
        assert "lacewing_requests_in_progress 0" in client.get("/metrics").text


def spoken(app, receive):
    """What an application sends for an upload of which `receive` gives the body."""
    sent = []

    async def keep(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict",
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    asyncio.run(app(scope, receive, keep))
    return sent


def test_an_upload_that_does_not_arrive_is_given_up(predictor):
    async def never():
        await asyncio.sleep(60)

    app = make_app(predictor, name="x", accuracy=None, limits=replace(SMALL, seconds=0.1))
    sent = spoken(app, never)
    assert sent[0]["status"] == 408
    assert "did not arrive within 0.1 seconds" in json.loads(sent[1]["body"])["error"]


def test_a_client_that_goes_away_is_no_fault(predictor):
    async def gone():
        return {"type": "http.disconnect"}

    app = make_app(predictor, name="x", accuracy=None, limits=SMALL)
    assert [message.get("status") for message in spoken(app, gone)] == [499, None]
    assert app.at_work == 0
    assert app.measures.requests == {("/predict", 499): 1}


def test_together_they_pass_together(open_client, held, photo):
    slow, begun, go_on = held
    with (
        open_client(predictor=slow, limits=replace(SMALL, requests=16)) as client,
        ThreadPoolExecutor(7) as pool,
    ):
        names = ["moth", "aphid", "beetle", "moth", "aphid", "beetle", "moth"]
        asked = [pool.submit(client.post, "/predict", files=form((n, photo(n)))) for n in names]
        assert begun.wait(10)
        while "in_progress 7" not in client.get("/metrics").text:
            pass
        go_on.set()
        results = [one.result().json()["results"][0] for one in asked]
        assert [result["top"][0]["class"] for result in results] == names
        batches = re.search(r"lacewing_batch_images_count (\d+)", client.get("/metrics").text)
        assert int(batches[1]) < 7


def test_a_port_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"can't listen on 127.0.0.1 port {port} \("):
            listen(Address(port=port))
    with pytest.raises(UserError, match="can't listen on no-such-host"):
        listen(Address(host="no-such-host.invalid", port=0))


def test_the_own_machine_is_known_by_its_addresses():
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("0.0.0.0", "192.168.0.7", "farm")] == [False] * 3


def test_the_accuracy_is_that_of_the_test_split(copied_run):
    assert accuracy_of(copied_run.folder) is None
    write_json(copied_run.results, {"splits": {"test": {"top1": 0.75}, "val": {"top1": 0.8}}})
    assert accuracy_of(copied_run.folder) == accuracy_of(copied_run.model) == 0.75


@pytest.fixture
def server(finished_run):
    """The address of `lacewing serve`, a process of its own."""
    words = [sys.executable, "-m", "lacewing", "serve", finished_run.folder, "--port", "0",
             "--device", "cpu"]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    line = process.stdout.readline()
    found = re.search(r"Serving 3 classes at (http://127\.0\.0\.1:\d+)", line)
    if not found:
        process.kill()
    assert found, line + process.communicate()[1]
    yield found[1], process
    if process.poll() is None:
        process.kill()
    process.communicate()


def upload(address, content):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    request = urllib.request.Request(
        f"{address}/predict",
        body + content + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.slow
def test_a_real_server_answers_refuses_and_stops(server, photo):
    address, process = server
    status, answer = upload(address, photo("moth"))
    assert status == 200
    assert answer["results"][0]["top"][0]["class"] == "moth"
    # the refusal arrives although the client is still sending
    status, answer = upload(address, bytes(50_000_000))
    assert status == 413
    assert "larger than 40 MB" in answer["error"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert out.splitlines()[-1] == "Stopped."
    assert (process.returncode, err) == (0, "")
