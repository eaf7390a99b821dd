"""Tests the units: systemd checks them, and they fit the paths and limits of the programs.

No service manager runs here; the `test_booted_…` files have one.
"""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cucmctl.cli import exits
from cucmd import paths
from cucmd.job.timeouts import MOST_GRACE
from cucmd.receiver.limits import MIB, ReceiverLimits
from cucmweb.config import WebConfig
from cucmweb.listeners import SOCKET_GROUP
from cucmweb.token_file import GROUP

UNITS = Path(__file__).parents[2] / "systemd"
# unit -> its programs, at the paths of cucmd(8)
PROGRAMS = {
    "cucmd": ("/opt/cucmd/bin/cucmd ", "/opt/cucmd/bin/cucmctl "),
    "cucmweb": ("/opt/cucmd/bin/cucmweb ",),
    "cucmd-metrics": ("/opt/cucmd/bin/cucmctl ",),
    "cucmhub": ("/opt/cucmd/bin/cucmhub ",),
    "cucmagent": ("/opt/cucmd/bin/cucmagent\n",),
}
NIGHTLY = ("cucmd-collect@", "cucmd-health@")

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


class Unit:
    """Reads a unit file, of which each setting has one value."""

    def __init__(self, name: str) -> None:
        self._parser = configparser.ConfigParser(strict=False, interpolation=None)
        self._parser.optionxform = str  # type: ignore[assignment,method-assign]  # as documented
        self._parser.read(UNITS / name, encoding="utf-8")

    def __getitem__(self, name: str) -> str:
        (value,) = (section[name] for section in self._parser.values() if name in section)
        return value


@needs_analyze
@pytest.mark.parametrize("name", [*PROGRAMS, *NIGHTLY])
def test_unit_exposure(name):
    unit = str(UNITS / f"{name}.service")
    answer = run(
        "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=11", unit
    )
    print(answer.stdout.splitlines()[-1])
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs_analyze
def test_systemd_verifies_units(tmp_path):
    """The copies name a program that exists, since a missing program would be an error."""
    copies = []
    for name, programs in PROGRAMS.items():
        service = (UNITS / f"{name}.service").read_text(encoding="utf-8")
        for program in programs:
            assert service.count(program) == 1
            service = service.replace(program, f"{sys.executable}{program[-1]}")
        (tmp_path / f"{name}.service").write_text(service, encoding="utf-8")
        for unit in (*UNITS.glob(f"{name}.socket"), *UNITS.glob(f"{name}.timer")):
            shutil.copy(unit, tmp_path)
        copies += map(str, tmp_path.glob(f"{name}.*"))
    (more := tmp_path / "cucmweb.service.d").mkdir()
    shutil.copy(UNITS / "cucmweb-handover.conf", more)
    answer = run("systemd-analyze", "verify", *copies)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@needs_analyze
@pytest.mark.parametrize("name", NIGHTLY)
def test_systemd_verifies_timers(tmp_path, name):
    service = (UNITS / f"{name}.service").read_text().replace("/opt/cucmd/bin/cucmctl", "/bin/true")
    (tmp_path / f"{name}.service").write_text(service)
    shutil.copy(UNITS / f"{name}.timer", tmp_path)
    names = [str(tmp_path / f"{name}.{kind}") for kind in ("service", "timer")]
    answer = run("systemd-analyze", "verify", *names)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def nightly_exit_code(name: str, socket: Path, **variables: str) -> int:
    """Runs the command of a service, with the variables that its file would have."""
    unit = Unit(f"{name}.service")
    values = dict(one.split("=", 1) for one in unit["Environment"].split()) | variables
    program, *words = unit["ExecStart"].replace("\\\n", " ").split()
    assert program == "/opt/cucmd/bin/cucmctl"
    filled = []
    for word in words:  # as systemd does: `$TARGET` is split at blanks, and `${LABEL}` is not
        value = values.get(word.strip("${}"), word)
        filled += value.split() if word[:2] != "${" else [value]
    return run(sys.executable, "-m", "cucmctl", "--socket", str(socket), *filled).returncode


@pytest.mark.parametrize("name", NIGHTLY)
def test_nightly_failure_is_no_success(name, tmp_path, daemon):
    successes = map(int, Unit(f"{name}.service")["SuccessExitStatus"].split())
    codes = {
        nightly_exit_code(name, tmp_path / "none", TARGET="berlin"),
        nightly_exit_code(name, daemon.socket, TARGET="berlin.invalid bern.invalid"),
    }
    assert codes == {exits.UNAVAILABLE, exits.NOT_FOUND}
    assert codes.isdisjoint(successes)


def test_only_partial_health_is_success():
    """A partial collection is a failure: the missing logs may be gone before anybody looks."""
    successes = [Unit(f"{name}.service")["SuccessExitStatus"] for name in NIGHTLY]
    assert successes == [f"{exits.CANCELLED}", f"{exits.PARTIAL} {exits.CANCELLED}"]


def test_stop_timeout_exceeds_grace_period():
    seconds = float(Unit("cucmd.service")["TimeoutStopSec"].removesuffix("s"))
    assert seconds > MOST_GRACE + 1


def test_budgets_fit_memory_limit():
    """A collection never meets the limit, since all that grows with the nodes has a smaller one."""
    number, unit = Unit("cucmd.service")["MemoryMax"][:-1], Unit("cucmd.service")["MemoryMax"][-1]
    limits = ReceiverLimits()
    nodes = 400
    files = 1300 * (limits.files_total + nodes * limits.files_share)
    received = (nodes + limits.unauthenticated) * 12 * MIB
    assert int(number) * {"M": MIB, "G": 1024 * MIB}[unit] >= 2 * files + received


def test_daemon_units_match_paths():
    service, listener = Unit("cucmd.service"), Unit("cucmd.socket")
    assert listener["ListenStream"] == paths.SYSTEM_SOCKET
    assert f"/var/lib/{service['StateDirectory']}" == paths.SYSTEM_STATE_DIR
    assert (listener["SocketMode"], listener["SocketGroup"]) == ("0660", "cucm")


def test_web_units_match_paths():
    service, listener = Unit("cucmweb.service"), Unit("cucmweb.socket")
    assert f"unix:{listener['ListenStream']}" == WebConfig().listen
    assert (listener["SocketMode"], listener["SocketGroup"]) == ("0660", SOCKET_GROUP)
    variable, _, value = service["Environment"].partition("=")
    assert paths.default_socket({variable: value}, 999) == paths.SYSTEM_SOCKET
    assert service["Group"] == GROUP


# prctl(2) forbids what MemoryDenyWriteExecute= forbids. Then an SSH server and a client of asyncssh
# use RSA, ECDSA and X25519, with one authentication and one transfer.
_WITHOUT_CODE_AT_RUN_TIME = """
import asyncio, ctypes, mmap, sys, tempfile
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    sys.exit("the kernel lets us write code")
import asyncssh

class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True
    def validate_password(self, username, password):
        return password == "secret"

async def connect(algorithm, kex):
    key = asyncssh.generate_private_key(algorithm)
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[key], server_factory=Server, sftp_factory=True,
        kex_algs=[kex], config=None, gss_host=None)
    async with server, asyncssh.connect(
        "127.0.0.1", server.get_port(), known_hosts=None, username="u", password="secret",
        kex_algs=[kex], client_keys=None, config=None, gss_host=None) as client:
        async with client.start_sftp_client() as sftp, sftp.open(sys.argv[1], "wb") as file:
            await file.write(bytes(100_000))

for algorithm, kex in (("ssh-rsa", "ecdh-sha2-nistp256"), ("ecdsa-sha2-nistp256",
    "curve25519-sha256"), ("ssh-ed25519", "ecdh-sha2-nistp521")):
    asyncio.run(connect(algorithm, kex))
import cucmd.service.daemon  # not before: trio-asyncio puts its own loop in asyncio's place
"""


def test_libraries_make_no_code(tmp_path):
    answer = run(sys.executable, "-c", _WITHOUT_CODE_AT_RUN_TIME, str(tmp_path / "file"))
    if answer.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "file").stat().st_size == 100_000
