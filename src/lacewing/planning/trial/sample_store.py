"""Images that are only timed: any that can be read serves for one that can't."""

from lacewing.data.pixels import PixelStore
from lacewing.errors import DataError

SPARE_IMAGES = 32
"""Beyond those of a sample: a small one may have none that can be read."""


class SampleStore(PixelStore):
    """The pixels of a sample, and of spare images after it.

    What a lost image means for the run, the run itself finds out: it sees all of its class.
    """

    def substitute(self, row: int, error: Exception) -> int:
        """The last row that is not lost. Raises DataError if all are."""
        self.lost[row] = str(error)
        for other in reversed(range(len(self))):
            if other not in self.lost:
                return other
        raise DataError(
            f"None of {len(self)} images can be read any more, the last one "
            f"{self._index.path(row)} ({error}): is the disk still there?"
        )
