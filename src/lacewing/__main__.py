"""`python -m lacewing` is the command `lacewing`."""

import sys

from lacewing.cli import main

if __name__ == "__main__":
    sys.exit(main())
