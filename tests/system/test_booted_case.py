"""Tests a job as a case, at a booted service, for users who have nothing but their groups.

All tests share one container. The nodes are a lab on the loopback interface, which the container
shares.
"""

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator

import pytest

from rig.daemon import CONFIG
from rig.debian import CannotRun, booted
from rig.installed import Host, install
from rig.jobs import SDL, statuses
from rig.lab import Lab, running_lab

# The first test installs a Debian, unless an earlier run has done so.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

CREDENTIAL = "cucmd.lab"
# Only `run` calls Output, and not all who may read may call `run`.
READ_OUTPUT = """
import sys
from cucmctl import Client, NotPermitted
try:
    sys.exit(0 if list(Client().output(sys.argv[1])) else 1)
except NotPermitted:
    sys.exit(77)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs three nodes; node 3 refuses its first command."""
    options = ("--files", "3", "--size", "60000", "--stamps", "--fault", "3=refuse-command*1")
    with running_lab(3, *options) as lab:
        yield lab


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Host]:
    wheels = tmp_path_factory.mktemp("wheels")
    try:
        with booted({wheels: "/srv/wheels"}) as debian:
            host = install(debian, wheels)
            host.write(f"/etc/credstore/{CREDENTIAL}.username", lab.username, 0o600)
            host.write(f"/etc/credstore/{CREDENTIAL}.password", lab.password, 0o600)
            yield host
            assert "Traceback" not in host.journal()
    except CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture
def hand(host: Host) -> Iterator[str]:
    """Makes a folder that belongs to the operator."""
    folder = "/tmp/olga"
    host.debian.must("install", "-d", "-o", "olga", "-m", "700", folder)
    yield folder
    host.debian.must("rm", "-r", folder)


def test_operator_gets_collected_files(host: Host, lab: Lab, hand: str) -> None:
    """The operator collects and exports with nothing but the socket."""
    asked = ("--path", SDL, "--last=2h", "--label=case=698123456", f"--credential={CREDENTIAL}")
    started = host.ctl("olga", "start", *lab.nodes, *asked, "--wait")
    assert started.returncode == 3, started.stderr
    job_id = started.stdout.split()[0]
    assert f"cucmctl export {job_id}" in started.stderr
    found = host.must_ctl("olga", "--json", "list", "--label=case=698123456")
    assert [job["job_id"] for job in json.loads(found)] == [job_id]
    files = [
        json.loads(line) for line in host.must_ctl("olga", "--json", "files", job_id).splitlines()
    ]
    assert {(file["node"], file["exported"]) for file in files} == {
        (node, True) for node in lab.nodes[:2]
    }
    refused = host.debian.run("ls", host.job(job_id).directory, user="olga")
    assert refused.returncode != 0, "the directory is the service's own"

    for form in ("zip", "tar", "dir"):
        out = f"{hand}/case.{form}"
        said = host.must_ctl("olga", "export", job_id, "--format", form, "-o", out)
        assert said == f"{out}\n"
    if shutil.which("unzip"):  # `.ci/run` installs it
        tested = ["unzip", "-tqq", str(host.debian.path(f"{hand}/case.zip"))]
        subprocess.run(tested, check=True)
    host.debian.must("mkdir", f"{hand}/untarred", user="olga")
    host.debian.must("tar", "-xf", f"{hand}/case.tar", "-C", f"{hand}/untarred", user="olga")
    for folder in ("untarred", "case.dir"):
        check = f"cd {hand}/{folder} && sha256sum --strict -c SHA256SUMS"
        checked = host.debian.must("sh", "-c", check, user="olga")
        assert checked.count(": OK\n") == len(files)
    host.debian.must("diff", "-r", f"{hand}/untarred", f"{hand}/case.dir")
    with zipfile.ZipFile(host.debian.path(f"{hand}/case.zip")) as archive:
        for file in files:
            content = archive.read(f"{file['node'].replace(':', '_')}/{file['path']}")
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert lab.nodes[2] in archive.read("summary.txt").decode()

    assert SDL in host.must_ctl("olga", "transcript", job_id, lab.nodes[0])
    host.must_ctl("olga", "verify", job_id)
    covered = [node.coverage or "" for node in host.job(job_id).nodes[:2]]
    assert all(text.startswith(("covers ", "begins ")) for text in covered), covered
    host.must_ctl("olga", "label", job_id, "site=bern", "case=")
    assert host.job(job_id).labels == {"site": "bern"}
    host.must_ctl("olga", "retry", job_id, "--wait")
    assert (host.job(job_id).retries, set(statuses(host.job(job_id)))) == (1, {"succeeded"})
    host.must_ctl("olga", "export", job_id, "--force", "-o", f"{hand}/case.tar")
    names = host.debian.must("tar", "-tf", f"{hand}/case.tar").splitlines()
    assert sum(name.startswith(lab.nodes[2].replace(":", "_")) for name in names) == 3
    host.must_ctl("olga", "delete", job_id, "--yes")
    assert host.ctl("olga", "status", job_id).returncode == 5

    others = [host.must_ctl("olga", "start", lab.nodes[0], *asked, "--wait") for _ in range(2)]
    pruned = host.must_ctl("olga", "prune", "--keep", "1", "--yes")
    assert [job.strip() in pruned for job in others] == [True, False]
    host.must_ctl("olga", "hostkeys", "forget", lab.nodes[0])
    host.must_ctl("olga", "reload")


def test_viewer_is_refused_as_documented(host: Host, lab: Lab) -> None:
    """Asks as a user of the view group, without and with `view_reads_files`, and as a user of no
    group.
    """
    job = ("start", lab.nodes[0], "--path", SDL, "--last=2h", f"--credential={CREDENTIAL}")
    job_id = host.must_ctl("olga", *job, "--wait").split()[0]
    login = f"--credential={CREDENTIAL}"
    run = ("run", lab.nodes[0], login, "--", "show", "status")
    discover = ("discover", lab.nodes[0], login)
    assert host.must_ctl("olga", *run)
    check = ("check", lab.nodes[0], login)
    assert host.must_ctl("olga", *discover)
    assert host.must_ctl("olga", *check)
    assert CREDENTIAL in host.must_ctl("olga", "credentials")
    (run_id,) = [job["job_id"] for job in listed(host, "run")]
    looks = (
        ("list",),
        ("status", job_id),
        ("watch", job_id),
        ("wait", job_id),
        ("hostkeys",),
        ("clusters",),
        ("profiles",),
    )
    reads = (
        ("files", job_id),
        ("transcript", job_id, lab.nodes[0]),
        ("export", job_id, "-o", "/tmp/victor.zip", "--force"),
    )
    changes = (
        job,
        run,
        check,
        discover,
        ("credentials",),
        ("verify", job_id),
        ("retry", job_id),
        ("cancel", job_id),
        ("label", job_id, "a=b"),
        ("delete", job_id, "--yes"),
        ("prune", "--keep", "0", "--yes"),
        ("prune", "--keep", "0", "--dry-run"),
        ("hostkeys", "forget", lab.nodes[0]),
        ("reload",),
    )

    def codes_of(user: str, verbs: tuple[tuple[str, ...], ...]) -> set[int]:
        return {host.ctl(user, *verb).returncode for verb in verbs}

    def code_of_output(user: str) -> int:
        command = ("/opt/cucmd/bin/python", "-c", READ_OUTPUT, run_id)
        return host.debian.run(*command, user=user).returncode

    assert codes_of("victor", looks) == {0}
    assert codes_of("victor", reads + changes) == {77}
    assert [code_of_output(user) for user in ("olga", "victor", "nina")] == [0, 77, 77]
    assert codes_of("nina", looks + reads + changes) == {77}
    host.write("/etc/cucmd/cucmd.toml", f"{CONFIG}[access]\nview_reads_files = true\n")
    host.systemctl("reload", "cucmd.service")
    assert codes_of("victor", looks + reads) == {0}
    assert [code_of_output(user) for user in ("olga", "victor", "nina")] == [0, 0, 77]
    assert codes_of("victor", changes) == {77}
    assert codes_of("nina", looks + reads + changes) == {77}
    assert (host.job(job_id).status, host.job(job_id).labels) == ("succeeded", None)


def listed(host: Host, kind: str) -> list[dict]:
    return json.loads(host.must_ctl("olga", "--json", "list", "--kind", kind))
