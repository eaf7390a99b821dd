"""Runs a `cucmweb` that gives up a silent daemon after CUCMD_TEST_SILENCE seconds."""

import os

from cucmweb import liveness
from cucmweb.main import main

if __name__ == "__main__":
    liveness.SILENCE = float(os.environ["CUCMD_TEST_SILENCE"])
    raise SystemExit(main())
