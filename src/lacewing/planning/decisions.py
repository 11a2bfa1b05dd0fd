"""What each decision of a plan is about, its values in a plan file, and what would change it."""

from dataclasses import dataclass

from lacewing.fields import Reader, boolean, number, one_of, text, whole
from lacewing.hardware.machine import PRECISIONS
from lacewing.performance_config import TIERS


@dataclass(frozen=True)
class Decision:
    """One decision: a line of explanation, the reader of its value, and the flags that change it.

    Those of them that have a classic short name stand by it.
    """

    about: str
    reader: Reader
    flags: str


PRECISION = one_of(*PRECISIONS)
FORMAT = one_of("contiguous", "channels_last")

DECISIONS: dict[str, Decision] = {
    "device": Decision("cpu, cuda:0, mps, xpu:0 or directml:0", text(), "-dv"),
    "tier": Decision("class of hardware whose bounds were taken", one_of(*TIERS), "-dv, --tiers"),
    "threads": Decision("threads of one operation on the CPU", whole(at_least=1), "--threads"),
    "precision": Decision("of training: fp32, tf32, bf16 or fp16", PRECISION, "--precision"),
    "memory_format": Decision(
        "of training: contiguous or channels_last", FORMAT, "--memory-format"
    ),
    "compile": Decision(
        "torch.compile: off, default, reduce-overhead or cudagraphs",
        one_of("off", "default", "reduce-overhead", "cudagraphs"),
        "--compile",
    ),
    "image_size": Decision(
        "side of the network's input, in pixels", whole(at_least=16), "--image-size"
    ),
    "micro_batch": Decision(
        "most images of one forward and backward pass", whole(at_least=1), "-bz, --accumulate"
    ),
    "accumulation": Decision(
        "passes per optimiser step: batch / micro_batch, rounded up",
        whole(at_least=1),
        "-bz, --accumulate",
    ),
    "batch": Decision("images per optimiser step", whole(at_least=1), "-bz, --accumulate"),
    "learning_rate": Decision(
        "for this batch, at the schedule's height", number(above=0), "-lr, -bz"
    ),
    "optimizer_kernel": Decision(
        "plain, foreach or fused", one_of("plain", "foreach", "fused"), "-optim, -dv"
    ),
    "eval_precision": Decision(
        "of forward-only passes: fp32, tf32, bf16 or fp16", PRECISION, "--precision"
    ),
    "eval_memory_format": Decision(
        "of forward-only passes: contiguous or channels_last", FORMAT, "--memory-format"
    ),
    "eval_batch": Decision("images of one forward-only pass", whole(at_least=1), "-bz"),
    "memory_share": Decision(
        "share of the free memory that the run may take",
        number(above=0, at_most=1),
        "--memory-share",
    ),
    "memory_bytes": Decision(
        "the same in bytes; null where unknown", whole(optional=True), "--memory-share"
    ),
    "pixels": Decision(
        "where decoded images are kept: ram, disk, device or none",
        one_of("ram", "disk", "device", "none"),
        "--image-size",
    ),
    "augment_on": Decision(
        "where training images are varied: device, kernel (there, by Triton) or cpu",
        one_of("device", "kernel", "cpu"),
        "-dv",
    ),
    "workers": Decision("decoding threads; 0 decodes in the training thread", whole(), "--workers"),
    "prefetch": Decision("batches prepared ahead", whole(), "--workers"),
    "pin_memory": Decision("page-locked memory for copies to the device", boolean(), "-dv"),
}
"""By the names and in the order of Plan's fields."""
