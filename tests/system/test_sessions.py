"""Types the sessions of the README and of the reference pages, as they are.

They run on a terminal, in an empty home, with a PATH of two directories, on a network of their own.
Each is typed, or is in NOT_RUN with the reason. So are commands in the text of a page that name a
node, a cluster or a job. The output must be that of the page, but for ids and numbers.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rig.credentials import named_credential
from rig.pages import PAGES, ROOT, fenced, indented, unfenced
from rig.process import of_session
from rig.quiet import wait_until
from system.ctl.terminal import Terminal

README = ROOT / "README.md"
PROGRAMS = ROOT / "ctl/man/cucmctl.3.md"
TRIO = ROOT / "ctl/man/cucmtrio.3.md"
# beginning of a session -> why it is not typed here
NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/cucmd demo": (
        "downloads packages; test_demo.py runs the demo, and .ci/run installs"
    ),
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest": (
        "is this test run; .ci/run types it as it stands"
    ),
    "python3 -m venv /opt/cucmd && /opt/cucmd/bin/pip install .": (
        "needs root and systemd: rig/installed.py types it in a Debian that has booted"
    ),
    ".ci/build-deb .": "needs root and systemd: test_booted_package.py builds and installs",
    "debootstrap --variant=minbase --include=python3,systemd trixie /srv/debian": (
        "needs root and minutes; test_image.py builds and runs the image"
    ),
    **dict.fromkeys(
        (
            "apt install ./cucmd_0.3.0+py3.13_amd64.deb",
            "apt install ./cucmd_*.deb",
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \\",
            "install -d -m 700 -o nats -g nats /var/lib/nats",
            "/opt/cucmd/bin/pip install '.[fleet]' && ln -sf /opt/cucmd/bin/cucmhub"
            " /usr/local/bin/",
        ),
        "needs root and systemd; test_booted_package.py types such commands",
    ),
    "cucmhub site remove berlin": "tests/system/fleet/test_page.py types it",
    "cucmweb demo": "tests/system/web/test_web_demo.py runs the demo",
    "cucmweb token add 'night shift' --role operate --days 90": (
        "writes to /etc; the tests of tests/system/web and tests/unit/web make tokens"
    ),
    "cucmweb token add prometheus --role view | install -m 640 -g prometheus /dev/stdin"
    " /etc/prometheus/cucmd.token": "likewise; web/test_metrics.py has a Prometheus with a token",
    "cp /opt/cucmd/share/cucmd/systemd/cucmd-metrics.* /etc/systemd/system/": (
        "needs root and systemd; test_units.py checks the units"
    ),
    "ssh -N -L 8080:/run/cucmweb/http.sock cucm-logs.example.org": "needs another machine",
    "/opt/cucmd/bin/pip install '.[web]'": (
        "needs root and systemd: test_booted_web.py types it in a Debian that has booted"
    ),
    "systemd-tmpfiles --create cucmweb-nginx.conf && systemctl restart cucmweb.socket": "likewise",
    "openssl req -x509 -newkey rsa:2048 -noenc -days 365 -subj /CN=cucm-logs.example.org \\": (
        "writes to /etc; rig/nginx.py types it"
    ),
    "nginx -t && systemctl reload nginx": "needs systemd; test_nginx.py asks an nginx",
    "curl -N http://localhost:8080/jobs/57f3c2a1/events": "test_page_session.py types its like",
    "$ cucmctl status 57f3 --json | jq '.nodes[1].failure'": "needs jq and a failed node",
    **dict.fromkeys(
        ("$ cucmctl find 3f2a 'SIP/2.0 503' --since 23:10", "$ cucmctl find 3f2a 'SIP/2.0 488'"),
        "needs a call that fails; the README has a session with `find`",
    ),
    "cucmctl --socket /run/cucmd-sites/berlin/cucmd.sock": "is only an option, without a verb",
    "cucmd --verbose": "runs until Ctrl-C; the README has a session with `cucmd`",
    **dict.fromkeys(
        (
            "ufw allow proto tcp from 10.0.0.0/24 to any port 2222",
            "usermod -aG cucm alice",
            "systemd-ask-password -n | systemd-creds encrypt --name=cucmd.berlin.password - \\",
            "systemctl status cucmd",
            "systemctl stop cucmd.socket cucmd.service",
            "/opt/cucmd/bin/pip install --upgrade --upgrade-strategy eager .",
            "systemctl disable --now cucmd.socket cucmd.service",
            "systemctl disable --now cucmweb.socket cucmweb.service",
            "cd /opt/cucmd/share/cucmd/systemd",
            "systemd-tmpfiles --create cucmd.conf",
            "install -d /etc/cucmd/night",
        ),
        "needs root and systemd; the test_booted_ files type such commands",
    ),
}
# Kinds of blocks that are not typed here: files, calls of tools, and what tests/system/web types.
SHOWN = {"toml", "ini", "nginx", "tmpfiles", "json", "sh", "text", "yaml"}
PASSWORD = "lab-password"
ANSWERS = {"Password of": PASSWORD, "[y/N]": "y"}
# An ordinary user in a network of its own, with an own /run; there the ports of the pages are free.
# Before, root of that network executes MORE.
UNSHARE = ("/usr/bin/unshare", "--user", "--map-root-user", "--net", "--mount")
ENTER = """
/usr/sbin/ip link set lo up && mount -t tmpfs none /run
ln -s "$HOME/.local/state/cucmd/run" /run/cucmd
cd "$HOME" && eval "$MORE"
exec unshare --user --map-user=1000 --map-group=1000 "$@"
"""
# `\#` is the number of the command, which is different in each prompt.
BASH = (r"PS1=<\# $?> ", "bash", "--noprofile", "--norc", "--noediting", "-i")


class Shell:
    """Runs a shell on a terminal. `type` does what a person does with a line of a page."""

    def __init__(self, home: Path, more: str = "") -> None:
        self.home = home
        environ = {
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "SYSTEMD_PAGER": "",  # varlinkctl would wait for a key
        }
        only = ["env", "-i", *(f"{name}={value}" for name, value in environ.items())]
        command = [*UNSHARE, "sh", "-c", ENTER, "sh", *only, *BASH]
        self.terminal = Terminal(command, {**environ, "MORE": more}, 200, 50)
        self._typed = 0
        self._prompt()

    def type(self, line: str, shown: str = "") -> str:
        """Types a line of a page and returns the output.

        Asserts that the output contains what the page shows, and that the exit code is 0 or the one
        that the comment in the line names.
        """
        start = len(self.terminal.raw)
        self.terminal.type(f"{line}\n")
        code = self._prompt()
        expected = re.search(r"exit code (\d+)", line)
        assert code == int(expected[1] if expected else 0), self.terminal.screen[-3000:]
        self.terminal.read_until(lambda: re.search(pattern(shown), self._since(start)))
        if "2>cucmd.log" in line:  # a person types more slowly than the daemon starts
            self.until_written("cucmd.log", "listening at")
        return self._since(start)

    def until_written(self, file: str, text: str) -> None:
        found = self.home.glob
        wait_until(lambda: any(text in one.read_text() for one in found(file)))

    def leave(self) -> None:
        """Asserts that background processes which were told to end do so in order."""
        said = self.type("wait")
        assert "Exit" not in said, said
        self.terminal.type("exit\n")
        assert self.terminal.ended() == 0

    def _since(self, start: int) -> str:
        """Returns the output from `start` on, without colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", self.terminal.raw[start:].replace("\r\n", "\n"))

    def _prompt(self) -> int:
        """Answers questions up to the next prompt, and reads the exit code that it shows."""
        self._typed += 1
        start = len(self.terminal.raw)
        prompt = rf"<{self._typed} (\d+)> "
        question = re.compile("|".join([prompt, *map(re.escape, ANSWERS)]))
        while True:
            self.terminal.read_until(lambda at=start: question.search(self.terminal.raw, at))
            found = question.search(self.terminal.raw, start)
            if found[1]:
                return int(found[1])
            start = found.end()
            self.terminal.type(f"{ANSWERS[found[0]]}\n")


def pattern(shown: str) -> str:
    """Turns the output on a page into a regular expression, in which numbers and ids are free.

    A line with `...` on the page stands for lines that it leaves out, and `...` at the end of a
    line for its rest. Columns may be wider.
    """
    lines = []
    for line in shown.replace("\n...\n", "\n").splitlines():
        words = re.split(r"(\b[0-9a-f]{12}\b|\d+)", line.strip().removesuffix("..."))
        free = {0: re.escape, 1: lambda one: "[0-9a-f]{12}" if len(one) == 12 else r"\d+"}
        expected = "".join(free[place % 2](word) for place, word in enumerate(words))
        lines.append(re.sub(r"(\\ )+", r"\\s+", expected))
    return ".*".join(["(?s)", *lines])


def steps(session: str) -> Iterator[tuple[str, str]]:
    """Yields each typed line, with its continuation lines, and the output on the page."""
    for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        typed, shown = re.fullmatch(r"((?:.*\\\n)*.*\n)((?s:.*))", step).groups()
        yield typed.rstrip("\n"), shown


def named(page: Path) -> list[str]:
    """Returns the commands in the text of a page that name a node, a cluster or a job, and no
    variable.
    """
    commands = re.findall(r"`(cucmctl [^`]*(?:berlin|57f3|cucm-\w+)[^`]*)`", unfenced(page))
    return [one for one in dict.fromkeys(commands) if not re.search(r"[A-Z[]", one)]


def sessions(page: Path) -> list[str]:
    return [text for kind, text in fenced(page) if kind == "console"]


@contextmanager
def shell(more: str = "") -> Iterator[Shell]:
    done = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "none", "/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no namespaces: {done.stderr.strip()}")
    # Shorter than pytest's folder, since the path of a socket may have 107 bytes.
    with TemporaryDirectory(prefix="home-") as folder:
        one = Shell(Path(folder), more)
        try:
            yield one
        finally:
            for pid in of_session(one.terminal.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            one.terminal.close()


def test_every_session_is_typed() -> None:
    pages = (README, *PAGES)
    others = [one for page in pages if page not in (README, PROGRAMS) for one in sessions(page)]
    others += [one for page in pages for one in indented(page)]
    begun = {re.sub("  +#.*", "", one.splitlines()[0]) for one in others}
    assert begun <= NOT_RUN.keys()
    # Two pages have it.
    assert len({one for one in others if ".ci/build-deb" in one}) == 1
    assert NOT_RUN.keys() <= begun | {one for page in pages for one in named(page)}
    assert {kind for page in pages for kind, _ in fenced(page)} <= SHOWN | {"console", "python"}


@pytest.mark.long
def test_readme_session() -> None:
    with shell() as person:
        for session in sessions(README):
            for line, shown in steps(session):
                person.type(line, shown)
        person.leave()


# The cluster of the pages, at the port that the name means.
CLUSTER = """
echo '127.1.0.1 cucm-pub\n127.1.0.2 cucm-sub1\n127.1.0.3 cucm-sub2' >hosts
mount --bind hosts /etc/hosts
cucmd lab --port 22 >lab &
"""
CONFIG = """
[clusters.berlin]
publisher = "cucm-pub"
nodes = ["cucm-sub1", "cucm-sub2"]
credential = "cucmd.berlin"
"""


@pytest.mark.long
@pytest.mark.skipif(shutil.which("varlinkctl") is None, reason="needs varlinkctl (systemd 255)")
def test_reference_page_sessions() -> None:
    with shell(CLUSTER) as person:
        person.until_written("lab", "lab-password")
        credentials = named_credential(
            person.home / "pw", "cucmd.berlin", "administrator", PASSWORD
        )
        (person.home / "cucmd.toml").write_text(CONFIG + credentials)
        person.type("cucmd serve --config cucmd.toml 2>cucmd.log &")
        person.type("cucmctl start berlin --path cm/trace/ccm/sdl --last 2h --wait")
        job = re.search(r"[0-9a-f]{12}", person.type("cucmctl list"))[0]
        typed = [line for one in sessions(PROGRAMS) for line, _ in steps(one)]
        for line in (*typed, *(one for page in PAGES for one in named(page))):
            if line not in NOT_RUN:
                person.type(line.replace("57f3", job[:8]))
        for page in (README, PROGRAMS, TRIO):
            [program] = [text for kind, text in fenced(page) if kind == "python"]
            (person.home / "program.py").write_text(program)
            assert person.type("python program.py").count(" succeeded ") == 2
        person.type("kill %1")
        person.leave()
