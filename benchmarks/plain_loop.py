"""The loop that most people write, which others are compared with: fp32, contiguous, AdamW.

Makes a training step on ready images for each line of its input (see apart.py), or only a
forward pass, and answers with the most of a GPU's memory that it has had so far, in bytes; 0 on
the CPU:

    python benchmarks/plain_loop.py MODEL IMAGE_SIZE BATCH DEVICE [forward] [full]

By torch's defaults a CUDA card convolves in TF32, on its tensor cores, and only multiplies
matrices in full fp32: that is what a plain loop really does, and what figures are said against.
With `full` convolutions are in fp32 too, which is what lacewing calls fp32.
"""

import sys

import timm
import torch
from torch import nn

from apart import obey

CLASSES = 8


def main() -> None:
    """Set up, then obey."""
    name, side, batch, device, *more = sys.argv[1:]
    if "full" in more:
        torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images = torch.randn(int(batch), 3, int(side), int(side), device=device)
    labels = torch.arange(int(batch), device=device) % CLASSES

    def step() -> int:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device
        return peak_bytes(device)

    def forward() -> int:
        with torch.inference_mode():
            float(model(images).sum())
        return peak_bytes(device)

    obey(forward if "forward" in more else step)


def peak_bytes(device: str) -> int:
    """The most that torch has reserved of a CUDA device's memory."""
    return torch.cuda.max_memory_reserved(device) if device.startswith("cuda") else 0


if __name__ == "__main__":
    main()
