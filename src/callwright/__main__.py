"""`python -m callwright` and the `callwright` command."""

import sys

from callwright.cli import main

if __name__ == "__main__":
    sys.exit(main())
