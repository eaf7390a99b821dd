"""Runs a daemon as a user without $XDG_RUNTIME_DIR, as after `su` or in a cron job."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client
from rig.daemon import CONFIG
from rig.others import folder_of
from rig.process import die_with_parent
from rig.readable_python import NOBODY, readable_python


class User:
    """Represents a user with a home and no session. Daemon and client find the same socket."""

    def __init__(self, home: Path, uid: int) -> None:
        self.home = home
        self.folder = home / ".local/state/cucmd/run"
        self._python = readable_python()
        self._options = {
            "env": {"PATH": os.environ["PATH"], "HOME": str(home), **self._python.environ},
            "cwd": home,
            **({} if uid == os.getuid() else {"user": uid, "group": uid, "extra_groups": []}),
        }
        (home / "cucmd.toml").write_text(CONFIG)

    def command(self, module: str, *arguments: str) -> list[str]:
        return [self._python.program, "-m", module, *arguments]

    def serve(self) -> subprocess.Popen[str]:
        command = self.command("cucmd", "serve", "--config", str(self.home / "cucmd.toml"))
        return subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent, **self._options
        )

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command("cucmctl", *arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **self._options,
        )


@pytest.fixture
def user() -> Iterator[User]:
    uid = os.getuid() or NOBODY
    with folder_of(uid) as home:
        yield User(home, uid)


@pytest.mark.long
def test_daemon_and_client_meet(user: User) -> None:
    with user.serve() as daemon:
        try:
            done = user.ctl("list")  # waits for the daemon, which still starts
            assert (done.returncode, done.stdout) == (0, "")
            assert user.folder.stat().st_mode & 0o777 == 0o700
            with Client(user.folder / "cucmd.sock") as client:
                assert client.list() == ()
        finally:
            daemon.terminate()
            assert daemon.wait(60) == 0


@pytest.mark.long
def test_shared_folder_is_refused(user: User) -> None:
    user.folder.mkdir(parents=True)
    for folder in (user.folder, *user.folder.parents[:3]):
        os.chown(folder, user.home.stat().st_uid, -1)
    user.folder.chmod(0o777)
    with user.serve() as daemon:
        _, said = daemon.communicate(timeout=60)
    assert daemon.returncode == 69
    assert f"daemon.socket = '{user.folder}/cucmd.sock': " in said
    assert "--socket" in said
    assert "Traceback" not in said
