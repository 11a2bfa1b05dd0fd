"""What is refused: one sentence for every mistake, and no way past the limits."""

import asyncio
import io
import json
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
from lacewing.deploy.serve.app import make_app


def form(*files):
    return [("files", file) for file in files]


def error_of(response):
    """The sentence of a refusal, which is all that it holds."""
    body = response.json()
    assert set(body) == {"error"}
    assert body["error"].endswith((".", "`."))
    return body["error"]


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
    assert response.status_code == 422
    assert error_of(response).startswith("label: Input should be ")


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


def test_beyond_its_capacity_the_server_asks_to_come_back(open_client, held, photo, limits):
    slow, begun, go_on = held
    with (
        open_client(predictor=slow, limits=replace(limits, requests=2, batch=1)) as client,
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


def test_an_answer_that_takes_too_long_is_given_up(open_client, held, photo, limits):
    slow, _, go_on = held
    with open_client(predictor=slow, limits=replace(limits, seconds=0.2)) as client:
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


def test_an_upload_that_does_not_arrive_is_given_up(predictor, limits):
    async def never():
        await asyncio.sleep(60)

    app = make_app(predictor, name="x", accuracy=None, limits=replace(limits, seconds=0.1))
    sent = spoken(app, never)
    assert sent[0]["status"] == 408
    assert "did not arrive within 0.1 seconds" in json.loads(sent[1]["body"])["error"]


def test_a_client_that_goes_away_is_no_fault(predictor, limits):
    async def gone():
        return {"type": "http.disconnect"}

    app = make_app(predictor, name="x", accuracy=None, limits=limits)
    assert [message.get("status") for message in spoken(app, gone)] == [499, None]
    assert app.at_work == 0
    assert app.measures.requests == {("/predict", 499): 1}


def test_together_they_pass_together(open_client, held, photo, limits):
    slow, begun, go_on = held
    with (
        open_client(predictor=slow, limits=replace(limits, requests=16)) as client,
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
