"""OpenSSH's sftp pushes as a node does, with every login method, key and legacy algorithm."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from cucmd.received_file import ReceivedFile
from rig.parameters import more

CIPHER = "-oCiphers=aes128-gcm@openssh.com"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "SDL001_100_000085.txt.gz"
    path.write_bytes(os.urandom(3_000_000))
    return path


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.long
async def test_push_like_a_node(target: Any, openssh: Any, log: Path) -> None:
    done = await openssh.sftp(
        target,
        f"-mkdir /10.0.0.1\n-mkdir /10.0.0.1/2025-01-31_10-00-00\n"
        f"put {log} /10.0.0.1/2025-01-31_10-00-00/{log.name}\n",
        CIPHER,
    )
    assert done.returncode == 0, done.stderr
    path = f"10.0.0.1/2025-01-31_10-00-00/{log.name}"
    assert target.target.files() == (ReceivedFile("", path, 3_000_000, sha(log), True),)
    assert sha(target.folder / path) == sha(log)
    assert target.target.logins == 1
    await target.target.wait_files_closed()


@pytest.mark.long
async def test_tree_with_times(target: Any, openssh: Any, tmp_path: Path) -> None:
    tree = tmp_path / "cm"
    (tree / "trace" / "ccm").mkdir(parents=True)
    (tree / "trace" / "ccm" / "a.txt").write_text("a")
    (tree / "trace" / "empty").touch()
    os.utime(tree / "trace" / "ccm" / "a.txt", (1_600_000_000, 1_600_000_000))
    done = await openssh.sftp(target, f"put -rp {tree}\n")
    assert done.returncode == 0, done.stderr
    assert {file.path for file in target.target.files()} == {"cm/trace/ccm/a.txt", "cm/trace/empty"}
    assert all(file.closed for file in target.target.files())
    modified = {file.path: file.modified for file in target.target.files()}
    assert modified["cm/trace/ccm/a.txt"] == 1_600_000_000


@pytest.mark.long
@pytest.mark.parametrize("methods", ["password", *more("keyboard-interactive")])
@pytest.mark.parametrize("key", ["rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp256"])
async def test_every_login_with_every_key(
    target: Any, openssh: Any, log: Path, methods: str, key: str
) -> None:
    options = (f"-oPreferredAuthentications={methods}", f"-oHostKeyAlgorithms={key}")
    done = await openssh.sftp(target, f"put {log} a\n", *options)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "option",
    [
        "-oKexAlgorithms=diffie-hellman-group14-sha1",
        "-oKexAlgorithms=diffie-hellman-group-exchange-sha256",
        *more(
            "-oKexAlgorithms=diffie-hellman-group1-sha1",
            "-oCiphers=aes128-cbc",
            "-oHostKeyAlgorithms=ssh-rsa",
        ),
    ],
)
async def test_legacy_algorithms_are_opt_in(
    open_with: Any, open_target: Any, openssh: Any, log: Path, option: str
) -> None:
    async with open_with() as receiver:
        target = open_target(receiver, "strict")
        done = await openssh.sftp(target, f"put {log} a\n", option)
        assert done.returncode == 255
        assert target.target.logins == 0
    async with open_with(legacy=True) as receiver:
        done = await openssh.sftp(open_target(receiver, "legacy"), f"put {log} a\n", option)
        assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("cipher", "says_them"), [("aes128-gcm@openssh.com", False), ("aes128-cbc", True)]
)
async def test_only_cbc_gets_empty_packets(
    open_with: Any, open_target: Any, openssh: Any, log: Path, cipher: str, says_them: bool
) -> None:
    async with open_with(legacy=True) as receiver:
        verbose = ["-v"] * 9  # the first options only undo LogLevel=QUIET
        done = await openssh.sftp(
            open_target(receiver), f"put {log} a\n", f"-oCiphers={cipher}", *verbose
        )
    assert done.returncode == 0, done.stderr
    packets = [line for line in done.stderr.splitlines() if "receive packet: type" in line]
    assert any(line.endswith("type 99") for line in packets)  # a success, of the channel
    assert any(line.endswith("type 2") for line in packets) == says_them


# What a client may not do.
