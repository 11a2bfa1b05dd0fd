"""Counts and durations of the server, as Prometheus reads them.

The text format is https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
IMAGES = (1, 2, 4, 8, 16, 32)


@dataclass
class Histogram:
    """Observations by their upper bounds."""

    bounds: Sequence[float]
    counts: Counter[int] = field(default_factory=Counter)
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count a value in the first bucket that holds it; the last has no bound."""
        bucket = next((i for i, bound in enumerate(self.bounds) if value <= bound), -1)
        self.counts[bucket] += 1
        self.total += value

    def lines(self, name: str) -> Iterator[str]:
        """The cumulative buckets, the sum and the count."""
        below = 0
        for i, bound in enumerate(self.bounds):
            below += self.counts[i]
            yield f'{name}_bucket{{le="{bound:g}"}} {below}'
        count = self.counts.total()
        yield f'{name}_bucket{{le="+Inf"}} {count}'
        yield f"{name}_sum {self.total:.6f}"
        yield f"{name}_count {count}"


@dataclass
class Measures:
    """Everything that is counted. Only the event loop's thread may touch it."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By path and status."""
    in_progress: int = 0
    images: int = 0
    unreadable: int = 0
    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    batches: Histogram = field(default_factory=lambda: Histogram(IMAGES))

    def text(self) -> str:
        """The page that Prometheus reads."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield from head("lacewing_requests_total", "counter", "Answered requests.")
        for (path, status), count in sorted(self.requests.items()):
            yield f'lacewing_requests_total{{path="{path}",status="{status}"}} {count}'
        yield from head("lacewing_requests_in_progress", "gauge", "Requests at work.")
        yield f"lacewing_requests_in_progress {self.in_progress}"
        yield from head("lacewing_images_total", "counter", "Images that were named.")
        yield f"lacewing_images_total {self.images}"
        yield from head("lacewing_unreadable_images_total", "counter", "Files without an image.")
        yield f"lacewing_unreadable_images_total {self.unreadable}"
        yield from head("lacewing_request_seconds", "histogram", "Time of an upload's answer.")
        yield from self.seconds.lines("lacewing_request_seconds")
        yield from head("lacewing_batch_images", "histogram", "Images of one pass.")
        yield from self.batches.lines("lacewing_batch_images")


def head(name: str, kind: str, about: str) -> Iterator[str]:
    """What stands before a measure."""
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
