"""The copy of this Python for other users is complete."""

import os
import subprocess

import pytest

from rig.readable_python import NOBODY, copied_python, runs_for_nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: is another user")


@pytest.mark.long
def test_a_copy_of_this_python_is_all_that_another_user_needs() -> None:
    python = copied_python()
    assert runs_for_nobody(python)
    done = subprocess.run(
        [python.program, "-c", "import cucmd, sys; print(sys.prefix, cucmd.__path__[0])"],
        user=NOBODY,
        env=python.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = python.program.removesuffix("/bin/python3")
    assert done.stdout.split() == [folder, f"{folder}/packages/cucmd"]
