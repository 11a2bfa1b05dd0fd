"""The commands that hand a trained model on: `export`, `serve` and `push`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lacewing import console
from lacewing.commands.command import Command
from lacewing.config import Short
from lacewing.fields import boolean, one_of, path, secret, text, whole
from lacewing.flags import Given, Word, flags_of, options_from
from lacewing.store.run import open_run

FORMATS = ("onnx", "onnx-int8", "torchscript", "pt2", "web", "hub")
"""The names in deploy/export/formats.py, which imports too much for a quick --help."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What `export` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """The run folder."""
    to: Annotated[str, one_of(*FORMATS)] = "onnx"
    """The format; `web` is a folder with a page that works in a browser, also offline; `hub`
    one that timm and transformers read, with a model card."""
    out: Annotated[Path | None, path(metavar="FOLDER", optional=True), Short("-o")] = None
    """Where to write it; by default into exports/ of the run folder."""
    license: Annotated[str | None, text(metavar="NAME", optional=True)] = None
    """The licence that the card of `hub` names, as in apache-2.0 or cc-by-nc-4.0; none is named
    where you choose none."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What `serve` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """A run folder, a model.safetensors, a shared folder or .zip, or hub:OWNER/NAME."""
    host: Annotated[str, text(metavar="ADDRESS")] = "127.0.0.1"
    """Where to listen; 0.0.0.0 lets other machines in."""
    port: Annotated[int, whole(at_most=65535)] = 8000
    """The port; 0 takes any free one."""
    token: Annotated[str | None, secret(metavar="TOKEN")] = None
    """What users must present (Authorization: Bearer TOKEN)."""
    device: Annotated[str | None, text(metavar="DEVICE", optional=True), Short("-dv")] = None
    """auto, cpu, cuda, cuda:1, mps, xpu or directml."""


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """What `push` takes."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """A run folder, or a folder that `export --to hub` wrote and that you may have edited."""
    name: Annotated[str, text(metavar="OWNER/NAME"), Word()]
    """The repository on the Hugging Face hub; it is made where there is none."""
    private: Annotated[bool, boolean()] = False
    """Make a new repository that only its owner can see."""
    license: Annotated[str | None, text(metavar="NAME", optional=True)] = None
    """The licence under which you share it, as in apache-2.0 or cc-by-nc-4.0; the card names none
    where you choose none."""


def export(given: Given) -> int:
    """Export a model."""
    options = options_from(ExportOptions, given)
    open_run(options.run)
    from lacewing.deploy.export.carry_out import export_run
    from lacewing.deploy.export.compare import comparison_rows

    exported = export_run(options.run, options.to, options.out, options.license)
    comparison = exported.comparison
    console.heading(f"Compared on {comparison.images} {comparison.origin}")
    console.table(("", "model", options.to), comparison_rows(comparison))
    if comparison.original_accuracy is None:
        console.warn("The run's images could not be read, so the accuracy is not compared.")
    console.say(f"The export is in {exported.folder}; model.json says how to use it.")
    return 0


def serve(given: Given) -> int:
    """Serve a model."""
    options = options_from(ServeOptions, given)
    from lacewing.deploy.place import check_place

    check_place(options.run)
    from lacewing.deploy.serve.server import Address
    from lacewing.deploy.serve.server import serve as serve_run

    address = Address(host=options.host, port=options.port)
    serve_run(options.run, address, token=options.token, device=options.device)
    return 0


def push(given: Given) -> int:
    """Share a model."""
    options = options_from(PushOptions, given)
    from lacewing.deploy.share.push import push as push_run

    address = push_run(options.run, options.name, private=options.private, licence=options.license)
    console.say(f"Shared at {address}; `lacewing predict hub:{options.name} PHOTO` uses it.")
    console.note(
        "Say in its README.md whose the images are and under which terms they may be used."
    )
    return 0


COMMANDS = {
    "export": Command("Write a trained model for other programs, checked against the original.",
                      lambda: flags_of(ExportOptions), export),
    "serve": Command("Show a page in the browser that names what is on a picture, and an API.",
                     lambda: flags_of(ServeOptions), serve),
    "push": Command("Share a trained model on the Hugging Face hub, with a model card.",
                    lambda: flags_of(PushOptions), push),
}  # fmt: skip
