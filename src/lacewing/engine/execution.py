"""How one step is run: plain values, resolved once in the plan."""

from dataclasses import dataclass, replace

HALF_PRECISIONS = ("bf16", "fp16")
GRAPH_MODES = ("cudagraphs", "reduce-overhead")
"""That record CUDA graphs, of torch's own kernels or of Inductor's. A graph's gradients lie where
its next pass writes, so they serve steps of one pass."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Everything that changes how a step is computed and nothing of what it computes.

    A forward-only pass is a step of one pass: it has no accumulation and no optimiser.
    """

    device: str
    """Its address, as in `Device.address`: cuda:0, mps, cpu."""
    precision: str = "fp32"
    """A member of `hardware.machine.PRECISIONS`."""
    memory_format: str = "contiguous"
    """contiguous or channels_last."""
    compile_mode: str = "off"
    """off, default or reduce-overhead (`torch.compile`'s modes), or cudagraphs (its backend)."""
    micro_batch: int = 16
    """Most images of one pass through the network."""
    accumulation: int = 1
    """Passes per optimiser step."""
    optimizer_kernel: str = "plain"
    """plain, foreach or fused."""


def for_judging(usual: Execution) -> Execution:
    """How a finished model is judged, where the plan's forward-only passes run so.

    As `predict` computes, so that both give the same probabilities. Of passes that fill the
    memory in half precision, half the images: each takes twice as much.
    """
    images = usual.micro_batch
    fitting = max(1, images // 2) if usual.precision in HALF_PRECISIONS else images
    return replace(usual, precision="fp32", micro_batch=fitting)
