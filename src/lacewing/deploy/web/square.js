// From a picture to the square that the network sees: what lacewing does with Pillow, to the
// byte, so that a phone gives the same answer as the machine that trained.
//
// Resampling is Pillow's: each output pixel is a weighed mean of the input pixels under a filter
// that is widened by the scale (anti-aliasing); first along rows, then along columns, in fixed
// point with rounding to 8 bits in between (Pillow, src/libImaging/Resample.c). Of pictures more
// than twice as high as wide, newer Pillows resample the columns first (Pillow#9549): there some
// bytes differ by one.

const PRECISION = 2 ** (32 - 8 - 2);
const MAX_ASPECT = 2;

const FILTERS = {
  bilinear: { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weigh: cubic },
};

function cubic(x) {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

// pixels: {data: bytes RGBA, width, height}. rule: {resize_size, image_size, interpolation}.
// Returns the bytes RGB of the central square of image_size pixels.
export function centralSquare(pixels, rule) {
  const { width, height } = pixels;
  const filter = FILTERS[rule.interpolation];
  const across = axis(width, Math.min(width, height), rule, filter);
  const down = axis(height, Math.min(width, height), rule, filter);
  return columns(rows(pixels, across, down), down);
}

// The weights of the central output pixels along one axis.
function axis(length, shorter, rule, filter) {
  const side = rule.resize_size;
  const target = Math.max(side, Math.floor((length * side) / shorter + 0.5));
  const keep = Math.min(target, Math.trunc(side * MAX_ASPECT));
  const margin = (length * (1 - keep / target)) / 2;
  // Pillow keeps the borders of the region in 32-bit floats
  const start = Math.fround(margin);
  const end = Math.fround(length - margin);
  const scale = Math.fround(end - start) / keep;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  const first = Math.floor((keep - rule.image_size) / 2);
  return Array.from({ length: rule.image_size }, (_, k) => {
    const centre = start + (first + k + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const to = Math.min(length, Math.trunc(centre + support + 0.5));
    return { from, weights: weights(from, to, centre, wide, filter) };
  });
}

function weights(from, to, centre, wide, filter) {
  const raw = [];
  for (let x = from; x < to; x += 1) raw.push(filter.weigh((x - centre + 0.5) * (1 / wide)));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  return raw.map((weight) => {
    const fixed = (total === 0 ? weight : weight / total) * PRECISION;
    return Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
  });
}

// Every row that a column will need, resampled along the row: bytes RGB, and its first row.
function rows({ data, width }, across, down) {
  const top = down[0].from;
  const last = down[down.length - 1];
  const count = last.from + last.weights.length - top;
  const size = across.length;
  const out = new Uint8ClampedArray(count * size * 3);
  for (let y = 0; y < count; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const { from, weights: taps } = across[x];
      weighed(data, 4 * ((y + top) * width + from), 4, taps, out, 3 * (y * size + x));
    }
  }
  return { data: out, top, size };
}

function columns({ data, top, size }, down) {
  const out = new Uint8ClampedArray(down.length * size * 3);
  down.forEach(({ from, weights: taps }, y) => {
    for (let x = 0; x < size; x += 1) {
      weighed(data, 3 * ((from - top) * size + x), 3 * size, taps, out, 3 * (y * size + x));
    }
  });
  return new Uint8Array(out.buffer);
}

// Sums of at most 8 + 22 bits and a few more are exact in a double; `out` clamps to 0..255.
function weighed(data, start, step, taps, out, place) {
  let red = PRECISION / 2;
  let green = red;
  let blue = red;
  for (let k = 0, at = start; k < taps.length; k += 1, at += step) {
    red += data[at] * taps[k];
    green += data[at + 1] * taps[k];
    blue += data[at + 2] * taps[k];
  }
  out[place] = Math.floor(red / PRECISION);
  out[place + 1] = Math.floor(green / PRECISION);
  out[place + 2] = Math.floor(blue / PRECISION);
}
