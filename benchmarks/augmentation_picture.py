"""The picture of docs/augmentation.md: ten photos, varied by lacewing and by torchvision.

python benchmarks/augmentation_picture.py [--data FOLDER] [--output FILE]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from lacewing.data.augment import AugmentConfig, apply, draw
from lacewing.data.batch import on_canvas, to_float
from lacewing.data.erasing import erase
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, central_square
from lacewing.data.preprocess import Preprocessing
from lacewing.data.sample import draw_sample

PHOTOS, SIDE, GAP, LABEL_WIDTH, COLORS = 10, 80, 4, 118, 256
RULE = Preprocessing(image_size=SIDE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
PLAIN = AugmentConfig()
STRONG = AugmentConfig(trivial=True, erasing=0.5)
OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "augmentation.png"


def chosen_photos(index: ImageIndex) -> list[np.ndarray]:
    """Kept pixels uint8 [h, w, 3] of ten images, of as many classes as there are."""
    train = index.split("train")
    order = np.argsort(train.column("label"), kind="stable")
    rows = order[np.linspace(0, len(order) - 1, PHOTOS).astype(int)]
    store = PixelStore(train, RULE, keep="none")
    return [store.get(int(row)) for row in rows]


def originals(photos: list[np.ndarray]) -> Tensor:
    """What validation sees: [N, 3, S, S] in 0..1."""
    return to_float(torch.from_numpy(np.stack([central_square(p, SIDE) for p in photos])))


def ours(photos: list[np.ndarray], config: AugmentConfig, epoch: int) -> Tensor:
    """The photos of one epoch, [N, 3, S, S] in 0..1."""
    canvas, heights, widths = on_canvas(photos)
    drawn = draw(
        config,
        seed=0,
        epoch=epoch,
        samples=np.arange(len(photos)),
        heights=heights,
        widths=widths,
        size=SIDE,
    )
    images = apply(torch.from_numpy(canvas), drawn, SIDE)
    return images if drawn.erased is None else erase(images.sub_(0.5), drawn.erased).add_(0.5)


def theirs(photos: list[np.ndarray], strong: bool, epoch: int) -> Tensor:
    """The same by torchvision's transforms, one photo at a time."""
    bilinear = InterpolationMode.BILINEAR
    varied: list[Callable[[Tensor], Tensor]] = [v2.TrivialAugmentWide(interpolation=bilinear)]
    if not strong:
        varied = [
            v2.RandomRotation(PLAIN.rotation, bilinear),
            v2.ColorJitter(PLAIN.color_jitter, PLAIN.color_jitter, PLAIN.color_jitter),
        ]
    crop = v2.RandomResizedCrop(SIDE, scale=(PLAIN.min_crop, 1.0), antialias=True)
    last = [v2.RandomErasing(STRONG.erasing, value=0.5)] if strong else []
    flow = v2.Compose(
        [crop, v2.RandomHorizontalFlip(), *varied, v2.ToDtype(torch.float32, scale=True), *last]
    )
    torch.manual_seed(epoch)
    return torch.stack([flow(torch.from_numpy(photo.copy()).permute(2, 0, 1)) for photo in photos])


def sheet(rows: list[tuple[str, Tensor]]) -> Image.Image:
    """Rows of photos under each other, each with its title on the left."""
    step = SIDE + GAP
    page = Image.new("RGB", (LABEL_WIDTH + PHOTOS * step, len(rows) * step + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for down, (title, images) in enumerate(rows):
        top = GAP + down * step
        pen.multiline_text((6, top + SIDE // 3), title, fill="black", font=font)
        for across, image in enumerate(images):
            pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            page.paste(Image.fromarray(pixels), (LABEL_WIDTH + across * step, top))
    return page


def main() -> None:
    """Draw the picture and write it."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--data", default="sample")
    words.add_argument("--output", type=Path, default=OUTPUT)
    chosen = words.parse_args()
    photos = chosen_photos(open_images(chosen.data, draw_sample=draw_sample))
    rows = [("photo", originals(photos))]
    rows += [(f"lacewing\nepoch {epoch}", ours(photos, PLAIN, epoch)) for epoch in (1, 2)]
    rows += [(f"torchvision\nseed {epoch}", theirs(photos, False, epoch)) for epoch in (1, 2)]
    rows += [
        ("lacewing\nTrivialAugment\nand erasing", ours(photos, STRONG, 1)),
        ("torchvision\nTrivialAugment\nand erasing", theirs(photos, True, 1)),
    ]
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    page = sheet(rows)
    # dithered: flat areas of few colours would look as if we had posterised them
    small = page.quantize(palette=page.quantize(COLORS), dither=Image.Dither.FLOYDSTEINBERG)
    small.save(chosen.output, optimize=True)
    print(f"written to {chosen.output} ({chosen.output.stat().st_size // 1024} KB)")


if __name__ == "__main__":
    main()
