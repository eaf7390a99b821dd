"""Sets the wall clock of a process off, and leaves its monotonic clock as it is."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (!result && id == CLOCK_REALTIME) now->tv_sec += atol(getenv("CUCMD_TEST_SECONDS_OFF"));
    return result;
}
"""


def off_by(folder: Path, off: timedelta) -> dict[str, str]:
    """Returns the environment in which a program has such a clock. Needs a C compiler.

    Python reads its clock with clock_gettime(2) of the C library, which is replaced.
    """
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    library = folder / "clock.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-"]
    subprocess.run(command, input=_SOURCE, text=True, check=True)
    return {
        "LD_PRELOAD": str(library),
        "CUCMD_TEST_SECONDS_OFF": str(int(off.total_seconds())),
    }
