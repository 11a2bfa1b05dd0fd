"""Affine resampling of a batch of images: the same pixels on every device.

Places are counted in 1/256 pixel, what a column and what a row adds each rounded on its own
(OpenCV's warps round to 1/32). So every weight along an axis is a multiple of 2**-8 and every
pixel a byte: all sums fit the 24 bits of a float32 and are exact, in whatever order and by
whatever instructions they are computed. Nothing is read beyond an image's own border, and a
shift, a flip or a quarter turn copies.

Two ways lead to these pixels: `grid`, quicker on a CPU, and `table`, for other devices and for
images that do not lie on one canvas. `data/kernel.py` is a third, where Triton compiles for the
device.
"""

from lacewing.data.resample.batch import passes, resample, some_of
from lacewing.data.resample.table import Table, lie_on, spare_bytes

__all__ = ["Table", "lie_on", "passes", "resample", "some_of", "spare_bytes"]
