"""Installs versions of the project as users do, each in its own environment, with `cucmweb`.

A commit is installed once, from the output of `git archive`; the cache folder keeps it. The
checkout is installed each time. Nothing is left in the repository.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
WITH = "[web]"  # pip ignores it for a version that has no such extra


class CannotInstall(Exception):
    """Says what is missing, in one line, or shows the output of the program that failed."""


class Version(NamedTuple):
    """Describes an installed version.

    name: its heading in a table. bin: the folder of `cucmd`, `cucmctl` and their `python`.
    """

    name: str
    bin: Path


# The environment that runs this program: it shows a figure without an installation.
HERE = Version("here", Path(sys.executable).parent)


def commit_of(name: str, repository: Path = REPOSITORY) -> str:
    """Returns the full id of the commit. Raises `CannotInstall` if there is no such commit."""
    found = _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    if found.stderr:  # such as: not a repository
        raise CannotInstall(found.stderr.decode().strip())
    reason = ""
    if _git(repository, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
        reason = ": the clone is shallow, `git fetch --unshallow` gets the rest"
    raise CannotInstall(f"no commit {name} here{reason}")


def install_commit(name: str, cache: Path, repository: Path = REPOSITORY) -> Version:
    """Installs the commit, or finds it in the cache. Raises `CannotInstall`."""
    commit = commit_of(name, repository)
    with _environment(cache, commit[:12]) as (folder, is_new), tempfile.TemporaryDirectory() as at:
        if is_new:
            archive = _git(repository, "archive", "--format=tar", commit)
            if archive.returncode != 0:
                raise CannotInstall(archive.stderr.decode().strip())
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(at, filter="data")
            _pip_install(folder, Path(at))
    return Version(commit[:7], folder / "bin")


def install_checkout(cache: Path) -> Version:
    """Installs the files as they are now, committed or not. Raises `CannotInstall`."""
    name = f"checkout-{hashlib.sha256(bytes(REPOSITORY)).hexdigest()[:12]}"
    with _environment(cache, name) as (folder, _):
        _pip_install(folder, REPOSITORY)
    return Version("checkout", folder / "bin")


@contextmanager
def _environment(cache: Path, name: str) -> Iterator[tuple[Path, bool]]:
    """Yields a folder with an environment, and whether the environment is new.

    One process at a time has it. If the caller raises, the next one gets a new environment.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder, made = cache / name, cache / name / "made-with"
    python = f"{sys.base_prefix} {sys.version} {WITH}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_new = not made.exists() or made.read_text() != python
        if is_new:
            print(f"installing {name} ...", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", folder)
        yield folder, is_new
        made.write_text(python)


def _pip_install(environment: Path, source: Path) -> None:
    _run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", f"{source}{WITH}")


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotInstall(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}".strip())


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # In a container another user often owns the checkout. Git only reads it.
    command = ["git", "-c", "safe.directory=*", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise CannotInstall("needs git") from None
