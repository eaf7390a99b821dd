"""Finds a Python with the project installed that every user of this machine may run.

It is the Python of the tests, if other users may run that. Otherwise, as with a Python below a home
directory (pyenv), it is a copy in the folder for temporary files.
"""

import atexit
import functools
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

import cucmctl
import cucmd
import cucmlab
import cucmmask
import cucmmcp
import cucmtrio
import cucmweb

NOBODY = 65534
# Read at the import: during a test it is a folder that is removed after the test.
_TEMPORARY = tempfile.gettempdir()
_NOT_OF_THE_LIBRARY = ("site-packages", "test", "idlelib", "tkinter", "ensurepip", "config-*")
_NOT_OF_THE_PACKAGES = ("*.pth", "*mypy*", "coverage", "hypothesis", "paramiko", "pip", "ruff*")


class Python(NamedTuple):
    program: str
    environ: dict[str, str]


@functools.cache
def readable_python() -> Python:
    """Returns the same Python for the whole test run."""
    ours = Python(sys.executable, {})
    return ours if runs_for_nobody(ours) else copied_python()


def copied_python() -> Python:
    folder = Path(tempfile.mkdtemp(prefix="cucmd-python-", dir=_TEMPORARY))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    _copy_interpreter(folder)
    _copy_packages(folder / "packages")
    python = Python(
        str(folder / "bin/python3"),
        {"PYTHONPATH": str(folder / "packages"), "LD_LIBRARY_PATH": str(folder / "lib")},
    )
    assert runs_for_nobody(python), f"the copy of {sys.executable} does not run for other users"
    return python


def runs_for_nobody(python: Python) -> bool:
    """Says whether the user nobody can run this Python and import the project."""
    try:
        done = subprocess.run(
            [python.program, "-c", "import cucmctl.main, cucmd.main"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env=python.environ,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copy_interpreter(folder: Path) -> None:
    """Copies the program and its library, which it finds relative to its own path."""
    (folder / "bin").mkdir()
    shutil.copy(Path(sys._base_executable).resolve(), folder / "bin/python3")
    prefix = Path(sys.base_prefix)
    for kind in ("stdlib", "platstdlib"):
        library = Path(
            sysconfig.get_path(kind, vars={"base": str(prefix), "platbase": str(prefix)})
        )
        _copy(library, folder / library.relative_to(prefix), _NOT_OF_THE_LIBRARY)
    (folder / "lib").mkdir(exist_ok=True)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3*.so*"):
        shutil.copy(shared, folder / "lib")


def _copy_packages(folder: Path) -> None:
    for kind in ("purelib", "platlib"):
        _copy(Path(sysconfig.get_path(kind)), folder, _NOT_OF_THE_PACKAGES)
    for package in (cucmctl, cucmmask, cucmmcp, cucmtrio, cucmweb, cucmd, cucmlab):
        source = Path(package.__file__).parent
        _copy(source, folder / source.name, ())


def _copy(source: Path, target: Path, without: tuple[str, ...]) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*without), dirs_exist_ok=True)
