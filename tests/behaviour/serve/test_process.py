"""The server as a process, and where it listens."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest

from lacewing.deploy.serve.server import Address, accuracy_of, is_loopback, listen
from lacewing.errors import UserError
from lacewing.store.run import write_json


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
    assert accuracy_of(copied_run.model) is None
    write_json(copied_run.results, {"splits": {"test": {"top1": 0.75}, "val": {"top1": 0.8}}})
    assert accuracy_of(copied_run.model) == 0.75


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
@pytest.mark.skipif(find_spec("fastapi") is None, reason="the extra `serve` is not installed")
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
