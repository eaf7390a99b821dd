"""Types what cucmhub(8) shows: a hub with TLS, two sites, and a key that is revoked.

The commands run in a mount and network namespace, with overlays of the folders that they change.
There is no systemd, so that the programs are started by hand, and `systemctl`, which the hub calls,
is a script. A booted Debian has its own test.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.fleet import CURRENT, DEBIANS
from rig.pages import ROOT, fenced, indented
from rig.process import Child, die_with_parent
from rig.quiet import wait_until

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts overlays"),
]

PAGE = ROOT / "ctl/man/cucmhub.8.md"
PREPARE = """
ip link set lo up
mount -t tmpfs none "$0"
for path in /etc /var/lib /run; do
    mkdir -p "$0/up$path" "$0/work$path"
    mount -t overlay overlay -o "lowerdir=$path,upperdir=$0/up$path,workdir=$0/work$path" "$path"
done
for group in nats cucm cucmagent; do
    getent group $group >/dev/null || groupadd $group
done
id nats >/dev/null 2>&1 || useradd -g nats nats
mkdir -p /run/cucmhub /etc/cucmagent "$0/typed"
printf '#!/bin/sh\nexec pkill -HUP --pidfile nats.pid\n' >"$0/typed/systemctl"
chmod 755 "$0/typed/systemctl"
echo "127.0.0.1 localhost hub.example" >/etc/hosts
echo prepared
exec sleep infinity
"""


class Machine:
    def __init__(self, holder: int, folder: Path, log: Path, stack: ExitStack) -> None:
        self._enter = ["nsenter", f"--target={holder}", "--mount", "--net", "--"]
        self.typed = folder / "typed"
        self._log = log
        self._stack = stack
        self.root = Path(f"/proc/{holder}/root")

    def type(self, commands: str) -> None:
        """Types commands, of which each must succeed. Those of systemd are left out."""
        lines = [line for line in commands.splitlines() if not line.startswith("systemctl")]
        text = "\n".join([f"cd {self.typed}", *lines])
        path = f"{self.typed}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = [*self._enter, "env", f"PATH={path}", "sh", "-e", "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, name: str, *command: str) -> Child:
        with (self._log / name).open("ab") as log:
            command = [*self._enter, *command]
            process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
        self._stack.callback(Child(process).stop)
        return Child(process)

    def log(self, name: str) -> str:
        return (self._log / name).read_text()

    def write(self, path: str) -> None:
        """Writes a configuration file as the page shows it."""
        (text,) = (text for _, text in fenced(PAGE) if f"# {path}\n" in text)
        (self.root / path.lstrip("/")).parent.mkdir(exist_ok=True)
        (self.root / path.lstrip("/")).write_text(text)


@pytest.fixture
def machine(tmp_path: Path, stack: ExitStack) -> Iterator[Machine]:
    folder = tmp_path / "machine"
    folder.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--mount", "--net", "--propagation=private", "sh", "-ec", PREPARE, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
    with holder:
        try:
            if not holder.stdout.readline():
                pytest.skip("no overlay can be mounted here")
            yield Machine(holder.pid, folder, tmp_path, stack)
            stack.close()
        finally:
            holder.kill()


def block(part: str) -> str:
    (found,) = (block for block in indented(PAGE) if part in block)
    return found


@pytest.mark.parametrize("server", [CURRENT, DEBIANS], ids=["current", "debian"])
def test_page_makes_hub_with_two_sites(machine: Machine, server: str) -> None:
    if not Path(server).exists():
        pytest.skip("no such nats-server here")
    machine.type(block("openssl"))
    machine.write("/etc/nats-server.conf")
    machine.write("/etc/cucmhub/cucmhub.toml")
    machine.write("/etc/cucmhub/nats.nft")
    machine.type(block("systemctl restart nats-server"))
    machine.type("(umask 077 && cucmhub site add munich >munich.toml)")
    machine.type("install -m 644 server.pem /etc/cucmagent/ca.pem")
    machine.type("nft -f /etc/cucmhub/nats.nft")
    nats = machine.run("nats", server, "-c", "/etc/nats-server.conf")
    pid_file = machine.root / str(machine.typed / "nats.pid").lstrip("/")
    pid_file.write_text(str(nats.process.pid))
    machine.run("hub", str(Path(sys.executable).with_name("cucmhub")), "serve")
    for site in ("berlin", "munich"):
        machine.type(f"install -m 640 -g cucmagent {site}.toml /etc/cucmagent/{site}.toml")
        agent = str(Path(sys.executable).with_name("cucmagent"))
        running = machine.run(site, agent, "--config", f"/etc/cucmagent/{site}.toml")
        wait_until(lambda site=site: f"site {site} is heard" in machine.log("hub"), 60)

    remove, add = block("site remove").replace("berlin", "munich").splitlines()
    machine.type(remove)
    wait_until(lambda: "authorization" in machine.log("munich").lower(), 60)
    assert "is broken" not in machine.log("berlin")
    machine.type(add)
    running.stop()
    machine.type("install -m 640 -g cucmagent munich.toml /etc/cucmagent/munich.toml")
    machine.run("munich", agent, "--config", "/etc/cucmagent/munich.toml")
    wait_until(lambda: machine.log("munich").count("connected to NATS") == 2, 60)
    assert "is broken" not in machine.log("berlin")
