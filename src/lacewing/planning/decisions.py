"""What each decision of a plan is about, and which values it may have in a plan file."""

from dataclasses import dataclass

from lacewing.fields import Reader, boolean, number, one_of, text, whole
from lacewing.hardware.machine import PRECISIONS
from lacewing.performance_config import TIERS


@dataclass(frozen=True)
class Decision:
    """One decision: a line of explanation, and the reader of its value."""

    about: str
    reader: Reader


PRECISION = one_of(*PRECISIONS)
FORMAT = one_of("contiguous", "channels_last")

DECISIONS: dict[str, Decision] = {
    "device": Decision("cpu, cuda:0, mps, xpu:0 or directml:0", text()),
    "tier": Decision("class of hardware whose bounds were taken", one_of(*TIERS)),
    "threads": Decision("threads of one operation on the CPU", whole(at_least=1)),
    "precision": Decision("of training: fp32, tf32, bf16 or fp16", PRECISION),
    "memory_format": Decision("of training: contiguous or channels_last", FORMAT),
    "compile": Decision(
        "torch.compile: off, default or reduce-overhead",
        one_of("off", "default", "reduce-overhead"),
    ),
    "image_size": Decision("side of the network's input, in pixels", whole(at_least=16)),
    "micro_batch": Decision("most images of one forward and backward pass", whole(at_least=1)),
    "accumulation": Decision(
        "passes per optimiser step: batch / micro_batch, rounded up", whole(at_least=1)
    ),
    "batch": Decision("images per optimiser step", whole(at_least=1)),
    "learning_rate": Decision("for this batch, at the schedule's height", number(above=0)),
    "optimizer_kernel": Decision("plain, foreach or fused", one_of("plain", "foreach", "fused")),
    "eval_precision": Decision("of forward-only passes: fp32, tf32, bf16 or fp16", PRECISION),
    "eval_memory_format": Decision("of forward-only passes: contiguous or channels_last", FORMAT),
    "eval_batch": Decision("images of one forward-only pass", whole(at_least=1)),
    "memory_share": Decision(
        "share of the free memory that the run may take", number(above=0, at_most=1)
    ),
    "memory_bytes": Decision("the same in bytes; null where unknown", whole(optional=True)),
    "pixels": Decision(
        "where decoded images are kept: ram, disk, device or none",
        one_of("ram", "disk", "device", "none"),
    ),
    "augment_on": Decision(
        "where training images are varied: device or cpu", one_of("device", "cpu")
    ),
    "workers": Decision("decoding threads; 0 decodes in the training thread", whole()),
    "prefetch": Decision("batches prepared ahead", whole()),
    "pin_memory": Decision("page-locked memory for copies to the device", boolean()),
}
"""By the names and in the order of Plan's fields."""
