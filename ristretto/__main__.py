"""``python -m ristretto``: the command line, where the console script is not on the path."""

import sys

from ristretto.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
