"""When a prediction is better called a doubt."""

from lacewing.models.bundle_fields import Bundle

LOW_CONFIDENCE = 0.5
"""Below this probability of the best class, a person is told that it may be none of them, where
the model's file has no `none_below` of its own: it is then more likely something else.

Softmax shares out all of its probability even where a photo shows none of the classes, but
then rarely gives one of them this much (Hendrycks and Gimpel 2017, arXiv:1610.02136). It is
a hint, no test: a confident mistake stays confident.
"""


def none_below(bundle: Bundle) -> float:
    """The model's own bound, 0 to 1, where its run found one; else LOW_CONFIDENCE."""
    return LOW_CONFIDENCE if bundle.none_below is None else bundle.none_below
