"""The server's answers, its page, and what it says of itself."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
from starlette.testclient import TestClient

from lacewing.deploy.serve.app import make_app


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


def test_a_models_own_bound_is_kept(open_client, predictor, photo):
    strict = replace(predictor, none_below=1.0)
    with open_client(predictor=strict) as client:
        (result,) = client.post("/predict", files=form(("a", photo("moth")))).json()["results"]
        assert client.get("/model").json()["low_confidence"] == 1.0
    assert result["none_of_these"] is (result["top"][0]["probability"] < 1)
    assert result["none_of_these"] is True


def test_a_table_of_the_same(client, photo):
    files = form(("a,b.jpg", photo("beetle")), ("no", b""))
    response = client.post("/predict.csv", params={"top_k": 2}, files=files)
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert rows[0]["path"] == "a,b.jpg"
    assert rows[0]["class"] == "beetle"
    assert list(rows[0]) == [
        "path", "class", "confidence", "class_2", "confidence_2", "none_of_these", "error"
    ]  # fmt: skip
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


def test_the_model_is_described(client, limits):
    card = client.get("/model").json()
    assert card["classes"] == ["aphid", "beetle", "moth"]
    assert card["accuracy"] == 0.9
    assert card["file_bytes"] == limits.file_bytes


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
