"""How the threads of one operation wait for each other: asleep, not spinning."""

import os


def let_threads_sleep() -> None:
    """Set OMP_WAIT_POLICY to passive, if the user has not set it; call it before torch loads.

    A spinning thread keeps a core from the one that it waits for. Where anything else runs on
    the machine, a training step takes several times as long
    (`benchmarks/wait_policy.py`); on an idle one the difference is small.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
