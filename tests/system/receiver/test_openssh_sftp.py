"""OpenSSH's own sftp pushes, as a node does: what arrives is whole, and nothing else goes."""

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
async def test_a_push_as_a_node_makes_it(target: Any, openssh: Any, log: Path) -> None:
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
async def test_a_whole_tree_with_times_and_an_empty_file(
    target: Any, openssh: Any, tmp_path: Path
) -> None:
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
async def test_without_p_no_time_is_given(target: Any, openssh: Any, log: Path) -> None:
    assert (await openssh.sftp(target, f"put {log} a\nput -p {log} b\n")).returncode == 0
    stamps = [file.modified for file in target.target.files()]
    assert stamps == [None, int(log.stat().st_mtime)]


@pytest.mark.long
async def test_a_large_file_of_over_100_mb(target: Any, openssh: Any, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(105):
            file.write(os.urandom(1_000_000))
    assert (await openssh.sftp(target, f"put {large}\n", CIPHER)).returncode == 0
    assert target.target.files() == (ReceivedFile("", "large", 105_000_000, sha(large), True),)


@pytest.mark.long
@pytest.mark.parametrize("methods", ["password", *more("keyboard-interactive")])
@pytest.mark.parametrize("key", ["rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp256"])
async def test_every_way_to_log_in_with_every_host_key(
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
async def test_legacy_algorithms_only_where_they_were_opted_in(
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
async def test_only_ciphers_that_chain_packets_get_some_without_content(
    open_with: Any, open_target: Any, openssh: Any, log: Path, cipher: str, says_them: bool
) -> None:
    async with open_with(legacy=True) as receiver:
        verbose = ["-v"] * 9  # the first ones lift it from QUIET
        done = await openssh.sftp(
            open_target(receiver), f"put {log} a\n", f"-oCiphers={cipher}", *verbose
        )
    assert done.returncode == 0, done.stderr
    packets = [line for line in done.stderr.splitlines() if "receive packet: type" in line]
    assert any(line.endswith("type 99") for line in packets)  # a success, of the channel
    assert any(line.endswith("type 2") for line in packets) == says_them


@pytest.mark.long
async def test_the_host_keys_are_the_same_after_a_restart(
    open_with: Any, openssh: Any, open_target: Any
) -> None:
    """A node that meets another key at a known address and port stalls."""
    canonical_path = []
    for _ in range(2):
        async with open_with() as receiver:
            scan = ["ssh-keyscan", "-t", "rsa,ecdsa", "-p", str(receiver.port), "127.0.0.1"]
            found = await openssh.run(scan, open_target(receiver))
            lines = [line.split() for line in found.stdout.splitlines() if line[0] != "#"]
            canonical_path.append(sorted(line[1:] for line in lines))
    assert canonical_path[0] == canonical_path[1]
    assert [line[0] for line in canonical_path[0]] == ["ecdsa-sha2-nistp256", "ssh-rsa"]


# What a client may not do.


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        "get a stolen",
        *more(
            "rm a",
            "rename a b",
            "symlink /etc/passwd link",
            "reput {log} a",
            "put {log} ../out",
            "mkdir ../out",
            "put {log} missing/a",
        ),
    ],
)
async def test_what_is_not_a_push_is_refused(
    target: Any, openssh: Any, log: Path, tmp_path: Path, command: str
) -> None:
    await openssh.sftp(target, "put /etc/hostname a\nmkdir d\n")
    before = sorted(os.listdir(tmp_path))
    done = await openssh.sftp(target, f"lcd {tmp_path}\n{command.format(log=log)}\n")
    assert done.returncode == 1
    assert [path for path in target.names() if path not in {"a", "d"}] in ([], ["b"], ["a.2"])
    assert not [file for file in target.target.files() if file.closed and file.path != "a"]
    assert [name for name in sorted(os.listdir(tmp_path)) if name != "stolen"] == before


@pytest.mark.parametrize(
    "name", ["title\x1b]0;x\x1b", "reversed\u202etxt", "x" * 256], ids=["escape", "bidi", "long"]
)
@pytest.mark.parametrize("command", ['put {log} "{name}"', *more('mkdir "{name}"')])
async def test_a_name_that_no_node_has_is_refused(
    target: Any, openssh: Any, log: Path, command: str, name: str
) -> None:
    done = await openssh.sftp(target, command.format(name=name, log=log) + "\n")
    assert done.returncode == 1
    assert target.names() == []
    assert target.target.files() == ()


@pytest.mark.parametrize(("name", "most"), [("d", 32), ("x" * 200, 2)], ids=["deep", "long"])
async def test_a_path_goes_no_deeper_than_any_node_has_it(
    target: Any, openssh: Any, name: str, most: int
) -> None:
    paths = ["/".join([name] * depth) for depth in range(1, 41)]
    paths = [path for path in paths if len(path) < 1800]  # what OpenSSH takes in a line
    done = await openssh.sftp(target, "".join(f"-mkdir {path}\n" for path in paths))
    assert done.returncode == 0, done.stderr
    assert target.names() == paths[:most]


@pytest.mark.long
async def test_a_client_cannot_see_other_targets(
    receiver: Any, open_target: Any, openssh: Any, log: Path
) -> None:
    one, two = open_target(receiver, "one"), open_target(receiver, "two")
    assert (await openssh.sftp(one, f"put {log} a\n")).returncode == 0
    done = await openssh.sftp(two, "ls -la /\nls -la /one\n")
    assert log.name not in done.stdout
    assert two.target.files() == ()
