"""Builds the package for Debian."""

import re
import subprocess
from pathlib import Path

from rig.pages import ROOT


def build_package(folder: Path, python: str) -> Path:
    """Builds the package into an empty folder, for a Debian with that version of Python."""
    command = [ROOT / ".ci/build-deb", folder, python]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=900)
    (package,) = folder.iterdir()
    return package


def newer_package(package: Path, target: Path) -> None:
    """Writes a package with a higher version and one more line in each configuration file."""
    tree = target.with_suffix("")
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    higher = re.sub(r"^(Version: .*)", r"\1+newer", control.read_text(), flags=re.MULTILINE)
    control.write_text(higher)
    for name in (tree / "DEBIAN/conffiles").read_text().split():
        with (tree / name.lstrip("/")).open("a") as file:
            file.write("# newer\n")
    build = ["dpkg-deb", "--root-owner-group", "-z1", "--build", tree, target]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
