"""The browser's preprocessing is Pillow's, to the byte."""

import base64
import json
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from lacewing.data.pixels import central_square, resized
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import Decoded

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs the page's code, is missing")
SCRIPT = """
import { readFileSync } from "node:fs";
const { code, cases } = JSON.parse(readFileSync(0));
const { centralSquare } = await import(`data:text/javascript;base64,${code}`);
const squares = cases.map(({ data, width, height, rule }) =>
  Buffer.from(centralSquare({ data: Buffer.from(data, "base64"), width, height }, rule))
    .toString("base64"));
console.log(JSON.stringify(squares));
"""

CASES = [
    (width, height, size, interpolation)
    for interpolation in ("bilinear", "bicubic")
    for width, height, size in [
        (200, 150, 64),  # smaller
        (150, 200, 64),
        (31, 40, 64),  # larger
        (64, 64, 56),  # as it is
        (640, 90, 48),  # a panorama, of which the middle is kept
        (73, 73, 32),
    ]
]


def picture(width, height):
    """Noise, whose every pixel counts."""
    random = np.random.default_rng(width * 1000 + height)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_pillow(pixels, rule):
    image = Image.fromarray(pixels)
    return central_square(resized(Decoded(image, *image.size), rule), rule.image_size)


def by_the_page(cases):
    """Squares [S, S, 3] as the page's code makes them."""
    code = (files("lacewing.deploy") / "web" / "square.js").read_bytes()
    sent = [
        {
            "data": base64.b64encode(np.dstack([pixels, pixels[..., :1]]).tobytes()).decode(),
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "rule": {
                "resize_size": rule.resize_size,
                "image_size": rule.image_size,
                "interpolation": rule.interpolation,
            },
        }
        for pixels, rule in cases
    ]
    ended = subprocess.run(
        [NODE, "--input-type=module", "-e", SCRIPT],
        input=json.dumps({"code": base64.b64encode(code).decode(), "cases": sent}),
        capture_output=True,
        text=True,
        check=True,
    )
    return [np.frombuffer(base64.b64decode(one), np.uint8) for one in json.loads(ended.stdout)]


def rule_of(size, interpolation="bilinear"):
    return Preprocessing(
        image_size=size, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation=interpolation
    )


def test_every_pixel_is_pillows():
    made = [(picture(width, height), rule_of(size, how)) for width, height, size, how in CASES]
    for case, (pixels, rule), square in zip(CASES, made, by_the_page(made), strict=True):
        assert np.array_equal(square, by_pillow(pixels, rule).ravel()), case


def test_a_tall_panorama_is_pillows_to_the_last_bit_but_one():
    pixels, rule = picture(90, 701), rule_of(48)
    (square,) = by_the_page([(pixels, rule)])
    difference = square.astype(int) - by_pillow(pixels, rule).ravel()
    assert np.abs(difference).max() <= 1
