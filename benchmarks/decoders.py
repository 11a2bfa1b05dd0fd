"""Which decoder is fastest: from a JPEG's bytes to the pixels that lacewing keeps.

Each decoder turns the same photos into RGB with a shorter side of 146 pixels, in one thread:
decoding, at a reduced scale where it can, then the same anti-aliased resize. Photos are those of
a folder, and photos of 12 megapixels made from them. Peers that are not installed are left out
(`pip install simplejpeg opencv-python-headless`).

    python benchmarks/decoders.py [--data FOLDER] [--quick]
"""

import importlib
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from common import interleaved, machine_facts, parser, print_table, summary, write_result
from lacewing.data.open import open_images
from lacewing.data.pixels import resized
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import Decoded, decode
from lacewing.data.sample import draw_sample

RULE = Preprocessing(image_size=128, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
LARGE = (4000, 3000)
Reader = Callable[[bytes], Decoded]


def with_pillow(content: bytes) -> Decoded:
    """What lacewing uses: Pillow with DCT scaling, with every care for odd files."""
    return decode(io.BytesIO(content), at_least=RULE.resize_size)


def with_torchvision(content: bytes) -> Decoded:
    """torchvision has no reduced scale."""
    tensor = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
    return as_decoded(tensor.permute(1, 2, 0).contiguous().numpy())


def with_simplejpeg(content: bytes) -> Decoded:
    """libjpeg-turbo directly, at a reduced scale."""
    module = importlib.import_module("simplejpeg")
    side = RULE.resize_size
    return as_decoded(module.decode_jpeg(content, "RGB", min_height=side, min_width=side))


def with_opencv(content: bytes) -> Decoded:
    """OpenCV at a half, a quarter or an eighth, as far as the size allows."""
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    shorter = min(Image.open(io.BytesIO(content)).size)
    flag = cv2.IMREAD_COLOR_RGB
    for scale, name in ((8, "8"), (4, "4"), (2, "2")):
        if shorter // scale >= RULE.resize_size:
            flag = getattr(cv2, f"IMREAD_REDUCED_COLOR_{name}")
            break
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    return as_decoded(pixels if flag == cv2.IMREAD_COLOR_RGB else pixels[:, :, ::-1].copy())


def as_decoded(pixels: np.ndarray) -> Decoded:
    """Pixels as Pillow's image, which the resize takes."""
    height, width = pixels.shape[:2]
    return Decoded(Image.fromarray(pixels), width, height)


DECODERS: dict[str, tuple[str | None, Reader]] = {
    "Pillow (lacewing)": (None, with_pillow),
    "torchvision": (None, with_torchvision),
    "simplejpeg": ("simplejpeg", with_simplejpeg),
    "OpenCV": ("cv2", with_opencv),
}


def all_of(reader: Reader, photos: Sequence[bytes]) -> None:
    """Decode and resize every photo."""
    for content in photos:
        resized(reader(content), RULE)


def enlarged(content: bytes) -> bytes:
    """A photo as a phone would have taken it."""
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(content)).convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, 6, (LARGE[1], LARGE[0], 1))
    noisy = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def photos_of(folder: Path | None, count: int) -> list[bytes]:
    """About so many JPEG files, evenly chosen from a folder, or from the sample."""
    if folder is None:
        folder = open_images("sample", draw_sample=draw_sample).root
    files = sorted(folder.rglob("*.jpg"))
    return [file.read_bytes() for file in files[:: max(1, len(files) // count)]]


def available() -> dict[str, Reader]:
    """The decoders whose packages are installed."""
    found = {}
    for name, (package, reader) in DECODERS.items():
        try:
            importlib.import_module(package or "PIL")
        except ImportError:
            print(f"{name} is not installed: left out")
            continue
        found[name] = reader
    return found


def main() -> None:
    """Measure, print the table, write the result."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="a folder with JPEG photos; else the sample")
    chosen = options.parse_args()
    facts, readers = machine_facts(), available()
    torch.set_num_threads(1)
    small = photos_of(chosen.data, 20 if chosen.quick else 200)
    sets = {"as they are": small, "12 megapixels": list(map(enlarged, small[:: len(small) // 8]))}
    rows, figures = [], {}
    for title, photos in sets.items():
        calls = {name: partial(all_of, reader, photos) for name, reader in readers.items()}
        seconds = interleaved(calls, rounds=2 if chosen.quick else 9)
        rates = {name: summary([len(photos) / one for one in seconds[name]]) for name in seconds}
        rows += [(title, name, rate["median"]) for name, rate in rates.items()]
        figures[title] = {"photos": len(photos), "images_per_second": rates}
    print_table(("photos", "decoder", "images/s"), rows)
    setting = {"data": str(chosen.data or "sample"), "kept_side": RULE.resize_size}
    path = write_result("decoders", facts, {"setting": setting, **figures}, chosen.results)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
