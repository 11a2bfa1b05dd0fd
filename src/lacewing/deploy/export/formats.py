"""The export formats, by name."""

from collections.abc import Callable

from lacewing.deploy.export.exporter import Exporter


def _onnx() -> Exporter:
    from lacewing.deploy.export import onnx_file

    return Exporter(file="model.onnx", write=onnx_file.write, open=onnx_file.open_runner)


def _onnx_int8() -> Exporter:
    from lacewing.deploy.export import onnx_file, onnx_int8

    return Exporter(
        file="model.onnx",
        write=onnx_int8.write,
        open=onnx_file.open_runner,
        max_difference=None,
        min_agreement=0.95,
    )


def _torchscript() -> Exporter:
    from lacewing.deploy.export import torchscript

    return Exporter(file="model.ts", write=torchscript.write, open=torchscript.open_runner)


def _pt2() -> Exporter:
    from lacewing.deploy.export import pt2

    return Exporter(file="model.pt2", write=pt2.write, open=pt2.open_runner)


def _web() -> Exporter:
    from lacewing.deploy.export import onnx_file
    from lacewing.deploy.web.folder import finish, write

    return Exporter(
        file="model.onnx",
        write=write,
        open=onnx_file.open_runner,
        finish=finish,
    )


def _hub() -> Exporter:
    from lacewing.deploy.share import folder

    return Exporter(
        file=folder.WEIGHTS,
        write=folder.write,
        open=folder.open_runner,
        self_contained=False,
        has_card=True,
    )


EXPORTERS: dict[str, Callable[[], Exporter]] = {
    "onnx": _onnx,
    "onnx-int8": _onnx_int8,
    "torchscript": _torchscript,
    "pt2": _pt2,
    "web": _web,
    "hub": _hub,
}
"""Every format. A new one is one file, and one function and one line here."""
