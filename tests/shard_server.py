"""A server of files that answers requests for parts, and can be told to fail."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class ShardServer:
    """Serves a folder on loopback."""

    folder: Path
    address: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Path, with what is asked behind it, and number of bytes of each answer with a part."""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    good: int = 10**9
    """Answers after which all are refused."""
    parts: bool = True
    """Whether it can send parts."""


@contextmanager
def serving(folder: Path) -> Iterator[ShardServer]:
    """A server that runs inside the block."""
    state = ShardServer(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

        def do_GET(self) -> None:
            file = folder / self.path.partition("?")[0].lstrip("/")
            state.good -= 1
            if state.good < 0:
                self.answer(403, b"")
            elif state.failures:
                self.answer(state.failures.pop(0), b"")
            elif not file.is_file():
                self.answer(404, b"")
            else:
                self.send_file(file)

        def send_file(self, file: Path) -> None:
            content = file.read_bytes()
            tag = f'"{file.stat().st_mtime_ns:x}"'
            wanted = RANGE.fullmatch(self.headers.get("Range", ""))
            if wanted is None or not state.parts:
                self.answer(200, content, ETag=tag)
                return
            first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
            part = content[first : last + 1]
            state.asked.append((self.path, len(part)))
            span = f"bytes {first}-{last}/{len(content)}"
            self.answer(206, part, **{"ETag": tag, "Content-Range": span})

        def answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
