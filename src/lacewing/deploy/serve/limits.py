"""What one request, and all of them together, may take."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of the server. The most memory that uploads take is requests x request_bytes."""

    file_bytes: int = 20_000_000
    request_bytes: int = 40_000_000
    files: int = 20
    """In one request."""
    pixels: int = 50_000_000
    """Of one image: a small file may hold a picture that fills the memory."""
    seconds: float = 30.0
    """For one request, from its first byte to its answer."""
    requests: int = 32
    """Answered at a time; others are told to come back."""
    batch: int = 16
    """Images of one pass through the network."""
    wait_seconds: float = 0.004
    """How long an image waits for others to share its pass."""
    retry_seconds: int = 1
    """When to come back."""
