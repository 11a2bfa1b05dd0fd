"""How much memory a run takes: a line through measured peaks, bytes = fixed + images x slope.

fixed holds weights, gradients, optimiser state and workspaces; the slope is what one image
leaves behind for the backward pass.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.func import functional_call

from lacewing.engine.losses import Loss
from lacewing.hardware.backend import Backend
from lacewing.hardware.switches import HALF_DTYPES

HOLES = 1.1
"""Times what a step or two take that many take in a process that keeps freed memory: between its
tensors are holes that the next ones do not fit. A middle value of `benchmarks/plan_accuracy.py`."""
BACKWARD = 1.3
"""Times what an image leaves for the backward pass that it takes on a CPU, with the gradients of
that: a middle value of eight networks at 128 pixels, of whose fp32 passes 4 and 16 images were
weighed. It was 1.16 to 1.6."""
STATES = 4
"""Copies of the weights that are counted on: weights, gradients and two of the optimiser's."""


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """What training takes beyond the memory that the process has before there is a network."""

    fixed_bytes: float
    image_bytes: float
    """Per image of a micro-batch."""
    eval_image_bytes: float = 0.0
    """Per image of a forward-only pass; 0 where that was not measured."""
    points: tuple[tuple[int, int], ...] = ()
    """Micro-batches and the bytes that were measured for them."""

    def times(self, factor: float) -> "MemoryModel":
        """One that takes so many times as much."""
        return replace(
            self,
            fixed_bytes=factor * self.fixed_bytes,
            image_bytes=factor * self.image_bytes,
            eval_image_bytes=factor * self.eval_image_bytes,
        )

    def on_cpu(self) -> "MemoryModel":
        """What is counted, with what passes on a CPU take beside it."""
        return replace(self, image_bytes=BACKWARD * self.image_bytes)

    def raised(self, images: int, taken: int) -> "MemoryModel":
        """One that is moved up, where a pass was seen to take more than the line says."""
        above = max(0, taken - self.bytes_for(images))
        return replace(self, fixed_bytes=self.fixed_bytes + above)

    def bytes_for(self, images: int) -> int:
        """The predicted bytes of a step in passes of so many images."""
        return round(self.fixed_bytes + self.image_bytes * images)

    def eval_bytes_for(self, images: int) -> int:
        """The same of a forward-only pass: the optimiser's state stays beside it."""
        return round(self.fixed_bytes + self.eval_image_bytes * images)

    def largest(self, allowed: int) -> int:
        """Most images of a pass that the allowed bytes hold; 0 if not one."""
        return most_images(allowed - self.fixed_bytes, self.image_bytes)

    def largest_eval(self, allowed: int) -> int:
        """The same of a forward-only pass."""
        return most_images(allowed - self.fixed_bytes, self.eval_image_bytes)


def most_images(room: float, image_bytes: float) -> int:
    """How many images of so many bytes the room holds."""
    if image_bytes <= 0:
        return 0 if room < 0 else 2**31
    return max(0, int(room / image_bytes))


def fit(points: Mapping[int, int], slope: float | None = None) -> MemoryModel:
    """The line of least squares through measured points; `slope` serves where there is one only.

    Memory grows with the images: a falling line is noise, and taken as flat at the highest.
    """
    images, measured = np.array(list(points)), np.array(list(points.values()), float)
    if len(points) > 1:
        slope, fixed = (float(value) for value in np.polyfit(images, measured, 1))
        if slope <= 0:
            slope, fixed = 0.0, float(measured.max())
    else:
        slope = slope or 0.0
        fixed = float(measured[0] - slope * images[0])
    return MemoryModel(
        fixed_bytes=fixed,
        image_bytes=slope,
        points=tuple((int(m), int(b)) for m, b in points.items()),
    )


def measure_growing(
    sizes: Sequence[int], peak_of: Callable[[int], int | None], allowed: int | None
) -> dict[int, int]:
    """Peaks by micro-batch, the smallest first, as long as the line through them stays allowed.

    `peak_of` gives None where the memory did not suffice.
    """
    points: dict[int, int] = {}
    for size in sorted(set(sizes)):
        if len(points) > 1 and allowed is not None and fit(points).bytes_for(size) > allowed:
            break
        peak = peak_of(size)
        if peak is None:
            break
        points[size] = peak
    return points


def counted(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    autocast: Callable[[], AbstractContextManager[Any]],
    *,
    by_shapes: bool = False,
) -> MemoryModel:
    """What a step will about take, counted from one small pass, or from its shapes alone."""
    weights = sum(w.numel() * w.element_size() for w in network.parameters())
    count = saved_by_shapes if by_shapes else saved_bytes
    saved = count(network, images, labels, loss, autocast)
    return MemoryModel(fixed_bytes=STATES * weights, image_bytes=saved / len(labels))


def saved_by_shapes(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> int:
    """What `saved_bytes` counts, to within about a hundredth, without computing or taking memory.

    Tensors without values go through the network. Raises whatever one raises that looks at values.
    """
    without_values = FakeTensorMode(allow_non_fake_inputs=True)
    own: dict[str, Tensor] = {
        name: without_values.from_tensor(tensor) for name, tensor in own_tensors(network)
    }
    with without_values:
        return kept_bytes(
            network,
            lambda images: functional_call(network, own, (images,)),
            own.values(),
            images,
            labels,
            loss,
            autocast,
        )


def keeps_shapes(network: nn.Module) -> bool:
    """Whether a module keeps a tensor without values, as one does that notes what it once made."""
    kept = (value for module in network.modules() for value in vars(module).values())
    return any(isinstance(value, FakeTensor) for value in kept)


def saved_bytes(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> int:
    """Bytes that a forward pass in the network's mode keeps for the backward pass, weights apart.

    Counted, not measured: works on every device.
    """
    own = [tensor for _, tensor in own_tensors(network)]
    return kept_bytes(network, network, own, images, labels, loss, autocast)


def own_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and buffers with their names."""
    return chain(network.named_parameters(), network.named_buffers())


def kept_bytes(
    network: nn.Module,
    run: Callable[[Tensor], Tensor],
    own: Iterable[Tensor],
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> int:
    """What `run`, the network with the tensors `own`, keeps for the backward pass beside them."""
    places = {place(tensor) for tensor in own}
    shapes = {shape for w in network.parameters() for shape in (w.shape, w.shape[::-1])}
    kept: dict[int, int] = {}
    # some of a larger batch share the memory of all of it
    images, labels = images.clone(), labels.clone()

    def note(tensor: Tensor) -> Tensor:
        # autocast's copy of a weight, which a linear layer turns, is there once for all images
        is_copy = tensor.dtype in HALF_DTYPES.values() and tensor.shape in shapes
        if not is_copy and place(tensor) not in places:
            kept[place(tensor)] = size_of(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with autocast():
            logits = run(images)
        loss(logits.float(), labels)
    return sum(kept.values())


def place(tensor: Tensor) -> int:
    """What two tensors in the same memory share; of one whose memory can't be asked, itself."""
    # not the memory's address: tensors without values have none
    return id(tensor) if is_opaque(tensor) else tensor.untyped_storage()._cdata


def size_of(tensor: Tensor) -> int:
    """Bytes of the memory in which a tensor lies."""
    if is_opaque(tensor):
        return tensor.numel() * tensor.element_size()
    return tensor.untyped_storage().nbytes()


def is_opaque(tensor: Tensor) -> bool:
    """Whether it is DirectML's, whose tensors have no storage."""
    return tensor.device.type == "privateuseone"


def snapshot_bytes(network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Bytes of a copy of a network and its optimiser's state."""
    moments = [value for state in optimizer.state.values() for value in state.values()]
    tensors = [*network.state_dict().values(), *(m for m in moments if isinstance(m, Tensor))]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def base_bytes(backend: Backend, index: int) -> int:
    """What the process takes now, before there is a network."""
    gc.collect()
    backend.empty_cache()
    if backend.kind == "cpu":
        return int(psutil.Process().memory_info().rss)
    backend.reset_peak(index)
    return backend.peak_bytes(index) or 0
