"""Depthwise convolutions on a CPU: forward and backward in bf16, and in fp32 with both casts.

lacewing computes in fp32 what is faster so, amid a network that runs in bf16
(src/lacewing/hardware/depthwise.py). Both ways take and give bf16, channels_last, in turns.

    python benchmarks/depthwise.py [--quick] [--batch 16]
"""

from collections.abc import Callable
from itertools import product
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from common import interleaved, machine_facts, parser, print_table, write_result
from lacewing.hardware.depthwise import FAST_KERNEL, FAST_STRIDE
from lacewing.hardware.limits import usable_cores

KERNELS, STRIDES = (3, 5, 7), (1, 2)
SHAPES = ((96, 64), (144, 32), (240, 16), (480, 8), (960, 4))
"""Channels and side, as in MobileNetV2 for images of 128 pixels."""
ROUNDS = 9


def both_ways(channels: int, side: int, kernel: int, stride: int, batch: int) -> dict[str, float]:
    """Median seconds of a forward and a backward pass."""
    last = torch.channels_last
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    images = torch.randn(batch, channels, side, side).to(memory_format=last).bfloat16()
    images.requires_grad_()

    def in_bf16() -> Tensor:
        return conv2d(images, weight.bfloat16(), None, stride, kernel // 2, 1, channels)

    def in_fp32() -> Tensor:
        return conv2d(images.float(), weight, None, stride, kernel // 2, 1, channels).bfloat16()

    gradient = torch.randn_like(in_bf16())

    def step(forward: Callable[[], Tensor]) -> None:
        images.grad = weight.grad = None
        forward().backward(gradient)

    calls = {"bf16": lambda: step(in_bf16), "fp32": lambda: step(in_fp32)}
    return {way: median(times) for way, times in interleaved(calls, ROUNDS).items()}


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--batch", type=int, default=16)
    given = flags.parse_args()
    facts = machine_facts()
    torch.set_num_threads(usable_cores().value)
    rows = []
    for kernel, stride, (channels, side) in product(
        KERNELS, STRIDES, SHAPES[-1:] if given.quick else SHAPES
    ):
        seconds = both_ways(channels, side, kernel, stride, given.batch)
        rows.append(
            {
                "kernel": kernel,
                "stride": stride,
                "channels": channels,
                "side": side,
                "bf16_ms": 1e3 * seconds["bf16"],
                "fp32_ms": 1e3 * seconds["fp32"],
                "gain": seconds["bf16"] / seconds["fp32"],
                "in_fp32": kernel > FAST_KERNEL or stride > FAST_STRIDE,
            }
        )
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    path = write_result("depthwise", facts, {"batch": given.batch, "rows": rows}, given.results)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
