"""Runs the program `cucmweb`, as `python -m cucmweb`."""

import sys

from cucmweb.main import main

sys.exit(main())
