"""cucmweb as a real service, installed as its page says, in a Debian that has booted systemd.

All tests share one container. Each begins with the socket up, the service down, and no
configuration.
"""

import http.client
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from rig.debian import CannotRun, booted
from rig.installed import FROM_WHEELS, Host, install
from rig.nginx import PAGE, needs_nginx, running_nginx, shown
from rig.pages import indented
from rig.quiet import wait_until

# The first one installs a Debian, where no run before has left it.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

SERVICE, SOCKET = "cucmweb.service", "cucmweb.socket"
PATH = "/run/cucmweb/http.sock"
CONFIG = "/etc/cucmweb/cucmweb.toml"
TOKENS = "/etc/cucmweb/tokens.toml"
ADDRESS = "127.0.77.1", 8077  # of loopback, where nobody else is

# What a test may leave behind.
MADE = ("/etc/cucmweb", f"/etc/systemd/system/{SOCKET}.d", "/etc/tmpfiles.d/cucmweb-nginx.conf")
MADE += ("/run/cucmweb",)  # with its ACL

# As the page says it, but for where pip finds the wheels; each step must succeed.
(_INSTALL,) = (block for block in indented(PAGE) if "sysusers.conf" in block)
(_NGINX,) = (block for block in indented(PAGE) if "systemd-tmpfiles" in block)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    wheels = tmp_path_factory.mktemp("wheels")
    with ExitStack() as stack:
        try:
            debian = stack.enter_context(booted({wheels: "/srv/wheels"}))
            host = install(debian, wheels, "web")
        except CannotRun as reason:
            pytest.skip(str(reason))
        assert "pip install '.[web]'" in _INSTALL
        steps(host, _INSTALL.replace("pip install '.[web]'", f"{FROM_WHEELS} 'cucmd[web]'"))
        yield host


def steps(host: Host, lines: str) -> None:
    host.debian.must("sh", "-e", "-c", lines.replace(" && ", "\n"))


@pytest.fixture
def host(installed: Host) -> Iterator[Host]:
    installed.systemctl("restart", SOCKET)
    yield installed
    installed.systemctl("stop", SOCKET, SERVICE)
    # Only now: it connects whenever the daemon is not there, and what starts cancels what stops.
    installed.systemctl("stop", "cucmd.service")
    installed.systemctl("reset-failed")
    installed.debian.must("rm", "-rf", *MADE)
    installed.systemctl("daemon-reload")
    assert "Traceback" not in journal(installed)


def journal(host: Host) -> str:
    host.debian.must("journalctl", "--sync")
    return host.debian.must("journalctl", "--output=cat", f"--unit={SERVICE}")


def main_pid(host: Host) -> int:
    return int(host.show("MainPID", SERVICE))


_ASK = """
import http.client, socket, sys
path, *headers = sys.argv[1:]
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
try:
    connection.sock.connect(path)
except PermissionError:
    sys.exit("not permitted")
connection.request("GET", "/openapi.json", headers=dict(one.split(": ") for one in headers))
print(connection.getresponse().status)
"""


def ask(host: Host, user: str, *headers: str) -> str:
    """Returns the status of a reply to that user, or `not permitted` if the kernel refuses the
    connection.
    """
    done = host.debian.run("/opt/cucmd/bin/python", "-c", _ASK, PATH, *headers, user=user)
    return (done.stdout or done.stderr).strip()


def test_the_first_connection_starts_it(host: Host) -> None:
    assert host.show("ActiveState", SERVICE) == "inactive"
    assert ask(host, "olga") == "200"
    assert host.show("ActiveState", SERVICE) == "active"
    assert host.show("TriggeredBy", SERVICE) == SOCKET


def test_only_operators_can_connect(host: Host) -> None:
    assert ask(host, "olga") == "200"
    assert ask(host, "victor") == "not permitted"
    assert ask(host, "nina") == "not permitted"


def test_service_user_has_few_rights(host: Host) -> None:
    assert host.ctl("cucmweb", "list").returncode == 0
    assert ask(host, "olga") == "200"
    process = host.status_of(main_pid(host))
    assert process["Uid"].split()[0] == host.debian.must("id", "--user", "cucmweb").strip()
    assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")
    assert int(process["CapBnd"], 16) == 0
    command = ("systemd-analyze", "security", "--no-pager", "--threshold=11", SERVICE)
    answer = host.debian.run(*command)
    print(answer.stdout.splitlines()[-1])
    assert answer.returncode == 0, answer.stdout


def test_service_outlives_the_daemon(host: Host) -> None:
    assert ask(host, "olga") == "200"
    pid = main_pid(host)
    host.systemctl("restart", "cucmd.service")
    host.systemctl("stop", "cucmd.socket", "cucmd.service")
    assert ask(host, "olga").isdecimal()
    host.systemctl("start", "cucmd.socket")
    assert ask(host, "olga") == "200"
    assert main_pid(host) == pid


def test_a_killed_one_is_started_again(host: Host) -> None:
    assert ask(host, "olga") == "200"
    pid = main_pid(host)
    host.systemctl("kill", "--kill-whom=main", f"--signal={signal.SIGKILL.name}", SERVICE)
    wait_until(lambda: main_pid(host) not in (0, pid))
    assert ask(host, "olga") == "200"


def test_wrong_configuration_keeps_service_down(host: Host) -> None:
    host.write(CONFIG, "[limits]\nbody = 0\n")
    assert host.debian.run("systemctl", "start", SERVICE).returncode != 0
    wait_until(lambda: host.show("ActiveState", SOCKET) == "inactive")
    assert host.show("ExecMainStatus", SERVICE) == "78"
    assert int(host.show("NRestarts", SERVICE)) == 0
    assert "limits.body: 0: " in journal(host)
    host.write(CONFIG, "[limits]\nbody = 2048\n")
    host.systemctl("restart", SERVICE)
    assert ask(host, "olga") == "200"


def token(host: Host, *arguments: str) -> tuple[int, str]:
    """Runs `cucmweb token` as root. Returns the exit code and what it prints."""
    done = host.debian.run("/usr/local/bin/cucmweb", "token", *arguments)
    return done.returncode, (done.stdout or done.stderr).strip()


def test_service_reads_tokens_of_root(host: Host) -> None:
    assert ask(host, "olga", "Authorization: Bearer x") == "401"
    code, secret = token(host, "add", "page", "--role", "view")
    assert code == 0
    assert host.debian.must("stat", "--format=%U:%G %a", TOKENS) == "root:cucmweb 640\n"
    assert ask(host, "olga", f"Authorization: Bearer {secret}") == "200"
    host.debian.must("sh", "-c", f"echo x >>{TOKENS}")
    assert ask(host, "olga", f"Authorization: Bearer {secret}") == "401"
    assert token(host, "list")[0] == 78
    assert secret not in journal(host)


def test_tcp_needs_a_token(host: Host) -> None:
    listen = f"[Socket]\nListenStream={ADDRESS[0]}:{ADDRESS[1]}\n"
    host.write(f"/etc/systemd/system/{SOCKET}.d/tcp.conf", listen)
    host.systemctl("daemon-reload")
    host.systemctl("restart", SOCKET)
    assert host.debian.run("systemctl", "start", SERVICE).returncode != 0
    assert host.show("ExecMainStatus", SERVICE) == "78"
    _, secret = token(host, "add", "page", "--role", "view")
    host.systemctl("restart", SERVICE)
    assert at_tcp({}) == 401
    assert at_tcp({"Authorization": f"Bearer {secret}"}) == 200


def at_tcp(headers: dict[str, str]) -> int:
    with closing(http.client.HTTPConnection(*ADDRESS, timeout=60)) as connection:
        connection.request("GET", "/openapi.json", headers=headers)
        return connection.getresponse().status


@needs_nginx
def test_nginx_as_the_page_says(host: Host, tmp_path: Path) -> None:
    host.write(CONFIG, shown("toml", 'trusted = ["unix"]'))
    assert ask(host, "www-data") == "not permitted"
    host.write("/etc/tmpfiles.d/cucmweb-nginx.conf", shown("tmpfiles", "/run/cucmweb"))
    steps(host, _NGINX)
    named = "X-Remote-User: olga", "X-Remote-Role: operate"
    assert ask(host, "www-data", *named) == "200"
    assert ask(host, "www-data") == "401"
    assert ask(host, "nina", *named) == "not permitted"
    with running_nginx(tmp_path, host.debian.path(PATH)) as nginx:
        for user, status in (("olga", 200), ("victor", 200), ("", 401)):
            with nginx.asked("/openapi.json", user) as reply:
                assert reply.status == status
