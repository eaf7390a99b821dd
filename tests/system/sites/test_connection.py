"""The ways to a daemon: `ssh -W`, `cucmctl bridge`, keys that may do nothing else, and `ssh -R`."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from cucmctl.sites.connection import Connection
from cucmctl.sites.places import Site
from rig.daemon import Daemon
from rig.openssh_node import needs_openssh
from rig.quiet import wait_until
from rig.sites import NO_KEY, Sites, running_sites
from rig.varlink_peer import CORPUS, answer, dial
from system.ctl.terminal import Terminal

pytestmark = [pytest.mark.long, needs_openssh]


def test_bridge_where_sshd_does_not_forward(daemons: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    with running_sites(tmp_path / "s", "AllowStreamLocalForwarding no") as sites:
        places = {"berlin": f"ssh://127.0.1.1{daemons[0].socket}", "none": "ssh://127.0.1.1/none"}
        sites.write(places)
        assert sites.ctl("--site", "berlin", "profiles").returncode == 0
        done = sites.ctl("--site", "none", "list")
        assert (done.returncode, "does cucmd run?" in done.stderr) == (69, True)


# Answers as OpenSSH before 9.4, which can forward to a port only.
OLD_SSH = """\
#!/bin/sh
case " $* " in *" -W "*)
    echo "Bad stdio forwarding specification" >&2
    exit 255
esac
exec {ssh} "$@"
"""


def test_bridge_where_ssh_is_old(sites: Sites, tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text(OLD_SSH.format(ssh=sites.folder / "path/ssh"))
    (tmp_path / "ssh").chmod(0o755)
    environ = {**sites.environ, "PATH": f"{tmp_path}:{sites.environ['PATH']}"}
    assert sites.ctl("--site", "all", "clusters", env=environ).returncode == 0


def test_login_is_kept_for_later_commands(sites: Sites) -> None:
    def logins() -> int:
        return (sites.folder / "log").read_text().count("Accepted publickey")

    sites.end_kept()
    before = logins()
    for verb in ("list", "clusters", "profiles"):
        assert sites.ctl("--site", "berlin", verb).returncode == 0
    assert logins() - before == 1


def test_key_for_nothing_but_the_daemon(daemons: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    at = daemons[0].socket
    forced = f'restrict,command="cucmctl bridge --socket {at}"'
    with running_sites(tmp_path / "s", key_options=forced) as sites:
        sites.write({"berlin": "ssh://127.0.1.1"})
        assert sites.ctl("--site", "berlin", "profiles").returncode == 0
        with sites.ssh("127.0.1.1", f"touch {tmp_path}/x"):
            pass
        assert not (tmp_path / "x").exists()


# As the manual shows it for a hub. All users of the test are root.
HUB = """\
AllowStreamLocalForwarding remote
AllowTcpForwarding remote
PermitListen none
ForceCommand false
StreamLocalBindUnlink yes
StreamLocalBindMask 0117
"""


def test_site_comes_to_the_hub(
    daemons: tuple[Daemon, Daemon], tmp_path: Path, socket_path: Path
) -> None:
    socket_path.parent.mkdir()
    at, options = daemons[0].socket, "restrict,port-forwarding"
    with running_sites(tmp_path / "s", HUB, key_options=options) as hub:
        with hub.ssh("-N", "-R", f"{socket_path}:{at}", "127.0.1.1") as site:
            wait_until(socket_path.exists)
            assert socket_path.stat().st_mode & 0o777 == 0o660
            done = hub.ctl("--socket", str(socket_path), "profiles")
            assert done.returncode == 0
            site.terminate()
        # The same key can open no socket of the hub, listen at no port, and run no command.
        hub.write({"other": f"ssh://127.0.1.1{at}"})
        assert hub.ctl("--site", "other", "profiles").returncode == 69
        listens = ("-R", "9999:/x", "-o", "ExitOnForwardFailure=yes")
        for more in (("-N", *listens), ("-W", "127.0.0.1:22"), (f"touch {tmp_path}/x",)):
            with hub.ssh("127.0.1.1", *more) as refused:
                pass
            assert refused.returncode
        assert not (tmp_path / "x").exists()


def test_one_site_may_ask_at_terminal(sites: Sites, daemons: tuple[Daemon, Daemon]) -> None:
    sites.write({"berlin": f"ssh://{NO_KEY}{daemons[0].socket}"})
    terminal = Terminal(sites.command("--site", "berlin", "profiles"), sites.environ, 120, 24)
    try:
        terminal.until("Are you sure you want to continue connecting")
        terminal.type("no\n")
        assert terminal.ended() == 69
    finally:
        terminal.close()


def test_varlink_corpus_gets_same_answers(
    sites: Sites, daemons: tuple[Daemon, Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{sites.ssh_from_outside()}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sites.runtime))
    at = daemons[0].socket
    with closing(Connection(Site("berlin", "ssh://127.0.1.1", str(at)))) as connection:
        for name, data in CORPUS.items():
            assert answer(connection.connect(), data) == answer(dial(at), data), name
