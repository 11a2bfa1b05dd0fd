"""What a process settles before torch loads."""

from lacewing.hardware.allocator import keep_freed_memory
from lacewing.hardware.waiting import let_threads_wait


def ready_process() -> None:
    """How threads wait, and what becomes of freed memory; what the user has set stays."""
    let_threads_wait()
    keep_freed_memory()
