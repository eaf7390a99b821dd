"""Runs `python -m cucmd`, for installations whose scripts are not on the path."""

import sys

from cucmd.main import main

sys.exit(main())
