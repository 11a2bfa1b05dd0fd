"""A product of matrices in a process that may take no more memory."""

import subprocess
import sys

import pytest

PRODUCT = """
import resource, sys
import numpy as np
from pathlib import Path
from lacewing.hardware.blas import take_buffers
one = np.ones((700, 700))
out = np.empty((700, 700))
if "first" in sys.argv:
    take_buffers()
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**20, taken + 2**20))
np.matmul(one, one, out=out)
print(out[0, 0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")
def test_products_need_no_more_memory_afterwards():
    def run(*words):
        line = [sys.executable, "-c", PRODUCT, *words]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    assert run("first").stdout == "700.0\n"
    other = run()
    if other.returncode == 0:
        pytest.skip("this NumPy's linear algebra takes no buffers late")
    assert "700" not in other.stdout
