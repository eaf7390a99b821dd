"""Runs `python -m cucmd`, for whoever has the package but not its scripts on the path."""

import sys

from cucmd.main import main

sys.exit(main())
