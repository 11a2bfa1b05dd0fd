"""Every kind of image comes out as upright, correct RGB."""

import numpy as np
import pytest
from PIL import Image

from lacewing.data.formats import SUFFIXES
from lacewing.data.rgb import MAX_PIXELS, UnreadableImageError, decode, open_rgb

RED, GREEN, BLUE = (200, 30, 40), (20, 180, 60), (30, 50, 210)


def scene() -> Image.Image:
    """Red above, green at the lower left, blue at the lower right: its sides can't be confused."""
    image = Image.new("RGB", (24, 16), RED)
    image.paste(GREEN, (0, 8, 12, 16))
    image.paste(BLUE, (12, 8, 24, 16))
    return image


def corner(image: Image.Image, where: str) -> tuple[int, ...]:
    x = 2 if "left" in where else image.width - 3
    y = 2 if "upper" in where else image.height - 3
    return image.getpixel((x, y))


def close(colour: tuple[int, ...], other: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(colour, other, strict=True))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    undo = [None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_90,
            Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_270][orientation - 1]  # fmt: skip
    stored = scene() if undo is None else scene().transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    image = open_rgb(tmp_path / "a.png")
    assert np.array_equal(np.asarray(image), np.asarray(scene()))


@pytest.mark.parametrize(
    ("name", "image", "tolerance"),
    [
        ("rgb.png", scene(), 0),
        ("cmyk.jpg", scene().convert("CMYK"), 40),
        ("cmyk.tif", scene().convert("CMYK"), 1),
        ("palette.png", scene().quantize(8), 1),
        ("rgba.png", scene().convert("RGBA"), 0),
        ("frames.gif", scene().quantize(8), 1),
        ("ycbcr.tif", scene().convert("YCbCr"), 4),
        ("photo.webp", scene(), 30),
    ],
)
def test_colour_modes(tmp_path, name, image, tolerance):
    image.save(tmp_path / name)
    rgb = open_rgb(tmp_path / name)
    assert rgb.mode == "RGB" and rgb.size == (24, 16)
    assert close(corner(rgb, "upper left"), RED, tolerance)
    assert close(corner(rgb, "lower left"), GREEN, tolerance)
    assert close(corner(rgb, "lower right"), BLUE, tolerance)


@pytest.mark.parametrize("suffix", [suffix for group in SUFFIXES.values() for suffix in group])
def test_every_format_that_is_looked_for_is_read(tmp_path, suffix):
    if suffix not in Image.registered_extensions():
        pytest.skip(f"this Pillow writes no {suffix}")
    image = scene().convert("1") if suffix == ".pbm" else scene()
    image.save(tmp_path / f"a{suffix}")
    assert open_rgb(tmp_path / f"a{suffix}").size == (24, 16)


def test_what_is_transparent_becomes_white(tmp_path):
    rgba = scene().convert("RGBA")
    rgba.paste((0, 0, 0, 0), (0, 8, 12, 16))
    rgba.paste((0, 0, 0, 128), (12, 8, 24, 16))
    rgba.save(tmp_path / "a.png")
    image = open_rgb(tmp_path / "a.png")
    assert corner(image, "lower left") == (255, 255, 255)
    assert close(corner(image, "lower right"), (127, 127, 127), 1)
    assert corner(image, "upper left") == RED


def test_a_palette_with_transparency(tmp_path):
    image = scene().quantize(8)
    image.save(tmp_path / "a.png", transparency=image.getpixel((2, 13)))
    rgb = open_rgb(tmp_path / "a.png")
    assert corner(rgb, "lower left") == (255, 255, 255)
    assert close(corner(rgb, "upper left"), RED, 1)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_and_black_and_white(tmp_path, mode):
    image = Image.new("L", (8, 8), 255)
    image.paste(0, (0, 0, 4, 8))
    image.convert(mode).save(tmp_path / "a.png")
    rgb = open_rgb(tmp_path / "a.png")
    assert corner(rgb, "upper left") == (0, 0, 0)
    assert corner(rgb, "upper right") == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_are_scaled_and_not_clipped(tmp_path, name):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / name)
    values = np.asarray(open_rgb(tmp_path / name))[..., 0].ravel()
    assert np.abs(values.astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 500_000, 1_000_000]], np.int32), [0, 128, 255]),
        (np.array([[0, 257 * 128, 65535]], np.int32), [0, 128, 255]),
        (np.array([[7.0, 7.0, 7.0]], np.float32), [0, 0, 0]),
    ],
)
def test_wide_and_floating_grey(tmp_path, values, expected):
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.asarray(open_rgb(tmp_path / "a.tif"))[0, :, 0].tolist() == expected


def test_the_first_frame_of_an_animated_image(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert close(corner(open_rgb(tmp_path / "a.gif"), "upper left"), RED, 2)


@pytest.mark.parametrize(
    ("at_least", "size"), [(None, (640, 480)), (480, (640, 480)), (241, (640, 480)),
                           (240, (320, 240)), (60, (80, 60)), (5, (80, 60)), (900, (640, 480))],
)  # fmt: skip
def test_at_least_never_goes_below_what_is_asked(tmp_path, at_least, size):
    scene().resize((640, 480)).save(tmp_path / "a.jpg", quality=95)
    image = open_rgb(tmp_path / "a.jpg", at_least=at_least)
    assert image.size == size
    assert close(corner(image, "lower right"), BLUE)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_rgb(tmp_path / "a.jpg")


def test_too_many_pixels(tmp_path, monkeypatch):
    scene().save(tmp_path / "a.png")
    monkeypatch.setattr("lacewing.data.rgb.MAX_PIXELS", 100)
    with pytest.raises(UnreadableImageError, match="megapixels"):
        open_rgb(tmp_path / "a.png")
    assert MAX_PIXELS > 1e8


def test_damage_is_an_os_error_or_a_value_error(tmp_path):
    scene().save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for start in range(0, len(whole), 3):
        (tmp_path / "b.png").write_bytes(whole[:start] + b"\xff\xff\xff" + whole[start + 3 :])
        try:
            open_rgb(tmp_path / "b.png")
        except (OSError, ValueError) as error:
            assert str(error)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_tiff_is_turned_once(tmp_path, orientation):
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90,
            8: Image.Transpose.ROTATE_270}[orientation]  # fmt: skip
    scene().transpose(undo).save(tmp_path / "a.tif", tiffinfo={0x0112: orientation})
    with (tmp_path / "a.tif").open("rb") as file:
        decoded = decode(file)
    assert np.array_equal(np.asarray(decoded.image), np.asarray(scene()))
    assert (decoded.width, decoded.height) == scene().size


def test_the_transparent_value_of_16_bit_grey_is_white(tmp_path):
    values = np.full((4, 4), 20_000, np.uint16)
    values[0] = 40_000
    Image.fromarray(values).save(tmp_path / "a.png", transparency=20_000)
    assert np.asarray(open_rgb(tmp_path / "a.png"))[:, 0, 0].tolist() == [156, 255, 255, 255]
