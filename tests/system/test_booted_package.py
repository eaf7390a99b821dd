"""Tests the life of the Debian package in a booted Debian, of this release and of the next.

The package is built for the Python of each release. All tests of a release share one container;
each begins with the package installed and the service running, and with the nodes of a lab on the
loopback interface, which the container shares.
"""

import base64
import csv
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from cucmctl import Client
from cucmctl.cli import exits
from cucmd.protocol.jobs import Job
from rig import next_debian
from rig.daemon import CONFIG
from rig.debian import CannotRun, booted, python_of, tree_of_packages
from rig.inspection import check_files
from rig.installed import Host
from rig.jobs import SDL, in_phase, start, statuses, until
from rig.lab import Lab, running_lab
from rig.package import build_package, newer_package
from rig.pages import ROOT, fenced, indented
from rig.quiet import wait_until

# The first test installs two Debians, unless an earlier run has done so, and builds two packages.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

PACKAGES = "/srv/packages"
CREDENTIAL = "cucmd.lab"
NODES = ("--files", "1", "--fault", "2=hang:command*1", "--fault", "3=hang:command")
STATE = "/var/lib/private/cucmd"
MUNICH = "/run/munich/cucmd.sock"
SERVICE = ROOT / "daemon/man/cucmd.8.md"
HUB, AGENT = ROOT / "ctl/man/cucmhub.8.md", ROOT / "ctl/man/cucmagent.8.md"
# No network. The configuration that is there stays, without a question.
APT = (
    *("unshare", "--net", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet"),
    *("--allow-downgrades", "--option=Dpkg::Options::=--force-confold"),
)


@dataclass
class Release:
    """Holds a booted Debian, the folder of packages that it sees as PACKAGES, and nodes.

    The second node hangs in its first job, and the third in every job.
    """

    host: Host
    packages: Path
    lab: Lab

    def apt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.host.debian.run(*APT, *arguments, within=600)

    def must_apt(self, *arguments: str) -> None:
        done = self.apt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, package: str) -> None:
        """Installs a package, with an edited configuration and an operator."""
        self.host.write("/etc/cucmd/cucmd.toml", CONFIG)
        self.must_apt("install", f"{PACKAGES}/{package}")
        self.host.debian.must("usermod", "--append", "--groups=cucm", "olga")

    def version(self) -> str:
        """Returns the version of the package that is installed, or nothing."""
        asked = ("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "cucmd")
        status, _, version = self.host.debian.run(*asked).stdout.partition(" ")
        return version if status == "installed" else ""


def this_debian() -> Path:
    return tree_of_packages()


def coming_debian() -> Path:
    return tree_of_packages(next_debian.SUITE, next_debian.PACKAGES)


@pytest.fixture(scope="module", params=[this_debian, coming_debian])
def release(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    packages = tmp_path_factory.mktemp("packages")
    try:
        tree = request.param()
        package = build_package(packages, python_of(tree)).rename(packages / "cucmd.deb")
        newer_package(package, packages / "newer.deb")
        with running_lab(3, *NODES) as lab, booted({packages: PACKAGES}, tree) as debian:
            host = Host(debian, "/usr/bin/cucmctl")
            debian.must("useradd", "olga")
            host.write(f"/etc/credstore/{CREDENTIAL}.username", lab.username, 0o600)
            host.write(f"/etc/credstore/{CREDENTIAL}.password", lab.password, 0o600)
            yield Release(host, packages, lab)
            assert "Traceback" not in host.journal()
    except CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture
def host(release: Release) -> Host:
    """Installs the package if it is not there, and starts the service."""
    release.install("cucmd.deb")
    release.host.systemctl("start", "cucmd.service")
    return release.host


def start_hanging_job(client: Client, lab: Lab, number: int) -> str:
    """Starts a job on node `number`, and returns its id when the node hangs."""
    job = start(client, lab, [lab.nodes[number - 1]], credential=CREDENTIAL)
    until(client, job.job_id, in_phase("command"))
    return job.job_id


def collect(host: Host, lab: Lab) -> Job:
    """Collects from the quick node, as an operator."""
    asked = ("--path", SDL, "--last=2h", f"--credential={CREDENTIAL}", "--wait")
    return host.job(host.must_ctl("olga", "start", lab.nodes[0], *asked).strip())


def typed(page: Path, part: str) -> str:
    """Returns the commands of a page among which `part` is. Each of them must succeed."""
    (block,) = (block for block in indented(page) if part in block)
    return block.replace(" && ", "\n")


def test_installed_service_collects(release: Release, host: Host) -> None:
    job = collect(host, release.lab)
    assert job.status == "succeeded"
    check_files(host.debian.path(job.directory))
    for unit in ("cucmd.service", "cucmd.socket"):
        assert host.show("UnitFileState", unit) == "enabled"
    assert host.show("UnitFileState", "cucmweb.socket") == "disabled"


def test_all_programs_run(host: Host) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    for name in scripts:
        host.debian.must(name, "--version", user="olga")
    assert "cucmctl-start" in host.debian.must("ls", "/usr/share/man/man1")
    host.debian.must("cucmd", "demo", user="olga")


def test_package_is_for_one_python(release: Release, host: Host) -> None:
    asked = ("dpkg-query", "--show", "--showformat=${Depends}", "cucmd")
    minor = int(python_of(host.debian.path("/")).removeprefix("3."))
    needed = {f"python3 (>= 3.{minor})", f"python3 (<< 3.{minor + 1})"}
    assert needed <= set(host.debian.must(*asked).split(", "))


def test_libraries_are_as_their_authors_built_them(host: Host) -> None:
    folder, wrong, checked = host.debian.path("/usr/lib/cucmd"), [], 0
    for record in folder.glob("*.dist-info/RECORD"):
        for name, digest, _ in csv.reader(record.read_text().splitlines()):
            if re.search(r"\.so\b", name):
                found = sha256((folder / name).read_bytes()).digest()
                expected = base64.urlsafe_b64decode(f"{digest.removeprefix('sha256=')}=")
                wrong += [name] if found != expected else []
                checked += 1
    assert (wrong, checked > 10) == ([], True)


def test_other_programs_get_no_libraries(host: Host) -> None:
    host.write("/tmp/bin/ssh", "#!/bin/sh\nenv >/tmp/environment\n", 0o755)
    host.write("/tmp/cucmctl/sites.toml", '[sites]\nberlin = "ssh://berlin"\n')
    variables = ("XDG_CONFIG_HOME=/tmp", "PATH=/tmp/bin:/usr/bin")
    host.debian.run("env", *variables, "cucmctl", "--site", "berlin", "list", user="olga")
    assert "PYTHONPATH" not in host.debian.must("cat", "/tmp/environment")


def test_configuration_shows_defaults(host: Host) -> None:
    """The file of the package is beside that of the administrator, and says the defaults."""
    shown = host.debian.path("/etc/cucmd/cucmd.toml.dpkg-dist").read_text()
    host.write("/tmp/shown.toml", re.sub(r"^#(?! )", "", shown, flags=re.MULTILINE))
    host.write("/tmp/empty.toml", "")
    checked = [
        host.debian.must("cucmd", "check", "--all", f"--config=/tmp/{name}.toml").splitlines()[1:]
        for name in ("shown", "empty")
    ]
    assert checked[0] == checked[1]
    assert len(tomllib.loads("\n".join(checked[0]))) > 5


def test_upgrade_goes_on_with_job(release: Release, host: Host) -> None:
    edited = host.debian.path("/etc/cucmd/cucmd.toml").read_text()
    with host.client() as client:
        job_id = start_hanging_job(client, release.lab, 2)
    release.install("newer.deb")
    assert release.version().endswith("+newer")
    with host.client() as client:
        job = client.wait(job_id, timeout=60)
    assert statuses(job) == ["succeeded"]
    assert [node.attempt for node in job.nodes] == [2]
    assert host.debian.path("/etc/cucmd/cucmd.toml").read_text() == edited
    for name in ("cucmd/cucmd.toml.dpkg-dist", "cucmhub/cucmhub.toml"):  # that nobody has edited
        assert host.debian.path(f"/etc/{name}").read_text().endswith("# newer\n")


def test_nightly_lines_of_page(release: Release, host: Host) -> None:
    cluster = (
        f'[clusters.berlin]\nnodes = ["{release.lab.nodes[0]}"]\ncredential = "{CREDENTIAL}"\n'
    )
    host.write("/etc/cucmd/cucmd.toml", CONFIG + cluster)
    host.systemctl("reload", "cucmd")
    try:
        lines = typed(SERVICE, "night/berlin.conf").replace("--keep 30", "--keep 30 --yes")
        host.debian.must("sh", "-e", "-c", lines)
        host.systemctl("start", "cucmd-collect@berlin.service")
        jobs = json.loads(host.must_ctl("olga", "--json", "list", "--label=every=night"))
        assert {job["kind"] for job in jobs} == {"collect", "health"}
        host.systemctl(
            "disable", "--now", "cucmd-collect@berlin.timer", "cucmd-health@berlin.timer"
        )
    finally:
        host.write("/etc/cucmd/cucmd.toml", CONFIG)


def test_metrics_lines_of_page(host: Host) -> None:
    folder = "/var/lib/prometheus/node-exporter"
    host.debian.must("mkdir", "--parents", folder)  # as Debian's node_exporter has it
    (enable,) = set(
        re.findall(r"`(systemctl enable --now cucmd-metrics.timer)`", SERVICE.read_text())
    )
    host.debian.must(*enable.split())
    host.systemctl("start", "cucmd-metrics.service")
    assert "\ncucmd_up 1.0\n" in host.debian.path(f"{folder}/cucmd.prom").read_text()
    host.systemctl("disable", "--now", "cucmd-metrics.timer")
    host.systemctl("stop", "cucmd.socket", "cucmd.service")
    host.systemctl("restart", "cucmd-metrics.service")
    assert "\ncucmd_up 0.0\n" in host.debian.path(f"{folder}/cucmd.prom").read_text()
    host.systemctl("start", "cucmd.socket")


def in_database(host: Host, statement: str) -> str:
    """Executes a statement in the database of the service, and returns the first value."""
    host.systemctl("stop", "cucmd.socket", "cucmd.service")
    code = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]))"
    return host.debian.must("python3", "-c", code, f"{STATE}/cucmd.db", statement).strip("(,)\n")


def test_upgrade_leaves_unknown_database(release: Release, host: Host) -> None:
    """A package that knows another version of the database than the one that is there."""
    version = in_database(host, "PRAGMA user_version")
    in_database(host, "PRAGMA user_version = 999")
    release.install("newer.deb")
    assert host.show("ActiveState") != "active"
    assert in_database(host, "PRAGMA user_version") == "999"
    in_database(host, f"PRAGMA user_version = {version}")
    host.systemctl("start", "cucmd.service")


def test_removal_keeps_state(release: Release, host: Host) -> None:
    job_id = collect(host, release.lab).job_id
    host.systemctl("enable", "--now", "cucmweb.socket", "cucmweb.service")
    release.must_apt("remove", "cucmd")
    for unit in ("cucmd.service", "cucmd.socket", "cucmweb.service", "cucmweb.socket"):
        assert host.show("ActiveState", unit) == "inactive"
    assert not host.debian.path("/usr/lib/cucmd").exists()
    release.install("cucmd.deb")
    assert host.job(job_id).status == "succeeded"


def gone(host: Host) -> bool:
    """Returns whether neither state nor configuration, groups and users are left."""
    paths = (STATE, "/var/lib/cucmd", "/var/lib/cucmweb", "/run/cucmd", "/etc/cucmd/cucmd.toml")
    left = [path for path in paths if host.debian.run("test", "-e", path).returncode == 0]
    named = host.debian.run("getent", "group", "cucm", "cucm-view", "cucmweb").stdout
    return not left and not named


def test_purge_ends_jobs_and_removes_state(release: Release, host: Host) -> None:
    host.systemctl("start", "cucmweb.service")
    with host.client() as client:
        start_hanging_job(client, release.lab, 3)
    release.must_apt("purge", "cucmd")
    assert gone(host)
    wait_until(lambda: release.lab.report()["connections_now"] == 0)


def test_purge_leaves_busy_mount_point(release: Release) -> None:
    release.host.debian.must("dpkg", "--purge", "cucmd")
    mounted = "mkdir -p $0 && mount -t tmpfs none $0 && touch $0/busy"
    release.host.debian.must("sh", "-c", mounted, STATE)
    try:
        release.install("cucmd.deb")
        with release.host.debian.path(f"{STATE}/busy").open():
            release.must_apt("purge", "cucmd")
        assert release.host.debian.must("ls", "-A", STATE) == ""
    finally:
        release.host.debian.must("umount", "--lazy", STATE)


def test_installation_by_hand_is_refused(release: Release) -> None:
    release.host.debian.must("dpkg", "--purge", "cucmd")
    unit = "/etc/systemd/system/cucmd.service"
    release.host.write(unit, (ROOT / "systemd/cucmd.service").read_text())
    try:
        assert release.apt("install", f"{PACKAGES}/cucmd.deb").returncode != 0
    finally:
        release.host.debian.must("rm", unit)
    assert not release.version()


def put(host: Host, page: Path, path: str, before: str = "") -> None:
    """Writes a configuration file as the page shows it."""
    (text,) = (text for _, text in fenced(page) if f"# {path}\n" in text)
    host.write(path, before + text)


@pytest.mark.parametrize("release", [this_debian], indirect=True)
def test_pages_make_hub_and_two_sites(release: Release, host: Host) -> None:
    """Hub and sites are one host, with Debian's NATS server. Each site has a cucmd of its own."""
    download = ["apt-get", "--quiet", "download", "nats-server"]
    subprocess.run(download, cwd=release.packages, check=True, capture_output=True)
    (server,) = release.packages.glob("nats-server_*.deb")
    host.debian.must("dpkg", "--install", f"{PACKAGES}/{server.name}")
    host.write("/etc/hosts", "127.0.0.1 localhost hub.example\n")
    host.debian.must("useradd", "--groups=cucm-view", "vera")

    make, _, use = typed(HUB, "openssl").partition("\ninstall")
    subprocess.run(["sh", "-c", make], cwd=release.packages, check=True, capture_output=True)
    host.debian.must("sh", "-e", "-c", f"cd {PACKAGES}\ninstall{use}")
    put(host, HUB, "/etc/nats-server.conf")
    put(host, HUB, "/etc/cucmhub/cucmhub.toml")
    commands = typed(HUB, "nats-server\n")
    firewall = "ExecStartPre=+/usr/sbin/nft -f /etc/cucmhub/nats.nft"
    assert firewall in commands
    # Left out, because the container shares the network of this machine, and may not change it.
    host.debian.must("sh", "-e", "-c", commands.replace(firewall, ""))

    put(host, AGENT, "/etc/cucmd/cucmd.toml", CONFIG)
    host.debian.must("cp", "/etc/cucmhub/ca.pem", "/")
    commands = typed(AGENT, "apt install")
    host.debian.must("sh", "-e", "-c", commands.replace("apt install ./cucmd_*.deb", ""))

    hub = ("--socket", "/run/cucmhub/cucmhub.sock")
    node = f"berlin/{release.lab.nodes[0]}"
    ask = ("start", node, f"--path={SDL}", "--last=2h", f"--credential={CREDENTIAL}", "--wait")
    try:
        host.must_ctl("olga", *hub, *ask)
        assert host.ctl("vera", *hub, *ask).returncode == exits.NOT_PERMITTED
        assert json.loads(host.must_ctl("vera", *hub, "--json", "list"))
        daemon = ("cucmd", "serve", f"--socket={MUNICH}")
        has = ("StateDirectory=munich", "ImportCredential=cucmd.*", "Type=notify")
        options = ("--unit=munich-cucmd", *(f"--property={one}" for one in has))
        host.debian.must("systemd-run", *options, *daemon)
        add = f"(cucmhub site add munich; echo 'socket = \"{MUNICH}\"')"
        install = "install -m 640 -g cucmagent /dev/stdin /etc/cucmagent/munich.toml"
        host.debian.must("sh", "-c", f"{add} | {install}")
        agent = ("cucmagent", "--config", "/etc/cucmagent/munich.toml")
        host.debian.must("systemd-run", "--unit=munich", "--uid=cucmagent", *agent)
        start_munich = (*hub, "start", f"munich/{release.lab.nodes[0]}", *ask[2:])
        # The hub looks every few seconds which sites there are.
        wait_until(lambda: host.ctl("olga", *start_munich).returncode == 0, 60)
        (job,) = json.loads(host.must_ctl("olga", "--socket", MUNICH, "--json", "list"))
        assert job["status"] == "succeeded"
        host.debian.must("cucmhub", "site", "remove", "munich")
        wait_until(lambda: "Authorization" in host.journal("munich"), 60)
        assert host.ctl("olga", *start_munich).returncode != 0
        host.must_ctl("olga", *hub, *ask)
        host.debian.must("cucmhub", "site", "remove", "berlin")
        wait_until(lambda: "Authorization" in host.journal("cucmagent"), 60)
    finally:
        host.debian.run("systemctl", "stop", "munich", "munich-cucmd")
        host.systemctl("disable", "--now", "cucmagent", "cucmhub.service", "cucmhub.socket")
        release.must_apt("purge", "nats-server")
        host.write("/etc/cucmd/cucmd.toml", CONFIG)
    assert "Traceback" not in host.journal("cucmagent") + host.journal("cucmhub")


@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
@pytest.mark.parametrize("release", [this_debian], indirect=True)
def test_lintian_finds_nothing(release: Release) -> None:
    command = ["lintian", "--fail-on=error,warning", release.packages / "cucmd.deb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
