"""The kernels of `kernel.py`, in Triton's own subset of Python, which reads no annotations.

Where TRITON_INTERPRET is 1 as this is loaded, they run on the CPU, for tests.
"""

import triton
import triton.language as tl

FACTS = 8
"""Numbers of an image: first byte, bytes of a row, last place along x and y, samples down and
across, where its steps begin; and one that keeps all aligned to 16 bytes, as the compiled kernels
take it."""
FACTS_OF_ONE = tl.constexpr(FACTS)
RED, GREEN, BLUE = tl.constexpr(0.2989), tl.constexpr(0.587), tl.constexpr(0.114)
"""See `augment.GREY`."""


@triton.jit
def sample(flat, facts, steps, jitter, out, sums, size, PIXELS: tl.constexpr):
    """A tile of one image: the mean of its samples, by its brightness; and the sum of its grey."""
    image = tl.program_id(0)
    spot = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    inside = spot < size * size
    column, row = spot % size, spot // size
    about = facts + image * FACTS_OF_ONE
    start, line = tl.load(about), tl.load(about + 1)
    last_x, last_y = tl.load(about + 2).to(tl.int32), tl.load(about + 3).to(tl.int32)
    down, across = tl.load(about + 4).to(tl.int32), tl.load(about + 5).to(tl.int32)
    own = steps + tl.load(about + 6)
    red = tl.zeros([PIXELS], tl.float32)
    green = tl.zeros([PIXELS], tl.float32)
    blue = tl.zeros([PIXELS], tl.float32)
    for i in range(down):
        rows = own + 2 * (across + i) * size + row
        begin_x, begin_y = tl.load(rows, inside, 0), tl.load(rows + size, inside, 0)
        for j in range(across):
            columns = own + 2 * j * size + column
            x = begin_x + tl.load(columns, inside, 0)
            y = begin_y + tl.load(columns + size, inside, 0)
            x = tl.minimum(tl.maximum(x, 0), last_x)
            y = tl.minimum(tl.maximum(y, 0), last_y)
            left, top = x >> 8, y >> 8
            # beyond the last pixel its own is read, with a weight of 0
            right = tl.minimum(left + 1, last_x >> 8)
            low = tl.minimum(top + 1, last_y >> 8)
            across_weight = (x & 255).to(tl.float32) * (1 / 256)
            down_weight = (y & 255).to(tl.float32) * (1 / 256)
            upper, lower = flat + start + top * line, flat + start + low * line
            left, right = 3 * left, 3 * right
            red += blend(upper, lower, left, right, across_weight, down_weight, inside)
            upper, lower = upper + 1, lower + 1
            green += blend(upper, lower, left, right, across_weight, down_weight, inside)
            upper, lower = upper + 1, lower + 1
            blue += blend(upper, lower, left, right, across_weight, down_weight, inside)
    most = tl.zeros([PIXELS], tl.float32) + 255.0 * (down * across).to(tl.float32)
    brightness = tl.load(jitter + 3 * image)
    red = within(tl.div_rn(red, most) * brightness)
    green = within(tl.div_rn(green, most) * brightness)
    blue = within(tl.div_rn(blue, most) * brightness)
    place = out + (image.to(tl.int64) * size * size + spot) * 3
    tl.store(place, red, inside)
    tl.store(place + 1, green, inside)
    tl.store(place + 2, blue, inside)
    grey = tl.where(inside, grey_of(red, green, blue), 0.0)
    tl.store(sums + image * tl.num_programs(1) + tl.program_id(1), tl.sum(grey))


@triton.jit
def tone(out, sums, jitter, size, tiles, PIXELS: tl.constexpr, TILES: tl.constexpr):
    """A tile of one image: contrast about the mean of its grey, and saturation, in place."""
    image = tl.program_id(0)
    spot = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    inside = spot < size * size
    tile = tl.arange(0, TILES)
    mean = tl.sum(tl.load(sums + image * tiles + tile, tile < tiles, 0.0)) / (size * size)
    contrast, saturation = tl.load(jitter + 3 * image + 1), tl.load(jitter + 3 * image + 2)
    pale = mean * (1 - contrast)
    place = out + (image.to(tl.int64) * size * size + spot) * 3
    red = within(tl.load(place, inside, 0.0) * contrast + pale)
    green = within(tl.load(place + 1, inside, 0.0) * contrast + pale)
    blue = within(tl.load(place + 2, inside, 0.0) * contrast + pale)
    grey = grey_of(red, green, blue) * (1 - saturation)
    tl.store(place, within(red * saturation + grey), inside)
    tl.store(place + 1, within(green * saturation + grey), inside)
    tl.store(place + 2, within(blue * saturation + grey), inside)


@triton.jit
def blend(upper, lower, left, right, across_weight, down_weight, inside):
    """One channel between four pixels, without rounding: each weight is a multiple of 1/256."""
    first = along(upper, left, right, across_weight, inside)
    second = along(lower, left, right, across_weight, inside)
    return first + down_weight * (second - first)


@triton.jit
def along(line, left, right, weight, inside):
    """Between two pixels of a row."""
    first = tl.load(line + left, inside, 0).to(tl.float32)
    second = tl.load(line + right, inside, 0).to(tl.float32)
    return first + weight * (second - first)


@triton.jit
def grey_of(red, green, blue):
    """Luma."""
    return red * RED + green * GREEN + blue * BLUE


@triton.jit
def within(values):
    """Moved into 0..1."""
    return tl.minimum(tl.maximum(values, 0.0), 1.0)
