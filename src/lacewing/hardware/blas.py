"""NumPy's linear algebra, made sure of while there is memory."""

import numpy as np

SIDE = 512
"""Of matrices whose product every thread of the library works on."""


def take_buffers() -> None:
    """Let OpenBLAS take its buffers now: some 20 MB for each thread, which it keeps.

    It takes them at its first large product and ends the process, without an exception, where
    there is no memory for them: after the last epoch, say, when a run's figures get their
    intervals.
    """
    square = np.ones((SIDE, SIDE))
    square @ square
