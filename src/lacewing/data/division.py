"""Division that rounds the same on every device."""

from torch import Tensor


def divide(values: Tensor, by: float) -> Tensor:
    """Values divided in place, each quotient rounded once.

    CUDA multiplies by the reciprocal of a number that lies on the CPU, and its last bit is often
    another. Here the divisor is filled in on the values' own device, which is not waited for.
    """
    return values.div_(values.new_full((), by))
