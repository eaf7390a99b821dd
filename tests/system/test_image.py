"""Tests the image of the service, run by podman as an ordinary user, with nodes outside."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.daemon import CONFIG
from rig.debian import CannotRun, python_of, tree_of_packages
from rig.jobs import SDL
from rig.lab import Lab, running_lab
from rig.package import build_package, newer_package
from rig.pages import ROOT
from rig.quiet import wait_until
from rig.rootless import User, rootless_user

# The first test installs a Debian, unless an earlier run has done so, and builds a package.
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]

CREDENTIAL = "cucmd.lab"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs two nodes; the second one hangs in its first job."""
    with running_lab(2, "--files", "1", "--fault", "2=hang:command*1") as lab:
        yield lab


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[User]:
    """Makes the images `cucmd` and `newer`, and the secrets."""
    packages = tmp_path_factory.mktemp("packages")
    try:
        tree = tree_of_packages()
        package = build_package(packages, python_of(tree))
        newer_package(package, packages / "newer.deb")
        with rootless_user() as user:
            import_base(user, tree)
            for image, file in (("cucmd", package), ("newer", packages / "newer.deb")):
                folder = user.home / f"context-{image}"
                folder.mkdir()
                shutil.copy(file, folder / "cucmd_1.deb")
                user.podman("build", "-f", ROOT / ".ci/Containerfile", "-t", image, folder)
            for name, value in (("username", lab.username), ("password", lab.password)):
                user.podman("secret", "create", f"{CREDENTIAL}.{name}", "-", input=value)
            (user.home / "cucmd.toml").write_text(CONFIG)
            yield user
    except CannotRun as reason:
        pytest.skip(str(reason))


def import_base(user: User, tree: Path) -> None:
    packed = ["tar", "-C", tree, "-c", "--exclude=./dev", "--exclude=./var/lib/apt/lists", "."]
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
        user.podman("import", "-", "localhost/debian", stdin=tar.stdout)


def run_container(user: User, image: str) -> Path:
    """Runs the service with the options of the page, and returns its socket."""
    sockets = user.home / "run/cucmd"
    user.run("mkdir", "-p", sockets)
    secrets = [f"--secret={CREDENTIAL}.{name},mode=0400" for name in ("username", "password")]
    user.podman(
        *("run", "--detach", "--name=cucmd", "--network=host", "--cgroups=disabled"),
        *("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"),
        *(*secrets, "--env=CREDENTIALS_DIRECTORY=/run/secrets"),
        *("--volume=cucmd:/var/lib/cucmd", f"--volume={sockets}:/run/cucmd"),
        *(f"--volume={user.home}/cucmd.toml:/etc/cucmd/cucmd.toml:ro", f"localhost/{image}"),
    )
    socket = sockets / "cucmd.sock"
    wait_until(lambda: user.ctl(socket, "list").returncode == 0, 60)
    return socket


@pytest.fixture
def socket(user: User) -> Iterator[Path]:
    yield run_container(user, "cucmd")
    user.podman("rm", "--force", "--time=0", "cucmd")


def start_job(user: User, socket: Path, node: str, *options: str) -> str:
    asked = ("--path", SDL, "--last=2h", f"--credential={CREDENTIAL}", *options)
    done = user.ctl(socket, "start", node, *asked)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def node_of(user: User, socket: Path, job_id: str) -> dict:
    return json.loads(user.ctl(socket, "--json", "status", job_id).stdout)["nodes"][0]


def test_container_collects_from_nodes_outside(user: User, socket: Path, lab: Lab) -> None:
    job_id = start_job(user, socket, lab.nodes[0], "--wait")
    assert user.ctl(socket, "verify", job_id).returncode == 0


def test_new_image_goes_on_with_job(user: User, socket: Path, lab: Lab) -> None:
    job_id = start_job(user, socket, lab.nodes[1])
    wait_until(lambda: node_of(user, socket, job_id)["phase"] == "command", 60)
    user.podman("stop", "--time=60", "cucmd")
    user.podman("rm", "cucmd")
    run_container(user, "newer")
    assert user.ctl(socket, "wait", job_id).returncode == 0
    assert node_of(user, socket, job_id)["attempt"] == 2
