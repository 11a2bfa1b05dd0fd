"""`serve`: the application behind uvicorn, until it is stopped."""

import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lacewing import console
from lacewing.deploy.extras import require
from lacewing.deploy.find_model import model_file
from lacewing.deploy.predict import Predictor, load_predictor
from lacewing.errors import UserError
from lacewing.models.bundle import read_bundle_fields
from lacewing.store.run import Run, read_json

PACKAGES = ("fastapi", "uvicorn", "python_multipart")
STOPPING_SECONDS = 5
"""What requests at work get to end when the server is stopped."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any free one."""


def serve(
    run: Path, address: Address, *, token: str | None = None, device: str | None = "auto"
) -> None:
    """Serve a run's model until Ctrl-C or SIGTERM.

    Raises MissingExtraError, UserError where the address can't be had, and what
    `load_predictor` raises.
    """
    require(PACKAGES, "serve", "Serving a model")
    import uvicorn

    from lacewing.deploy.serve.app import make_app

    weights = model_file(run)
    # by the plan of a run's folder; what was fetched or unpacked comes without
    predictor = load_predictor(run if run.is_dir() else weights, device)
    listening = listen(address)
    app = make_app(
        predictor,
        name=read_bundle_fields(weights).model,
        accuracy=accuracy_of(weights),
        token=token,
    )
    announce(predictor, address.host, listening.getsockname()[1], token)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=STOPPING_SECONDS
    )
    # uvicorn ends in order, and then raises the signal once more
    with contextlib.suppress(KeyboardInterrupt), listening:
        uvicorn.Server(config).run(sockets=[listening])
    console.say("Stopped.")


def listen(address: Address) -> socket.socket:
    """A listening socket. Raises UserError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=512)
    except OSError as error:
        raise UserError(
            f"The server can't listen on {address.host} port {address.port} "
            f"({error.strerror or error}): choose another --port, or 0 for any free one."
        ) from None


def announce(predictor: Predictor, host: str, port: int, token: str | None) -> None:
    """Say where the page is, and who can reach it."""
    shown = f"[{host}]" if ":" in host else host
    # after the "#", the browser keeps the token to itself
    secret = f"/#token={quote(token, safe='')}" if token else ""
    console.say(f"Serving {len(predictor.classes)} classes at http://{shown}:{port}{secret}")
    console.say("Ctrl-C stops it.")
    if token is None and not is_loopback(host):
        console.warn(
            f"Whoever reaches port {port} of this machine can use the model: --token TEXT asks "
            "for a token."
        )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def accuracy_of(weights: Path) -> float | None:
    """Top-1 on the test split, 0 to 1, as results.json beside the weights has it; else None."""
    results = Run(weights.parent).results
    if not results.is_file():
        return None
    judged: dict[str, Any] = read_json(results).get("splits", {}).get("test", {})
    return judged.get("top1")
