"""`python -m cucmctl` is `cucmctl`, for where the script is not on the path."""

import sys

from cucmctl.main import main

sys.exit(main())
