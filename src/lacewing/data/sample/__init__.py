"""A data set without a network: stylised photos of insects on leaves, drawn from a seed.

Classes differ in body plan and pattern; colours, poses, grounds and light vary within a class
and overlap between classes, so that a model must look at shapes.
"""

from lacewing.data.sample.draw import draw_sample
from lacewing.data.sample.sheet import contact_sheet

__all__ = ["contact_sheet", "draw_sample"]
