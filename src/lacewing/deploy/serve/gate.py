"""The gate before the application: token, size, number, time, and the headers of every answer."""

import asyncio
import hmac
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lacewing.deploy.serve.limits import Limits
from lacewing.deploy.serve.measures import Measures

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'",
}
DRAINED_BYTES = 100_000_000
"""How much of a refused upload is read and thrown away: a client that is still sending when the
connection closes never sees the answer."""


@dataclass
class Gate:
    """Lets requests through to `app` within the limits; what it refuses costs no memory.

    Paths in `open_paths` need no token. Uploads (POST) are counted, bounded and timed; the
    others read what lies in memory.
    """

    app: ASGIApp
    limits: Limits
    measures: Measures
    known_paths: frozenset[str]
    open_paths: frozenset[str]
    token: str | None = None
    at_work: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = Answer(send)
        started = time.perf_counter()
        refusal = self._refusal(scope)
        if refusal is not None:
            await drain(receive, self.limits.seconds)
            await refusal(scope, receive, answer.send)
        elif scope["method"] == "POST":
            await self._upload(scope, receive, answer)
            self.measures.seconds.observe(time.perf_counter() - started)
        else:
            await self.app(scope, receive, answer.send)
        path = scope["path"] if scope["path"] in self.known_paths else "other"
        self.measures.requests[path, answer.status] += 1

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """Why a request is not let in, judged by its head alone."""
        headers = Headers(scope=scope)
        if not self._is_allowed(scope["path"], headers):
            return problem(401, "This server asks for its token, as in `Authorization: Bearer "
                           "TOKEN`.", {"WWW-Authenticate": "Bearer"})  # fmt: skip
        if scope["method"] != "POST":
            return None
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.limits.request_bytes:
            return problem(413, too_large(self.limits))
        if self.at_work >= self.limits.requests:
            return self._come_back("The server is busy: try again in a moment.")
        return None

    def _is_allowed(self, path: str, headers: Headers) -> bool:
        if self.token is None or path in self.open_paths:
            return True
        given = headers.get("authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _come_back(self, sentence: str) -> JSONResponse:
        return problem(503, sentence, {"Retry-After": str(self.limits.retry_seconds)})

    async def _upload(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        """Let an upload through; it is cut off where it takes too long."""
        body = Body(receive, self.limits)
        self.at_work += 1
        self.measures.in_progress = self.at_work
        try:
            async with asyncio.timeout(self.limits.seconds):
                await self.app(scope, body.receive, answer.send)
        except TimeoutError:
            if not answer.status:
                await self._too_late(body)(scope, receive, answer.send)
        finally:
            self.at_work -= 1
            self.measures.in_progress = self.at_work

    def _too_late(self, body: "Body") -> JSONResponse:
        seconds = f"{self.limits.seconds:g} seconds"
        if not body.complete:
            return problem(408, f"The upload did not arrive within {seconds}.")
        return self._come_back(f"The server took more than {seconds}: try again in a moment.")


@dataclass
class Answer:
    """Passes an answer on with the headers that all have, and remembers its status."""

    onward: Send
    status: int = 0
    """0 until the answer has begun."""

    async def send(self, message: Message) -> None:
        """ASGI's send."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self.onward(message)


@dataclass
class Body:
    """Counts an upload's bytes as they arrive, also where its head told none."""

    onward: Receive
    limits: Limits
    bytes: int = 0
    complete: bool = False

    async def receive(self) -> Message:
        """ASGI's receive. Raises HTTPException 413."""
        message = await self.onward()
        if message["type"] == "http.request":
            self.bytes += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self.bytes > self.limits.request_bytes:
                raise HTTPException(413, too_large(self.limits))
        return message


async def drain(receive: Receive, seconds: float) -> None:
    """Read what a client still sends, within bounds."""
    left = DRAINED_BYTES
    try:
        async with asyncio.timeout(seconds):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def too_large(limits: Limits) -> str:
    """The sentence for an upload that is too large as a whole."""
    return (
        f"The upload is larger than {limits.request_bytes / 1e6:g} MB: send fewer or smaller "
        "pictures at a time."
    )


def problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as every client of this server gets it: {"error": sentence}."""
    return JSONResponse({"error": sentence}, status, headers)
