"""lacewing trains image classifiers, first of all for insect pests, on whatever machine you have.

    import lacewing

    run = lacewing.train(data="photos", epochs=5)
    predictions = lacewing.load(run.folder).predict(["leaf.jpg"])

Importing it is quick: PyTorch is imported by the first call.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lacewing.api import load, plan, train

__version__ = "0.1.0"
__all__ = ["__version__", "load", "plan", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lacewing' has no attribute {name!r}")
    from lacewing.hardware.process import ready_process

    ready_process()
    from lacewing import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(__all__)
