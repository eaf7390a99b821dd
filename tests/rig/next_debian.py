"""Runs a command in the next release of Debian: `python -m rig.next_debian VERSION COMMAND ...`.

VERSION is the Python that the command needs. The command runs as root, in a chroot, in the
checkout. The chroot has the network, the devices and the pip configuration of this machine.
Everything that the command writes, in the checkout too, is in memory and gone when it ends. The
exit code is that of the command, or `SKIPPED` after a line that says why this machine cannot have
such a Debian.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rig.debian import ENVIRON, CannotRun, python_of, tree_of_packages
from rig.process import die_with_parent

CHECKOUT = Path(__file__).parents[2]
SUITE = "forky"  # Debian 14
PYTHON = "3.14"
# The packages of `.ci/run` that work in a chroot, those that pip needs, and those with which this
# Debian can be booted (tests/system/test_booted_package.py).
PACKAGES = (
    *("python3", "python3-venv", "ca-certificates"),
    *("openssh-client", "openssh-server", "openssh-sftp-server"),
    *("iproute2", "procps", "systemd"),
    *("systemd-sysv", "dbus", "acl"),
)
SKIPPED = 77  # the code for a skipped test in automake
# Variables by which pip reaches an index, and CI, which tests/conftest.py reads.
PASSED_ON = re.compile(r"CI|PIP_\w+|\w+_proxy|\w*SSL_CERT\w*|\w+_CA_BUNDLE", re.IGNORECASE)
SHOWN = ("/etc/hosts", "/etc/resolv.conf", "/etc/pip.conf")

# $1: the packages; $2: an empty folder; $3: the checkout; $4: paths of this machine, one a line.
_ENTER = """
set -e
packages=$1 new=$2 checkout=$3 paths=$4
shift 4
over() { # LOWER NAME TARGET
    mkdir -p "$new/$2/upper" "$new/$2/work" "$3"
    mount -t overlay overlay \\
        -o "lowerdir=$1,upperdir=$new/$2/upper,workdir=$new/$2/work" "$3"
}
mount -t tmpfs -o mode=755 tmpfs "$new"
root=$new/root
over "$packages" system "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
over "$checkout" checkout "$root/srv/checkout"
printf %s "$paths" | while IFS= read -r path; do
    if [ -d "$path" ]; then
        mkdir -p "$root$path"
    elif [ ! -e "$root$path" ]; then
        mkdir -p "$root${path%/*}"
        : >"$root$path"
    fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
exec chroot "$root" sh -c 'cd /srv/checkout && exec "$@"' sh "$@"
"""


def run(version: str, command: Sequence[str]) -> int:
    """Runs the command; returns its exit code. Raises CannotRun."""
    tree = _tree(version)
    environ = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    paths = "".join(f"{path}\n" for path in _paths(environ))
    unshare = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child")
    with tempfile.TemporaryDirectory(prefix="cucmd-") as new:
        arguments = [str(tree), new, str(CHECKOUT), paths, *command]
        return subprocess.run(
            [*unshare, "sh", "-c", _ENTER, "sh", *arguments],
            check=False,
            env=environ | ENVIRON,
            preexec_fn=die_with_parent,
        ).returncode


def _tree(version: str) -> Path:
    if version == PYTHON:  # for any other version the download would be useless
        tree = tree_of_packages(SUITE, PACKAGES)
        if python_of(tree) == version:
            return tree
    raise CannotRun(f"neither this machine nor {SUITE} has a Python {version} with pip")


def _paths(environ: Mapping[str, str]) -> list[str]:
    """Returns the files and folders of this machine that the chroot needs at the same paths."""
    named = [word for value in environ.values() for word in value.split()]
    return [path for path in (*SHOWN, *named) if path.startswith("/") and Path(path).exists()]


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
    except CannotRun as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
