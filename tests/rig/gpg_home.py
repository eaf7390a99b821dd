"""Makes a home of gpg with a key."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY = "vendor@example.org"
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@contextmanager
def gpg_home(home: Path) -> Iterator[Path]:
    """Yields a new home with a key for KEY. Ends the agent of gpg afterwards."""
    home.mkdir(mode=0o700)
    command = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", KEY, "future-default"]
    subprocess.run(command, env={**os.environ, "GNUPGHOME": str(home)}, check=True)
    try:
        yield home
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
